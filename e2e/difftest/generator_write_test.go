package difftest

import (
	"slices"
	"strings"
)

// write makes a statement that writes.
func (g *generator) write() *tree {
	g.aliases = 0
	switch g.IntN(15) {
	case 0, 1, 2, 3:
		return g.insert()
	case 4:
		return g.insertSelect()
	case 5, 6, 7:
		return g.update()
	case 8:
		return of("", "TRUNCATE %s", pick(g, "bag", "accounts", "lines", "hollow", "countries", "notes", "lines, orders"))
	case 9:
		return g.writeInWith()
	case 12:
		return g.merge()
	case 13:
		return of("", "WITH c AS (%s) %s", g.query(nil, 1, 1).tree, pick(g, g.update, g.delete)())
	case 14:
		return g.updateByWith()
	}
	return g.delete()
}

// target is a table with the columns that writes may fill freely.
type target struct {
	table
	alias string
	free  []column
}

// written picks a table to write to.
func (g *generator) written() target {
	t := target{table: g.table(), alias: "w"}
	for t.primary == view {
		t.table = g.table()
	}
	for _, c := range t.columns {
		if c.class != float && !slices.Contains(strings.Split(t.primary, ", "), c.name) && c.name != t.key && c.name != "stars" {
			t.free = append(t.free, c)
		}
	}
	return t
}

func (t target) visible() visible {
	return visible{t.alias, t.key, t.keys, t.second, t.seconds, t.columns, t.all}
}

// keyColumns are those that an INSERT has to fill, the shard key first.
func (t target) keyColumns() []string {
	names := []string{t.key}
	for _, name := range strings.Split(t.primary, ", ") {
		if name != "" && name != t.key {
			names = append(names, name)
		}
	}
	return names
}

// keyValue is a value of a key column.
func (g *generator) keyValue(t target, name string) *literal {
	switch {
	case name == t.key && len(t.keys) > 0:
		return g.key(t.visible())
	case name == t.second && len(t.seconds) > 0:
		return g.key(visible{keys: t.seconds})
	case name == "code":
		return pick(g, &literal{"'DE'", 25, "DE"}, &literal{"'IT'", 25, "IT"})
	}
	return pick(g, &literal{"1", 23, "1"}, &literal{"2", 23, "2"}, &literal{"50", 23, "50"}, &literal{"60", 23, "60"})
}

// insert has one row or several, ON CONFLICT and RETURNING now and then.
func (g *generator) insert() *tree {
	t := g.written()
	names := t.keyColumns()
	var free []column
	for _, c := range t.free {
		if g.chance(40) && c.class != address {
			free = append(free, c)
		}
	}
	if t.name == "countries" && !slices.ContainsFunc(free, func(c column) bool { return c.name == "name" }) {
		free = append(free, column{"name", text})
	}
	for _, c := range free {
		names = append(names, c.name)
	}
	rows := &tree{}
	for i := 0; i == 0 || i < 5 && g.chance(55); i++ {
		row := of("", "(")
		for n, name := range names {
			if n > 0 {
				row.parts = append(row.parts, ", ")
			}
			row.parts = append(row.parts, g.cell(t, free, n, name))
		}
		row.parts = append(row.parts, ")")
		if i > 0 {
			row = of("", ", %s", row).maybe()
		}
		rows.parts = append(rows.parts, row)
	}
	return of("", "INSERT INTO %s (%s) VALUES %s%s%s", t.name+" AS w", strings.Join(names, ", "), rows, g.onConflict(t), g.returning(t, &tree{}))
}

// cell is a value of a row: a constant, DEFAULT, or an expression of constants.
func (g *generator) cell(t target, free []column, n int, name string) any {
	keys := len(t.keyColumns())
	switch {
	case n < keys:
		return g.keyValue(t, name)
	case g.chance(8) && t.name != "countries":
		return "DEFAULT"
	case g.chance(10):
		return g.expression(nil, free[n-keys].class, 1)
	}
	return g.constant(free[n-keys].class)
}

func (g *generator) onConflict(t target) *tree {
	if t.primary == "" || !g.chance(35) {
		return &tree{}
	}
	if len(t.free) == 0 || g.chance(40) {
		return of("", pick(g, " ON CONFLICT DO NOTHING", " ON CONFLICT ("+t.primary+") DO NOTHING")).maybe()
	}
	c := pick(g, t.free...)
	return of("", " ON CONFLICT (%s) DO UPDATE SET %s = %s", t.primary, c.name, pick(g, any("excluded."+c.name), any(g.constant(c.class)), any("w."+c.name))).maybe()
}

// returning has columns of the row itself only: which rows it was joined with first is free.
func (g *generator) returning(t target, from *tree) *tree {
	if !g.chance(35) {
		return &tree{}
	}
	all := "*"
	if len(from.parts) > 0 {
		all = "w.*"
	}
	return of("", " RETURNING %s", pick(g, all, "w."+t.key, "w."+t.key+" AS k, w."+pick(g, t.columns...).name, "(SELECT count(*) FROM "+g.table().name+")")).maybe()
}

