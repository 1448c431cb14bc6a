package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Outcome says what RELOAD does with one key.
type Outcome string

// The outcomes, as the console prints them.
const (
	Unchanged Outcome = "no change"
	Applied   Outcome = "applied"
	Restart   Outcome = "restart"
	Refused   Outcome = "refused"
)

// Change is one key of two configurations. Secrets are masked, so a changed password shows as the same text twice.
type Change struct {
	Key     string
	Old     string
	New     string
	Outcome Outcome
	Reason  string // of a refusal
	Hint    string // the command that does what was asked for
}

// RefusedError says that a reload would need what RELOAD does not do.
type RefusedError struct {
	Refused []Change // at least one
}

// Error names every refused key and why.
func (e *RefusedError) Error() string {
	reasons := make([]string, len(e.Refused))
	for i, c := range e.Refused {
		reasons[i] = c.Key + ": " + c.Reason
	}
	return "reload refused: " + strings.Join(reasons, "; ")
}

// Compare says key by key what a RELOAD from old to next does. RELOAD is all or nothing: with a *RefusedError nothing may be
// applied. old must be what runs now, including the shards and tables that the console added; after a reload that is
// KeepUntilRestart(old, next).
func Compare(old, next *Config) ([]Change, error) {
	before := map[string]Setting{}
	elements := map[string]bool{}
	for _, s := range old.Settings() {
		before[s.Key] = s
		elements[s.element] = true
	}
	var changes []Change
	after := map[string]bool{}
	for _, s := range next.Settings() {
		isNew := s.element != "" && !elements[s.element]
		if !isNew {
			changes = append(changes, changeOf(old, next, before[s.Key], s))
		} else if !after[s.element] {
			changes = append(changes, Change{Key: s.element, New: elementText(next, s.element), Outcome: Applied})
		}
		after[s.element] = true
	}
	for _, s := range old.Settings() {
		if s.element != "" && !after[s.element] {
			after[s.element] = true
			changes = append(changes, removal(old, s.element))
		}
	}
	if c, moved := homeMoved(old, next); moved {
		changes = append(changes, c)
	}
	changes = refusePlaceless(changes, old, next)
	return changes, refusal(changes)
}

// refusePlaceless refuses asynchronous writes that what runs has no place for: a folder or brokers that the file names now are there after a
// restart only.
func refusePlaceless(changes []Change, old, next *Config) []Change {
	running := KeepUntilRestart(old, next)
	if running.Async.Backend != AsyncFiles || running.Async.Dir != "" {
		return changes
	}
	for _, t := range next.Tables {
		if !t.Async.Enabled {
			continue
		}
		element := "tables[" + t.Name.String() + "]"
		c := Change{Key: element + ".async.enabled", New: "true", Outcome: Refused,
			Reason: "pgring was started without async.dir, which changes only with a restart", Hint: "Restart pgring with this file."}
		changes = append(slices.DeleteFunc(changes, func(c Change) bool { return c.Key == element || c.Key == element+".async.enabled" }), c)
	}
	return changes
}

