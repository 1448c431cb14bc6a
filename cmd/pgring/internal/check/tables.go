package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// copyOf is a declared table on one shard.
type copyOf struct {
	*relation
	shard    string
	operator string // whom readable is about; empty: the operator could not log in
}

// tables applies the rules about the declared tables.
func (r *reporter) tables() {
	types := map[string]keyed{} // by group
	for _, t := range r.cfg.Tables {
		copies, missing := r.copies(t)
		before := len(r.findings)
		switch {
		case len(copies) == 0 && len(missing) == 0: // no shard could be asked
		case len(copies) == 0:
			r.warn("", "CREATE TABLE through pgring creates it wherever it belongs", fmt.Sprintf("table %s does not exist yet", t.Name))
		default:
			r.present(t, copies, missing)
			for _, c := range copies {
				r.partitioned(t, c)
				r.ledger(t, c)
			}
			if t.Strategy.Sharded() {
				r.sharded(t, copies[0], types)
			}
		}
		r.summarize(t, copies, missing, len(r.findings)-before)
	}
}

// copies finds a table on the shards; missing are those that were asked and do not have it.
func (r *reporter) copies(t config.Table) (copies []copyOf, missing []string) {
	for _, p := range r.probes {
		if p.tables == nil {
			continue
		}
		if found := p.tables[t.Name]; found != nil {
			copies = append(copies, copyOf{found, p.name(), p.operator()})
		} else {
			missing = append(missing, p.name())
		}
	}
	return copies, missing
}

// homeOf is the shard that keeps a home table.
func (r *reporter) homeOf(t config.Table) string {
	if t.Shard != "" {
		return t.Shard
	}
	return r.cfg.HomeShard()
}

// present checks that a table is where it must be, and the same everywhere.
func (r *reporter) present(t config.Table, copies []copyOf, missing []string) {
	if t.Strategy == config.StrategyHome {
		r.home(t, copies, missing)
		return
	}
	for _, shard := range missing {
		r.errorf(shard, "create it there as it is on "+copies[0].shard, fmt.Sprintf("table %s is missing; it is on %s", t.Name, shardsOf(copies)))
	}
	for _, c := range copies {
		if c.operator != "" && !c.readable {
			r.errorf(c.shard, fmt.Sprintf("GRANT SELECT ON %s TO %s", t.Name, c.operator), fmt.Sprintf("the operator %s may not read table %s", c.operator, t.Name))
		}
	}
	for _, c := range copies[1:] {
		for _, d := range differences(copies[0].relation, c.relation, copies[0].shard) {
			r.findings = append(r.findings, Finding{Severity: d.severity, Shard: c.shard, Message: fmt.Sprintf("table %s: %s", t.Name, d.message)})
		}
	}
}

func (r *reporter) home(t config.Table, copies []copyOf, missing []string) {
	home := r.homeOf(t)
	if slices.Contains(missing, home) {
		r.errorf(home, "", fmt.Sprintf("home table %s is not here but on %s", t.Name, shardsOf(copies)))
		return
	}
	for _, c := range copies {
		if c.shard != home {
			r.warn(c.shard, "drop it if nothing needs it", fmt.Sprintf("table %s is a home table of %s; nobody reaches the one here", t.Name, home))
		}
	}
}

func shardsOf(copies []copyOf) string {
	names := make([]string, len(copies))
	for i, c := range copies {
		names[i] = c.shard
	}
	return strings.Join(names, ", ")
}

// keyed is the first table of a group and the type of its key.
type keyed struct {
	table config.Name
	typ   ring.KeyType
	name  string // as SQL has it
}

// sharded checks a table's shard key on one shard; the other shards were compared with it.
func (r *reporter) sharded(t config.Table, c copyOf, groups map[string]keyed) {
	if c.kind != "r" && c.kind != "p" {
		r.errorf("", "", fmt.Sprintf("%s is %s, which cannot be sharded", t.Name, kindName(c.kind)))
		return
	}
	key := keyColumns(t)
	types, names := make([]ring.KeyType, len(key)), make([]string, len(key))
	for i, name := range key {
		col, found := c.column(name)
		if !found {
			r.errorf("", "its columns are "+c.order(), fmt.Sprintf("table %s has no column %s, its shard key", t.Name, name))
			return
		}
		types[i], names[i] = r.keyColumn(t, col), col.typ
	}
	if name := t.Idempotency.Column; name != "" {
		if _, found := c.column(string(name)); !found {
			r.errorf("", "its columns are "+c.order(), fmt.Sprintf("table %s has no column %s, by which its INSERTs are idempotent", t.Name, name))
		}
	}
	r.sameGroup(t, key, types, strings.Join(names, ", "), groups)
	r.unique(t, c, key)
	for _, o := range c.constraints {
		if o.kind == "f" {
			r.foreignKey(t, o, key)
		}
	}
}

// keyColumns are the columns of a table's shard key.
func keyColumns(t config.Table) []string {
	names := make([]string, len(t.ShardKey))
	for i, name := range t.ShardKey {
		names[i] = string(name)
	}
	return names
}