func (g *generator) insertSelect() *tree {
	t := g.written()
	for t.name == "people" || t.name == "orders" || t.name == "lines" { // their foreign keys would fail nearly always
		t = g.written()
	}
	s := g.source(nil, 1)
	items := &tree{}
	for i, name := range t.keyColumns() {
		var item any = g.keyValue(t, name)
		if c := t.class(name); g.chance(60) && (c == integer || c == text || c == identity) {
			item = g.leaf(s.scope, c)
		}
		items.parts = append(items.parts, strings.Repeat(", ", min(i, 1)), item)
	}
	return of("", "INSERT INTO %s (%s) SELECT %s FROM %s%s%s", t.name+" AS w", strings.Join(t.keyColumns(), ", "), items, s.from, s.where,
		pick(g, "", " ON CONFLICT DO NOTHING"))
}

func (t target) class(name string) class {
	for _, c := range t.columns {
		if c.name == name {
			return c.class
		}
	}
	return 0
}

func (g *generator) update() *tree {
	t := g.written()
	for len(t.free) == 0 {
		t = g.written()
	}
	s := scope{t.visible()}
	sets := &tree{}
	for i, c := range t.free {
		if len(sets.parts) > 0 && !g.chance(20) || len(sets.parts) == 0 && i < len(t.free)-1 && g.chance(60) {
			continue
		}
		set := of("", "%s = %s", c.name, g.assigned(s, c.class))
		if len(sets.parts) > 0 {
			set = of("", ", %s", set).maybe()
		}
		sets.parts = append(sets.parts, set)
	}
	from, where := g.narrowed(s, " FROM ")
	return of("", "UPDATE %s w SET %s%s%s%s", t.name, sets, from, where, g.returning(t, from))
}

// assigned is a value that the row itself decides, so that it does not matter which row of a join comes first.
func (g *generator) assigned(s scope, c class) *tree {
	if c == text || c == array || c == address {
		return of("", "%s", g.constant(c)) // it must fit columns of limited length
	}
	return g.expression(s, c, pick(g, 1, 1, 2))
}

// updateByWith writes what a query in WITH has found.
func (g *generator) updateByWith() *tree {
	t := g.written()
	for !slices.ContainsFunc(t.free, func(c column) bool { return c.class == integer }) {
		t = g.written()
	}
	name := ""
	for _, c := range t.free {
		if c.class == integer {
			name = c.name
		}
	}
	where := of("", " AND %s", g.condition(scope{t.visible()}, 1)).maybe()
	return of("", "WITH c AS (%s) UPDATE %s w SET %s = (SELECT max(c1) FROM c%s) WHERE true%s%s", g.query(nil, 1, 1).tree, t.name, name,
		pick(g, "", " WHERE c1 > w."+name), where, g.returning(t, &tree{}))
}

// merge updates or deletes what it finds, and inserts what it does not.
func (g *generator) merge() *tree {
	t := g.written()
	for len(t.free) == 0 {
		t = g.written()
	}
	item, v := g.relation(0)
	s := scope{t.visible()}
	c := pick(g, t.free...)
	and := of("", " AND %s", g.condition(s.with(v), 0)).maybe()
	matched := of("", " WHEN MATCHED%s THEN %s", and, pick(g, of("", "UPDATE SET %s = %s", c.name, g.assigned(s, c.class)), of("", "DELETE"), of("", "DO NOTHING")))
	missed := &tree{}
	if g.chance(40) {
		values := &tree{}
		for i, name := range t.keyColumns() {
			var value any = g.keyValue(t, name)
			if class := t.class(name); g.chance(70) && g.column(scope{v}, class) != "" {
				value = g.column(scope{v}, class)
			}
			values.parts = append(values.parts, strings.Repeat(", ", min(i, 1)), value)
		}
		missed = pick(g, of("", " WHEN NOT MATCHED THEN DO NOTHING"), of("", " WHEN NOT MATCHED THEN INSERT (%s) VALUES (%s)", strings.Join(t.keyColumns(), ", "), values)).maybe()
	}
	return of("", "MERGE INTO %s w USING %s ON %s%s%s", t.name, item, g.on(s, v, false), matched, missed)
}

// narrowed is FROM or USING, now and then, and WHERE.
func (g *generator) narrowed(s scope, word string) (from, where *tree) {
	from, where = &tree{}, &tree{}
	conditions := s
	if g.chance(20) {
		item, v := g.relation(0)
		from = of("", "%s%s", word, item).maybe()
		conditions = s.with(v)
		where = of("", " WHERE %s", g.on(s, v, false)).maybe()
		where = of("", "%s%s", where, of("", " AND %s", g.condition(conditions, 1)).maybe())
		return from, where
	}
	if g.chance(85) {
		where = of("", " WHERE %s", g.condition(conditions, 1)).maybe()
	}
	return from, where
}

func (g *generator) delete() *tree {
	t := g.written()
	from, where := g.narrowed(scope{t.visible()}, " USING ")
	return of("", "DELETE FROM %s w%s%s%s", t.name, from, where, g.returning(t, from))
}

// writeInWith reads what a write in WITH returns.
func (g *generator) writeInWith() *tree {
	var inner *tree
	switch g.IntN(3) {
	case 0:
		inner = g.insert()
	case 1:
		inner = g.update()
	default:
		inner = g.delete()
	}
	if !strings.Contains(inner.String(), " RETURNING ") {
		inner = of("", "%s RETURNING w.*", inner)
	}
	return of("", "WITH d AS (%s) SELECT count(*) FROM d", inner)
}