func refusal(changes []Change) error {
	var refused []Change
	for _, c := range changes {
		if c.Outcome == Refused {
			refused = append(refused, c)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return &RefusedError{Refused: refused}
}

func changeOf(old, next *Config, before, after Setting) Change {
	c := Change{Key: after.Key, Old: before.Value, New: after.Value, Outcome: Applied}
	switch {
	case same(before.value, after.value):
		c.Outcome = Unchanged
	case after.Restart:
		c.Outcome = Restart
	}
	if after.element == "" || !placesRows(after.path) {
		return c
	}
	a, b := tableIn{old, tableOf(old, after.element)}, tableIn{next, tableOf(next, after.element)}
	if after.path == "tables[].colocate" {
		c.Old, c.New = a.group().Name, b.group().Name
	}
	if equivalent(after.path, a, b, c.Outcome == Unchanged) {
		c.Outcome = Unchanged
		return c
	}
	refuseMove(&c, after.path, b.Table)
	return c
}

// tableIn is a table and the configuration around it.
type tableIn struct {
	cfg *Config
	Table
}

func (t tableIn) group() Group { return t.cfg.group(t.cfg.GroupOf(t.Table)) }

// equivalent tells whether a table's key means the same in both. What is said once for a whole group counts for the group,
// however and wherever it is written.
func equivalent(path string, a, b tableIn, sameText bool) bool {
	switch path {
	case "tables[].colocate":
		return a.group().Name == b.group().Name
	case "tables[].ranges":
		return describe(a.group().Ranges) == describe(b.group().Ranges)
	case "tables[].values":
		return describe(a.group().Values) == describe(b.group().Values)
	case "tables[].default":
		return a.group().Default == b.group().Default
	case "tables[].shard":
		return homeOf(a.cfg, a.Table) == homeOf(b.cfg, b.Table)
	default:
		return sameText
	}
}

// homeOf returns the shard of a home table; empty for other tables.
func homeOf(c *Config, t Table) string {
	switch {
	case t.Strategy != StrategyHome:
		return ""
	case t.Shard == "":
		return c.HomeShard()
	default:
		return t.Shard
	}
}

// refuseMove refuses what would leave rows where nobody looks for them: the file is a wish, the control database the fact.
func refuseMove(c *Change, path string, t Table) {
	c.Outcome = Refused
	c.Reason = "RELOAD never moves rows"
	switch path {
	case "tables[].shard_key", "tables[].strategy", "tables[].colocate":
		c.Hint = fmt.Sprintf("Put the old value back, and change the table on the console: SHARD TABLE %s BY %s", t.Name, columnList(t))
	default:
		c.Hint = "Put the old value back; where rows live is kept in the control database (SHOW PLACEMENT)."
	}
}

// joinColumns writes the shard key as in SQL.
func joinColumns(t Table) string {
	names := make([]string, len(t.ShardKey))
	for i, name := range t.ShardKey {
		names[i] = name.String()
	}
	return strings.Join(names, ", ")
}

func columnList(t Table) string {
	if len(t.ShardKey) == 0 {
		return "column"
	}
	return joinColumns(t)
}

// removal says what becomes of an entry that next does not have.
func removal(old *Config, element string) Change {
	c := Change{Key: element, Old: elementText(old, element), Outcome: Applied}
	name := strings.TrimSuffix(element[strings.Index(element, "[")+1:], "]")
	switch {
	case strings.HasPrefix(element, "shards["):
		c.Outcome, c.Reason = Refused, "the shard may own rows"
		c.Hint = fmt.Sprintf("Put it back; when it owns nothing, DROP SHARD %s CONFIRM on the console removes it.", name)
	case strings.HasPrefix(element, "tables[") && homeOf(old, tableOf(old, element)) == old.HomeShard():
		// It stays where it is as an undeclared table.
	case strings.HasPrefix(element, "tables["):
		c.Outcome, c.Reason = Refused, "the table would be looked for on the first shard only"
		c.Hint = fmt.Sprintf("Put it back, or DROP TABLE %s first.", name)
	}
	return c
}

// homeMoved refuses another first shard: undeclared tables live there, and by default the control database.
func homeMoved(old, next *Config) (Change, bool) {
	from, to := old.HomeShard(), next.HomeShard()
	if from == to || from == "" {
		return Change{}, false
	}
	return Change{
		Key: "shards[0].name", Old: from, New: to, Outcome: Refused,
		Reason: "undeclared tables live on the first shard of the file",
		Hint:   fmt.Sprintf("Keep shard %s the first one.", from),
	}, true
}

func tableOf(c *Config, element string) Table {
	for _, t := range c.Tables {
		if element == "tables["+t.Name.String()+"]" {
			return t
		}
	}
	return Table{}
}

// elementText describes a list entry on one line.
func elementText(c *Config, element string) string {
	var items []string
	for _, s := range c.Settings() {
		if s.element == element && !s.value.IsZero() {
			items = append(items, strings.TrimPrefix(s.Key, element+".")+": "+s.Value)
		}
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// same compares two values; secrets by their text.
func same(a, b reflect.Value) bool {
	if a.Type() == reflect.TypeFor[Secret]() {
		return a.Interface().(Secret).Equal(b.Interface().(Secret))
	}
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// KeepUntilRestart returns next with the values of old for the keys that change only with a restart: what runs after a
// RELOAD of next.
func KeepUntilRestart(old, next *Config) *Config {
	running := *next
	keepRestart(reflect.ValueOf(&running).Elem(), reflect.ValueOf(old).Elem())
	return &running
}

func keepRestart(into, from reflect.Value) {
	for _, k := range keysOf(into.Type()) {
		switch {
		case k.restart:
			into.Field(k.index).Set(from.Field(k.index))
		case shapeOf(k.typ) == shapeSection:
			keepRestart(into.Field(k.index), from.Field(k.index))
		}
	}
}
