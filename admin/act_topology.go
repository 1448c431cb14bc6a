package admin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// notice is a NOTICE to the client.
func notice(message, hint string) []*pgwire.Error {
	return []*pgwire.Error{{Severity: "NOTICE", Code: "00000", Message: message, Hint: hint}}
}

// addShard answers ADD SHARD.
func (c *Console) addShard(ctx context.Context, in *input) (*outcome, error) {
	shard, err := readAddShard(&in.arguments)
	if err != nil {
		return nil, err
	}
	snap, err := c.cfg.Topology.AddShard(ctx, shard)
	if err != nil {
		return nil, topologyError(err)
	}
	added, _ := snap.Shard(shard.ID)
	message := fmt.Sprintf("shard %s is %s at epoch %d and owns nothing yet", added.ID, added.State, snap.Epoch)
	hint := "Tables declared from now on are spread over it too."
	if added.State == topology.Joining {
		hint = "It lacks some declared table, or rows of a reference table, and the log says which: bring them there as they are on the other shards, and RELOAD."
	}
	return &outcome{notices: notice(message, hint)}, nil
}

// readAddShard reads name HOST host [PORT port] [WEIGHT weight].
func readAddShard(t *tokens) (topology.Shard, error) {
	var s topology.Shard
	name, err := t.word("a name")
	if err != nil {
		return s, err
	}
	s.ID = ring.ShardID(name.plain())
	if err := t.expect("HOST"); err != nil {
		return s, err
	}
	if s.Host, err = t.value("a host"); err != nil {
		return s, err
	}
	if t.accept("PORT") {
		if s.Port, err = readNumber(t, "PORT", 65535); err != nil {
			return s, err
		}
	}
	if t.accept("WEIGHT") {
		if s.Weight, err = readWeight(t); err != nil {
			return s, err
		}
		if s.Weight == 0 {
			s.Weight = topology.NoSlots
		}
	}
	return s, t.end()
}

// readNumber reads a number from 1 to most.
func readNumber(t *tokens, what string, most int) (int, error) {
	typed, err := t.value("a number")
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(typed)
	if err != nil || n < 1 || n > most {
		return 0, syntaxError(fmt.Sprintf("%s must be a number from 1 to %d, not %q", what, most, typed), "")
	}
	return n, nil
}

// dropShard answers DROP SHARD.
func (c *Console) dropShard(ctx context.Context, in *input) (*outcome, error) {
	word, err := in.arguments.word("a shard")
	if err != nil {
		return nil, err
	}
	confirmed := in.arguments.accept("CONFIRM")
	snap, shard, err := c.lastShard(in, word)
	if err != nil {
		return nil, err
	}
	if !confirmed {
		return nil, unconfirmed(snap, shard)
	}
	if _, err := c.cfg.Topology.DropShard(ctx, shard.ID); err != nil {
		return nil, topologyError(err)
	}
	return &outcome{notices: notice(fmt.Sprintf("shard %s is forgotten; its server was not touched", shard.ID), "Take it out of the configuration file too, or the next RELOAD adds it again.")}, nil
}

// unconfirmed says what DROP SHARD would do.
func unconfirmed(snap *topology.Snapshot, s topology.Shard) error {
	e := &pgwire.Error{Code: codeNotInState, Message: fmt.Sprintf("DROP SHARD %s needs CONFIRM", s.ID),
		Detail: fmt.Sprintf("Shard %s at %s:%d owns nothing and would be forgotten. Its server and what is on it would stay as they are.", s.ID, s.Host, s.Port),
		Hint:   fmt.Sprintf("DROP SHARD %s CONFIRM", s.ID)}
	if uses := usesOf(snap, s.ID); len(uses) > 0 {
		e.Detail = fmt.Sprintf("It would be refused, because shard %s is not empty: %s.", s.ID, strings.Join(uses, ", "))
		e.Hint = "Only a shard that owns nothing can be dropped. SHOW RING says what it owns."
	}
	return e
}

// usesOf says what keeps a shard from being dropped.
func usesOf(snap *topology.Snapshot, id ring.ShardID) []string {
	var uses []string
	if snap.Home == id {
		uses = append(uses, "it is the home shard")
	}
	for _, g := range snap.Groups() {
		if m, ok := g.Placement.(*ring.Map); ok {
			if n := len(m.Slots(id)); n > 0 {
				uses = append(uses, fmt.Sprintf("it owns %d slots of group %s", n, g.Name))
				continue
			}
		}
		if slices.Contains(g.Placement.Owners(), id) {
			uses = append(uses, "it owns keys of group "+g.Name)
		}
	}
	for _, t := range snap.Tables() {
		if t.Declared && t.Kind == topology.Home && t.Shard == id {
			uses = append(uses, "it holds home table "+shortName(t.Name))
		}
	}
	return uses
}

// shardTable answers SHARD TABLE.
func (c *Console) shardTable(ctx context.Context, in *input) (*outcome, error) {
	wish, err := readShardTable(&in.arguments)
	if err != nil {
		return nil, err
	}
	before, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	if wish.Colocate != "" {
		if wish.Colocate, err = groupOf(before, token{tokenWord, wish.Colocate}); err != nil {
			return nil, err
		}
	}
	snap, err := c.cfg.Topology.ShardTable(ctx, wish)
	if err != nil {
		return nil, topologyError(err)
	}
	t := snap.Table(wish.Name.Schema, wish.Name.Table)
	if t == nil || t.Group == nil {
		return &outcome{notices: notice(fmt.Sprintf("table %s is declared at epoch %d", shortName(wish.Name), snap.Epoch), "SHOW TABLES shows it.")}, nil
	}
	owners := t.Group.Placement.Owners()
	message := fmt.Sprintf("table %s is sharded by %s in group %s; its rows live on %s", shortName(t.Name), strings.Join(t.Key, ", "), t.Group.Name, list(owners))
	hint := fmt.Sprintf("SHOW PLACEMENT %s key tells where a key is.", typedName(t.Name))
	if !t.Exists {
		hint = "Create the table through pgring now: it is created on every shard."
	}
	return &outcome{notices: append(notice(message, hint), uniqueWithoutKey(t)...)}, nil
}

