package topology

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pgring/pgring/ring"
)

// Wish is what the configuration asks for. The control database is the fact: see [Topology.Apply] for what becomes of a wish.
type Wish struct {
	// Shards: Number is ignored and Port 0 means 5432. Weight 0 and State unset mean 1 and Active for a new shard, and for a
	// known one that the fact stays as it is.
	Shards []Shard

	Home   ring.ShardID // shard of undeclared tables; empty means the first of Shards
	Ring   ring.Config  // zero fields mean the ring's defaults
	Tables []TableWish
}

// TableWish declares one table.
type TableWish struct {
	Name     Name
	Kind     Kind
	Key      []string     // sharded: one column
	Strategy Strategy     // sharded: unset means that of the group to join, else Consistent
	Colocate string       // sharded: name of a group, or of a table whose group to join; empty means a group of its own
	Layout   Layout       // sharded by Range or List: who owns what
	Shard    ring.ShardID // home: empty means the home shard
}

// Layout is the placement of a group of strategy Range or List, with the bounds and values in PostgreSQL's text format.
type Layout struct {
	Ranges  []Bound      `json:"ranges,omitempty"`
	Lists   []Listed     `json:"lists,omitempty"`
	Default ring.ShardID `json:"default,omitempty"` // list: owner of every other key; empty means that they are refused
}

// Bound is one range: from its lower bound, inclusive, to that of the next.
type Bound struct {
	From  *string      `json:"from"` // nil means open below; only the first may be
	Shard ring.ShardID `json:"shard"`
}

// Listed is the keys that one shard owns.
type Listed struct {
	Values []string     `json:"values"`
	Shard  ring.ShardID `json:"shard"`
}

// NoSlots is what a wish names for a weight of 0, because there 0 means unset.
const NoSlots = -1

// over fills in what is zero in a wished shard from the fact, which is the zero Shard for a new one.
func (s Shard) over(fact Shard) Shard {
	s.Number = fact.Number
	switch {
	case s.Weight == NoSlots:
		s.Weight = 0
	case s.Weight == 0 && fact.ID == "":
		s.Weight = 1
	case s.Weight == 0:
		s.Weight = fact.Weight
	}
	if s.Port == 0 {
		s.Port = 5432
	}
	if s.State == StateUnset {
		s.State = fact.State
	}
	if s.State == StateUnset || s.State == Joining { // nobody wishes a shard to stay joining
		s.State = Active
	}
	return s
}

// check reports everything that is wrong with a wish in itself, all at once.
func (w Wish) check() error {
	var problems []error
	if len(w.Shards) == 0 {
		problems = append(problems, errors.New("there is no shard"))
	}
	shards := make(map[ring.ShardID]bool)
	for _, s := range w.Shards {
		if shards[s.ID] {
			problems = append(problems, fmt.Errorf("shard %s is named twice", s.ID))
		}
		shards[s.ID] = true
		problems = append(problems, s.over(Shard{}).check())
	}
	if w.Home != "" && !shards[w.Home] {
		problems = append(problems, fmt.Errorf("the home shard %s is not among the shards", w.Home))
	}
	tables := make(map[Name]bool)
	for _, t := range w.Tables {
		if tables[t.Name] {
			problems = append(problems, fmt.Errorf("table %s is named twice", t.Name))
		}
		tables[t.Name] = true
		problems = append(problems, t.check())
	}
	return errors.Join(problems...)
}

func (s Shard) check() error {
	switch {
	case s.ID == "":
		return errors.New("a shard has no name")
	case s.Host == "":
		return fmt.Errorf("shard %s has no host", s.ID)
	case s.Port < 1 || s.Port > 65535:
		return fmt.Errorf("shard %s has port %d", s.ID, s.Port)
	case s.Weight < 0:
		return fmt.Errorf("shard %s has weight %d: at least 0 is needed", s.ID, s.Weight)
	}
	return nil
}

func (t TableWish) check() error {
	switch t.Kind {
	case Sharded:
		return t.checkSharded()
	case Reference, Home:
		if len(t.Key) > 0 || t.Colocate != "" || t.Strategy != StrategyUnset {
			return fmt.Errorf("table %s is %s: it has neither key nor strategy nor group", t.Name, t.Kind)
		}
		return nil
	case KindUnset:
	}
	return fmt.Errorf("table %s has no kind", t.Name)
}

func (t TableWish) checkSharded() error {
	if n := len(t.Key); n < 1 || n > ring.MaxKeyColumns {
		return fmt.Errorf("table %s needs 1 to %d key columns, not %d", t.Name, ring.MaxKeyColumns, n)
	}
	for i, name := range t.Key {
		if slices.Contains(t.Key[:i], name) {
			return fmt.Errorf("table %s has key column %s twice", t.Name, name)
		}
	}
	if len(t.Key) > 1 && (t.Strategy == Range || t.Strategy == List) {
		return fmt.Errorf("table %s has several key columns: they are hashed, so strategy %s cannot place them", t.Name, t.Strategy)
	}
	if t.Colocate != "" { // the group may have its layout from another table
		return nil
	}
	switch t.Strategy {
	case Range:
		return t.checkRanges()
	case List:
		if len(t.Layout.Lists) == 0 && t.Layout.Default == "" {
			return fmt.Errorf("table %s has strategy list, but no lists", t.Name)
		}
	case Consistent, Hash, StrategyUnset:
	}
	return nil
}

func (t TableWish) checkRanges() error {
	if len(t.Layout.Ranges) == 0 {
		return fmt.Errorf("table %s has strategy range, but no ranges", t.Name)
	}
	for i, b := range t.Layout.Ranges {
		if (b.From == nil) != (i == 0) {
			return fmt.Errorf("table %s: the first range, and no other, must be open below (from: MIN)", t.Name)
		}
	}
	return nil
}