// keyColumn checks a column of a shard key.
func (r *reporter) keyColumn(t config.Table, col column) ring.KeyType {
	typ, supported := ring.KeyTypeOf(col.base)
	if !supported {
		r.errorf("", "a shard key is an integer, text, uuid, timestamp, numeric or bytea", fmt.Sprintf("table %s: shard key %s has type %s", t.Name, col.name, col.typ))
		return typ
	}
	if !col.sortsExact {
		r.errorf("", "equal keys would be on different shards: use a deterministic collation", fmt.Sprintf("table %s: shard key %s has a nondeterministic collation", t.Name, col.name))
	}
	if col.generated {
		r.errorf("", "pgring must see the key in the statement", fmt.Sprintf("table %s: shard key %s is a generated column", t.Name, col.name))
	}
	if !col.notNull {
		r.warn("", fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", t.Name, config.Ident(col.name)), fmt.Sprintf("table %s: shard key %s may be NULL, and such a row has no shard", t.Name, col.name))
	}
	if col.identity == "a" {
		r.errorf("", "use GENERATED BY DEFAULT: an INSERT must name the key", fmt.Sprintf("table %s: shard key %s is GENERATED ALWAYS AS IDENTITY", t.Name, col.name))
	}
	return typ
}

// sameGroup checks that a table's key is of the type of its group's.
func (r *reporter) sameGroup(t config.Table, key []string, types []ring.KeyType, names string, groups map[string]keyed) {
	if slices.Contains(types, ring.KeyUnset) {
		return // told already
	}
	typ := ring.TupleType(types...)
	if typ == ring.KeyUnset {
		r.errorf("", "a shard key of several columns cannot have one of type bytea", fmt.Sprintf("table %s: the columns %s cannot be a shard key together", t.Name, strings.Join(key, ", ")))
		return
	}
	group := r.cfg.GroupOf(t)
	first, known := groups[group]
	if !known {
		groups[group] = keyed{t.Name, typ, names}
	} else if first.typ != typ {
		r.errorf("", "tables of one group need keys of one kind", fmt.Sprintf("tables %s and %s are in group %q but have keys of types %s and %s", first.table, t.Name, group, first.name, names))
	}
}

// unique: PostgreSQL sees the rows of one shard only, so what must be unique has to hold the shard key.
func (r *reporter) unique(t config.Table, c copyOf, key []string) {
	primary := false
	for _, x := range c.indexes {
		primary = primary || x.primary
		if x.unique && !topology.HoldsKey(x.keys, key) {
			kind := "unique index"
			if x.primary {
				kind = "primary key"
			}
			r.errorf("", "it would hold within each shard only: add the shard key to it", fmt.Sprintf("table %s: %s %s lacks the shard key %s", t.Name, kind, x.name, strings.Join(key, ", ")))
		}
	}
	for _, o := range c.constraints {
		if o.kind == "x" && !topology.HoldsKey(o.columns, key) {
			r.errorf("", "it would hold within each shard only: add \"key WITH =\" to it", fmt.Sprintf("table %s: exclusion constraint %s lacks the shard key %s", t.Name, o.name, strings.Join(key, ", ")))
		}
	}
	if !primary && c.kind == "r" {
		r.warn("", "rows can be moved only if something identifies them", fmt.Sprintf("table %s has no primary key", t.Name))
	}
}

// foreignKey must find its row on the same shard: in a table of the same group by the same key, or in a reference table.
func (r *reporter) foreignKey(t config.Table, o constraint, key []string) {
	hint := "a foreign key may refer to reference tables, and to its own group when it holds both shard keys"
	target, declared := r.declared(o.target)
	fault := ""
	switch {
	case !declared || target.Strategy == config.StrategyHome:
		fault = fmt.Sprintf("refers to %s, which is whole on one shard", o.target)
	case target.Strategy == config.StrategyReference:
	case r.cfg.GroupOf(target) != r.cfg.GroupOf(t):
		fault = fmt.Sprintf("refers to %s, which is in another group", o.target)
	case !pairs(o, key, keyColumns(target)):
		fault = fmt.Sprintf("does not pair the shard keys %s and %s.%s", strings.Join(key, ", "), o.target, strings.Join(keyColumns(target), ", "))
	}
	if fault != "" {
		r.errorf("", hint, fmt.Sprintf("table %s: foreign key %s %s", t.Name, o.name, fault))
	}
}

func (r *reporter) declared(name config.Name) (config.Table, bool) {
	i := slices.IndexFunc(r.cfg.Tables, func(t config.Table) bool { return t.Name == name })
	if i < 0 {
		return config.Table{}, false
	}
	return r.cfg.Tables[i], true
}

// pairs says whether the foreign key holds each column of the key, and refers with it to that of the other key.
func pairs(o constraint, key, targetKey []string) bool {
	for i, name := range key {
		at := slices.Index(o.columns, name)
		if at < 0 || at >= len(o.targetColumns) || i >= len(targetKey) || o.targetColumns[at] != targetKey[i] {
			return false
		}
	}
	return len(key) == len(targetKey)
}
