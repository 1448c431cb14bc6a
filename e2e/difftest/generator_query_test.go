package difftest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// generated is a random query: its columns are named c1, c2 ….
type generated struct {
	tree    *tree
	columns []column
	shown   bool  // a column of that name, the key that it groups by, comes behind the columns
	locks   bool  // it locks rows
	whole   *tree // the query without the LIMIT that leaves free which rows come; nil: there is none
}

const sortQuery = "query"

// visible is the query in FROM.
func (q generated) visible(alias string) visible {
	v := visible{alias: alias, columns: q.columns}
	if q.shown {
		v.all = append(slices.Clone(q.columns), column{"shown", unused})
	}
	return v
}

// query makes a SELECT whose rows PostgreSQL fixes, as a multiset. A positive width asks for that many columns of class integer.
func (g *generator) query(outer scope, depth, width int) generated {
	if depth > 0 && width == 0 && g.chance(8) {
		return g.setOperation(depth - 1)
	}
	var q generated
	switch g.IntN(9) {
	case 0:
		q = g.aggregateQuery(outer, depth, width)
	case 1, 2:
		q = g.groupQuery(outer, depth, width)
	case 3:
		q = g.windowQuery(outer, depth, width)
	case 4:
		q = g.plainQuery(outer, depth, width, "DISTINCT ")
	default:
		q = g.plainQuery(outer, depth, width, "")
	}
	if g.chance(25) {
		q = g.limited(q)
	}
	return q
}

// list makes the output columns of expressions.
func (g *generator) list(width int, classes []class, make func(class) *tree) (*tree, []column) {
	items := &tree{}
	var columns []column
	for i := 0; i < width || width == 0 && (i == 0 || i < 4 && g.chance(60)); i++ {
		c := integer
		if width == 0 {
			c = pick(g, classes...)
		}
		name := "c" + strconv.Itoa(i+1)
		format := "%s AS " + name
		if i > 0 {
			format = ", " + format
		}
		item := of("", format, make(c))
		if width == 0 && i > 0 {
			item.maybe()
		}
		items.parts = append(items.parts, item)
		columns = append(columns, column{name, c})
	}
	return items, columns
}

func (g *generator) plainQuery(outer scope, depth, width int, distinct string) generated {
	s := g.source(outer, depth)
	classes := allClasses
	if distinct == "" {
		classes = append(classes[:len(classes):len(classes)], float)
	}
	items, columns := g.list(width, classes, func(c class) *tree { return g.expression(s.scope, c, depth) })
	return generated{tree: of(sortQuery, "SELECT %s%s FROM %s%s", of("", distinct).maybe(), items, s.from, s.where), columns: columns}
}

func (g *generator) aggregateQuery(outer scope, depth, width int) generated {
	s := g.source(outer, depth)
	items, columns := g.list(width, aggregated, func(c class) *tree { return g.aggregate(s.own, c, depth-1) })
	having := &tree{}
	if g.chance(15) {
		having = of("", " HAVING %s > %s", g.aggregate(s.own, integer, 0), g.constant(integer)).maybe()
	}
	return generated{tree: of(sortQuery, "SELECT %s FROM %s%s%s", items, s.from, s.where, having), columns: columns}
}

// groupQuery groups by one or two columns, often a shard key.
func (g *generator) groupQuery(outer scope, depth, width int) generated {
	s := g.source(outer, depth)
	var keys []string
	for range 3 {
		if len(keys) > 0 && g.chance(65) {
			break
		}
		if v := pick(g, s.own...); v.key != "" && g.chance(40) {
			keys = append(keys, v.alias+"."+v.key)
		} else if name := g.column(s.own, pick(g, allClasses...)); name != "" {
			keys = append(keys, name)
		}
	}
	if len(keys) == 0 {
		keys = []string{"()"}
	}
	by := strings.Join(keys, ", ")
	if len(keys) == 2 && g.chance(20) {
		by = pick(g, "ROLLUP", "CUBE", "GROUPING SETS") + " (" + by + ")"
	}
	items, columns := g.list(width, aggregated, func(c class) *tree { return g.aggregate(s.own, c, depth-1) })
	having, shown := &tree{}, &tree{}
	if g.chance(30) {
		having = of("", " HAVING %s %s %s", g.aggregate(s.own, integer, 0), pick(g, ">", "=", "<"), g.constant(integer)).maybe()
	}
	if width == 0 && !strings.Contains(by, "(") {
		shown = of("", ", "+keys[0]+" AS shown").maybe()
	}
	return generated{tree: of(sortQuery, "SELECT %s%s FROM %s%s GROUP BY %s%s", items, shown, s.from, s.where, by, having), columns: columns, shown: len(shown.parts) > 0}
}

// windowQuery uses functions whose value does not depend on the order of peers.
func (g *generator) windowQuery(outer scope, depth, width int) generated {
	s := g.source(outer, depth)
	items, columns := g.list(width, allClasses, func(c class) *tree {
		if c != integer {
			return g.expression(s.scope, c, depth-1)
		}
		partition, order := &tree{}, &tree{}
		if g.chance(60) {
			partition = of("", "PARTITION BY %s ", g.partition(s)).maybe()
		}
		if g.chance(60) {
			order = of("", "ORDER BY %s%s", g.leaf(s.scope, pick(g, integer, text, day)), pick(g, "", " DESC", " NULLS FIRST")).maybe()
		}
		function := pick(g, "rank()", "dense_rank()", "count(*)", "sum(%s)", "max(%s)", "count(%s)")
		if !strings.Contains(function, "%s") {
			return of(sortOf(integer), function+" OVER (%s%s)", partition, order)
		}
		return of(sortOf(integer), function+" OVER (%s%s)", g.leaf(s.scope, integer), partition, order)
	})
	return generated{tree: of(sortQuery, "SELECT %s FROM %s%s", items, s.from, s.where), columns: columns}
}