// uniqueWithoutKey warns of what PostgreSQL can keep unique among the rows of one shard only.
func uniqueWithoutKey(t *topology.Table) []*pgwire.Error {
	var warnings []*pgwire.Error
	for _, columns := range t.Unique {
		if !t.HasKey(columns) {
			warnings = append(warnings, &pgwire.Error{Severity: "WARNING", Code: "01000",
				Message: fmt.Sprintf("unique key (%s) of table %s does not contain the shard key", strings.Join(columns, ", "), shortName(t.Name)),
				Detail:  "Once the rows are on several shards it holds on each of them alone: the same values may be on two.",
				Hint:    "Add the shard key to it before REBALANCE START spreads the rows, or shard the table by a column of it."})
		}
	}
	return warnings
}

// groupOf returns the name of the group that a sharded table is in, or that is called so itself.
func groupOf(snap *topology.Snapshot, word token) (string, error) {
	if g := snap.Group(word.plain()); g != nil {
		return g.Name, nil
	}
	name, err := tableName(word)
	if err != nil {
		return "", err
	}
	t := snap.Table(name.Schema, name.Table)
	switch {
	case t == nil:
		return "", noTable(name, snap)
	case t.Group == nil:
		return "", &pgwire.Error{Code: codeNotInState, Message: fmt.Sprintf("table %s is not sharded", shortName(name)),
			Detail: fmt.Sprintf("Its kind is %s.", t.Kind), Hint: "Colocate with a sharded table. SHOW TABLES WHERE kind = sharded lists them."}
	}
	return t.Group.Name, nil
}

// readShardTable reads table BY column [, …] [STRATEGY strategy] [COLOCATE WITH table], the options in any order.
func readShardTable(t *tokens) (topology.TableWish, error) {
	var w topology.TableWish
	word, err := t.word("a table")
	if err != nil {
		return w, err
	}
	if w.Name, err = tableName(word); err != nil {
		return w, err
	}
	if err := t.expect("BY"); err != nil {
		return w, err
	}
	for more := true; more; more = t.comma() {
		column, err := t.word("a column")
		if err != nil {
			return w, err
		}
		name := column.identifiers()
		if len(name) != 1 || name[0] == "" {
			return w, expected("a column", column)
		}
		w.Key = append(w.Key, name[0])
	}
	for t.peek().kind != tokenEnd {
		if err := readTableOption(t, &w); err != nil {
			return w, err
		}
	}
	return w, nil
}

func readTableOption(t *tokens, w *topology.TableWish) error {
	switch {
	case w.Strategy == topology.StrategyUnset && t.accept("STRATEGY"):
		word, err := t.word("consistent or hash")
		if err != nil {
			return err
		}
		w.Strategy = topology.ParseStrategy(strings.ToLower(word.text))
		if w.Strategy != topology.Consistent && w.Strategy != topology.Hash {
			return &pgwire.Error{Code: codeSyntax, Message: fmt.Sprintf("strategy %s cannot be given on the console", word),
				Detail: "range and list need bounds or values, which stand in the configuration file.", Hint: "Use STRATEGY consistent or hash, or declare the table in the file and RELOAD."}
		}
		return nil
	case w.Colocate == "" && t.accept("COLOCATE"):
		if err := t.expect("WITH"); err != nil {
			return err
		}
		word, err := t.word("a table")
		if err != nil {
			return err
		}
		w.Colocate = word.text // resolved by shardTable
		return nil
	}
	return expected("STRATEGY, COLOCATE WITH or the end of the command", t.peek())
}

// referenceTable answers REFERENCE TABLE.
func (c *Console) referenceTable(ctx context.Context, in *input) (*outcome, error) {
	word, err := in.arguments.word("a table")
	if err != nil {
		return nil, err
	}
	name, err := tableName(word)
	if err != nil {
		return nil, err
	}
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	if t := c.cfg.Topology.Current().Table(name.Schema, name.Table); t != nil && t.Declared && t.Kind == topology.Sharded {
		return nil, &pgwire.Error{Code: codeNotInState, Message: fmt.Sprintf("table %s is declared as sharded", shortName(name)),
			Detail: "A sharded table is not made a reference table by this command, even while it does not exist.",
			Hint:   "Choose another name, or keep it sharded."}
	}
	snap, err := c.cfg.Topology.ReferenceTable(ctx, name)
	if err != nil {
		return nil, topologyError(err)
	}
	message := fmt.Sprintf("table %s is a reference table at epoch %d", shortName(name), snap.Epoch)
	hint := "Every shard answers reads of it; writes go to all of them."
	if t := snap.Table(name.Schema, name.Table); t == nil || !t.Exists {
		hint = "Create the table through pgring now: it is created on every shard."
	}
	return &outcome{notices: notice(message, hint)}, nil
}

// lastShard finds the shard that a word names, when no argument follows it.
func (c *Console) lastShard(in *input, word token) (*topology.Snapshot, topology.Shard, error) {
	if err := in.arguments.end(); err != nil {
		return nil, topology.Shard{}, err
	}
	snap, err := c.snapshot()
	if err != nil {
		return nil, topology.Shard{}, err
	}
	shard, err := shardNamed(snap, word)
	return snap, shard, err
}
