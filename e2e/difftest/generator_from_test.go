package difftest

import (
	"slices"
	"strconv"
	"strings"
)

const sortFrom = "from"

// from is a list of relations joined in some way.
func (g *generator) from(depth int) (*tree, scope) {
	item, v := g.relation(depth)
	s := scope{v}
	for g.chance(40) && len(s) < 3 {
		next, n := g.relation(depth)
		switch {
		case g.chance(12) && len(s) == 1:
			return of(sortFrom, "%s, %s", item, next), append(s, n)
		case g.chance(8) && len(s) == 1:
			item = of(sortFrom, "(%s CROSS JOIN %s)", item, next)
		case g.chance(12) && depth > 0:
			q := g.query(s, depth-1, 0)
			n = q.visible(n.alias)
			item = of(sortFrom, pick(g, "(%s CROSS JOIN LATERAL (%s) %s)", "(%s LEFT JOIN LATERAL (%s) %s ON true)"), item, q.tree, n.alias)
		default:
			item = g.join(item, next, s, n)
		}
		s = append(s, n)
		if g.chance(10) {
			var all visible
			item, all = g.named(item, s)
			s = scope{all}
		}
	}
	return item, s
}

// join joins what is in scope with one more relation.
func (g *generator) join(item, next *tree, s scope, n visible) *tree {
	kind := pick(g, "JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
	if len(s) == 1 && g.chance(20) {
		var both []string
		for _, c := range s[0].columns {
			if slices.Contains(n.columns, c) {
				both = append(both, c.name)
			}
		}
		if len(both) > 0 {
			name := pick(g, both...)
			if slices.Contains(both, n.key) && g.chance(60) {
				name = n.key
			}
			return of(sortFrom, "(%s %s %s USING (%s)%s)", item, kind, next, name, of("", " AS "+g.alias()).maybe())
		}
	}
	return of(sortFrom, "(%s %s %s ON %s)", item, kind, next, g.on(s, n, kind == "FULL JOIN"))
}

// named gives a join a name, and most often its columns, too. The relations in it can no longer be named themselves. Columns of one
// name are ambiguous.
func (g *generator) named(item *tree, s scope) (*tree, visible) {
	joined := visible{alias: g.alias()}
	for _, v := range s {
		if v.all == nil {
			v.all = v.columns
		}
		joined.all = append(joined.all, v.all...)
	}
	list := g.renamed(joined.all)
	joined.columns = used(joined.all)
	return of(sortFrom, "(%s) AS %s%s", item, joined.alias, list), joined
}

// renamed changes the names of some columns, the first ones, and gives the list that says so.
func (g *generator) renamed(columns []column) string {
	if g.chance(20) {
		return ""
	}
	var names []string
	for i := range columns[:1+g.IntN(len(columns))] {
		columns[i].name = "r" + strconv.Itoa(i+1)
		names = append(names, columns[i].name)
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// on is the condition of a join; FULL JOIN wants plain equalities.
func (g *generator) on(s scope, n visible, plain bool) *tree {
	other := pick(g, s...)
	link := of(sortCondition, "%s = %s", g.joined(n), g.joined(other)).or("true")
	if len(n.keys) > 0 && len(other.keys) > 0 && n.keys[0] == other.keys[0] && g.chance(75) {
		link = g.sameKey(n, other)
	}
	if plain || g.chance(65) {
		return link
	}
	return of(sortCondition, "%s%s", link, of("", " AND %s", g.condition(s.with(n), 0)).maybe())
}

// joined is a column to join by, or a constant where there is none.
func (g *generator) joined(v visible) *tree {
	if name := g.column(scope{v}, integer); name != "" {
		return of("", name)
	}
	return g.leaf(scope{v}, integer)
}

// relation is a table, a subquery, or a function.
func (g *generator) relation(depth int) (*tree, visible) {
	alias := g.alias()
	if depth > 0 && g.chance(18) {
		q := g.query(nil, depth-1, 0)
		return of(sortFrom, "(%s) %s", q.tree, alias), q.visible(alias)
	}
	if g.chance(3) {
		return of(sortFrom, "generate_series(1, 4) %s(g)", alias), visible{alias: alias, columns: cols("g:i")}
	}
	t := g.table()
	v := visible{alias, t.key, t.keys, t.second, t.seconds, t.columns, t.all}
	if !g.chance(5) {
		return of(sortFrom, t.name+" "+alias), v
	}
	v.all = slices.Clone(t.all)
	list := g.renamed(v.all)
	v.columns = used(v.all)
	for i, c := range t.all {
		switch c.name {
		case t.key:
			v.key = v.all[i].name
		case t.second:
			v.second = v.all[i].name
		}
	}
	return of(sortFrom, t.name+" "+alias+list), v
}