func (g *generator) partition(s source) *tree {
	if v := pick(g, s.own...); v.key != "" && g.chance(50) {
		return of("", v.alias+"."+v.key)
	}
	return g.leaf(s.scope, pick(g, integer, text, enum))
}

// setOperation joins two queries of integers.
func (g *generator) setOperation(depth int) generated {
	width := 1 + g.IntN(2)
	operation := pick(g, "UNION ALL", "UNION ALL", "UNION", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL")
	left, right := g.query(nil, depth, width), g.query(nil, depth, width)
	return generated{tree: of(sortQuery, "(%s) %s (%s)", left.tree, operation, right.tree), columns: left.columns}
}

// limited orders by all columns and cuts, so that the rows stay fixed.
func (g *generator) limited(q generated) generated {
	var keys []string
	for i, c := range q.columns {
		if c.class == float {
			return q // -0 and 0 are peers
		}
		keys = append(keys, strconv.Itoa(i+1)+pick(g, "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"))
	}
	if q.shown {
		keys = append(keys, "shown")
	}
	cut := g.cut()
	if strings.Contains(cut, "TIES") && aggregating.MatchString(q.tree.String()) {
		cut = " LIMIT 3"
	}
	q.tree = of(sortQuery, "%s%s%s", q.tree, " ORDER BY "+strings.Join(keys, ", "), of("", cut).maybe())
	return q
}

// aggregating finds the aggregates that PostgreSQL 15 answers by an index, if it chooses so, together with WITH TIES by an error.
var aggregating = regexp.MustCompile(`\b(min|max)\(`)

func (g *generator) cut() string {
	return pick(g, "", " LIMIT 3", " LIMIT 1", " LIMIT 5 OFFSET 2", " OFFSET 3", " LIMIT 0", " FETCH FIRST 3 ROWS WITH TIES", " FETCH FIRST 2 ROWS ONLY")
}

// read is a whole statement that reads.
func (g *generator) read() generated {
	g.aliases = 0
	depth := pick(g, 0, 1, 1, 2, 2)
	var q generated
	switch g.IntN(13) {
	case 0:
		q = g.withQuery(depth)
	case 4:
		q = g.recursiveQuery(depth)
	case 1:
		q = g.distinctOn(depth)
	case 2:
		q = g.plainQuery(nil, depth, 0, "")
		q.whole = q.tree
		q.tree = of(sortQuery, "%s%s", q.tree, pick(g, " LIMIT 3", " LIMIT 4 OFFSET 1", " OFFSET 2"))
		return q
	case 3:
		q = g.plainQuery(nil, depth, 1, "") // of one column, so that peers look the same
		q.tree = of(sortQuery, "%s ORDER BY %s", q.tree, pick(g, "1", "1 DESC", "c1 NULLS FIRST"))
	case 5:
		q = g.plainQuery(nil, depth, 0, "")
		q.tree = of(sortQuery, "%s%s", q.tree, pick(g, " FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE SKIP LOCKED"))
		q.locks = true
	default:
		q = g.query(nil, depth, 0)
	}
	return q
}

// recursiveQuery climbs from people to those they are the bosses of, and joins what it finds.
func (g *generator) recursiveQuery(depth int) generated {
	first := scope{{alias: "p", key: "id", keys: someIDs, columns: cols("id:i age:i boss:i")}}
	s := g.source(nil, depth)
	w := visible{alias: "w", columns: cols("id:i d:i")}
	s.scope = s.scope.with(w)
	items, columns := g.list(0, allClasses, func(c class) *tree { return g.leaf(s.scope, c) })
	return generated{tree: of(sortQuery, "WITH RECURSIVE w(id, d) AS (SELECT p.id, 0 FROM people p WHERE %s UNION %sSELECT p.id, w.d + 1 FROM people p JOIN w ON p.boss = w.id WHERE w.d < 3)"+
		" SELECT %s FROM (%s JOIN w ON %s)%s", g.condition(first, 0), pick(g, "", "ALL "), items, s.from, g.on(s.own, w, false), s.where), columns: columns}
}

// withQuery has one common table expression.
func (g *generator) withQuery(depth int) generated {
	inner := g.query(nil, depth, 0)
	s := g.source(nil, depth)
	w := visible{alias: "w", columns: inner.columns}
	s.scope = s.scope.with(w)
	items, columns := g.list(0, allClasses, func(c class) *tree { return g.leaf(s.scope, c) })
	return generated{tree: of(sortQuery, "WITH w AS %s(%s) SELECT %s FROM (%s JOIN w ON %s)%s", pick(g, "", "", "MATERIALIZED "), inner.tree, items, s.from,
		g.on(s.own, w, false), s.where), columns: columns}
}

func (g *generator) distinctOn(depth int) generated {
	s := g.source(nil, depth)
	items, columns := g.list(0, allClasses, func(c class) *tree { return g.leaf(s.scope, c) })
	var keys []string
	for i := range columns {
		keys = append(keys, strconv.Itoa(i+1))
	}
	all := &tree{} // the items may not be left out, or the order were not one of all
	for _, part := range items.parts {
		item := *part.(*tree)
		item.optional = false
		all.parts = append(all.parts, &item)
	}
	return generated{tree: of(sortQuery, fmt.Sprintf("SELECT DISTINCT ON (c1) %%s FROM %%s%%s ORDER BY %s", strings.Join(keys, ", ")), all, s.from, s.where), columns: columns}
}
