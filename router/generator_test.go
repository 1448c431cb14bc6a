package router

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// generator makes random statements over the shop, most of them with keys.
type generator struct {
	*rand.Rand
	aliases int
}

// source is a relation in a generated FROM list.
type fromRel struct {
	alias string
	key   string // a column that is, or passes on, a shard key
	cols  []string
}

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) value() string { return strconv.Itoa(g.IntN(8)) }

// base returns a table with its key and its integer-like columns.
func (g *generator) base() (table, key string, cols []string) {
	switch g.IntN(12) {
	case 0, 1, 2:
		return "customers", "id", []string{"id", "score", "balance"}
	case 3, 4, 5, 6:
		return "orders", "user_id", []string{"id", "user_id", "total", "product_id"}
	case 7, 8, 9:
		return "order_items", "user_id", []string{"order_id", "user_id", "qty", "product_id"}
	case 10:
		return "products", "id", []string{"id", "price"}
	}
	return "settings", "user_id", []string{"id", "user_id"}
}

func (g *generator) alias() string {
	g.aliases++
	return "x" + strconv.Itoa(g.aliases)
}

// relation returns a FROM item.
func (g *generator) relation(depth int) (string, fromRel) {
	table, key, cols := g.base()
	r := fromRel{alias: g.alias(), key: key, cols: cols}
	if depth > 0 && g.chance(20) {
		sub, out := g.derived(depth - 1)
		return "(" + sub + ") " + r.alias, fromRel{r.alias, out[0], out}
	}
	return table + " " + r.alias, r
}

// derived returns a subquery and its columns, the first of which is often a key.
func (g *generator) derived(depth int) (string, []string) {
	from, rels := g.from(depth)
	r := rels[0]
	switch g.IntN(9) {
	case 3:
		c := g.column(rels)
		return fmt.Sprintf("SELECT %s.%s AS k, %s AS v FROM %s%s ORDER BY 1 DESC, 2 LIMIT 3", r.alias, r.key, c, from, g.where(rels, depth)), []string{"k", "v"}
	case 4:
		return fmt.Sprintf("SELECT %s.%s AS k, rank() OVER (ORDER BY %s.%s) AS v FROM %s%s", r.alias, r.key, r.alias, r.key, from, g.where(rels, depth)),
			[]string{"k", "v"}
	case 5:
		return fmt.Sprintf("SELECT max(%s.%s) AS k, count(*) AS v FROM %s%s", r.alias, r.key, from, g.where(rels, depth)), []string{"k", "v"}
	case 0:
		return fmt.Sprintf("SELECT %s.%s AS k, count(*) AS n FROM %s%s GROUP BY %s.%s", r.alias, r.key, from, g.where(rels, depth), r.alias, r.key), []string{"k", "n"}
	case 1:
		return fmt.Sprintf("SELECT DISTINCT %s.%s AS k FROM %s%s", r.alias, r.key, from, g.where(rels, depth)), []string{"k"}
	case 2:
		return fmt.Sprintf("SELECT user_id AS k FROM orders WHERE user_id = %s UNION ALL SELECT %s.%s FROM %s%s", g.value(), r.alias, r.key, from,
			g.where(rels, depth)), []string{"k"}
	}
	return fmt.Sprintf("SELECT %s.%s AS k, %s AS v FROM %s%s", r.alias, r.key, g.column(rels), from, g.where(rels, depth)), []string{"k", "v"}
}

func (g *generator) column(rels []fromRel) string {
	r := pick(g, rels...)
	return r.alias + "." + pick(g, r.cols...)
}

// from returns a FROM list.
func (g *generator) from(depth int) (string, []fromRel) {
	text, r := g.relation(depth)
	rels := []fromRel{r}
	for g.chance(45) && len(rels) < 3 {
		item, next := g.relation(depth)
		if g.chance(15) {
			text += ", " + item
			rels = append(rels, next)
			continue
		}
		if depth > 0 && g.chance(15) {
			inner, out := g.from(0)
			r := fromRel{g.alias(), "k", []string{"k"}}
			text = fmt.Sprintf("(%s %s LATERAL (SELECT %s.%s AS k FROM %s%s) %s ON true)", text, pick(g, "JOIN", "LEFT JOIN"), out[0].alias, out[0].key,
				inner, g.correlated(rels, out, 0), r.alias)
			rels = append(rels, r)
			continue
		}
		join := pick(g, "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
		on := g.joinOn(rels, next)
		text = "(" + text + " " + join + " " + item + " ON " + on + ")"
		rels = append(rels, next)
	}
	return text, rels
}

func (g *generator) joinOn(rels []fromRel, next fromRel) string {
	r := pick(g, rels...)
	on := fmt.Sprintf("%s.%s = %s.%s", next.alias, next.key, r.alias, r.key)
	switch g.IntN(8) {
	case 0:
		on = fmt.Sprintf("%s = %s.%s", g.column(rels), next.alias, pick(g, next.cols...))
	case 1:
		on += " AND " + g.condition(append(rels[:len(rels):len(rels)], next), 0)
	case 2:
		on += fmt.Sprintf(" AND %s.%s = %s", next.alias, next.key, g.value())
	case 3:
		on = g.condition(append(rels[:len(rels):len(rels)], next), 0)
	}
	return on
}

func (g *generator) where(rels []fromRel, depth int) string {
	if g.chance(25) {
		return ""
	}
	text := g.condition(rels, depth)
	for g.chance(40) {
		text += " AND " + g.condition(rels, depth)
	}
	return " WHERE " + text
}

func (g *generator) condition(rels []fromRel, depth int) string {
	r := pick(g, rels...)
	key := r.alias + "." + r.key
	switch g.IntN(14) {
	case 0, 1, 2, 3:
		return key + " = " + g.value()
	case 4:
		return key + " IN (" + g.value() + ", " + g.value() + ")"
	case 5:
		return "(" + g.condition(rels, depth) + " OR " + g.condition(rels, depth) + ")"
	case 6:
		return "NOT (" + g.condition(rels, depth) + ")"
	case 7:
		return g.column(rels) + " = " + g.value()
	case 8:
		return g.column(rels) + " > " + g.value()
	case 9:
		return g.column(rels) + " IS NULL"
	case 10:
		return g.column(rels) + " = " + g.column(rels)
	case 11:
		if depth > 0 {
			from, inner := g.from(depth - 1)
			not := pick(g, "", "", "NOT ")
			return not + "EXISTS (SELECT 1 FROM " + from + g.correlated(rels, inner, depth-1) + ")"
		}
	case 12:
		if depth > 0 {
			sub, _ := g.derived(depth - 1)
			return key + pick(g, " IN", " IN", " NOT IN") + " (SELECT k FROM (" + sub + ") " + g.alias() + ")"
		}
	case 13:
		if depth > 0 {
			return "(" + key + ", " + g.column(rels) + ") = (" + g.value() + ", " + g.value() + ")"
		}
	}
	return key + " = " + g.value()
}

// correlated is the WHERE clause of a subquery that refers to the outside.
func (g *generator) correlated(outer, inner []fromRel, depth int) string {
	o, i := pick(g, outer...), pick(g, inner...)
	where := g.where(inner, depth)
	link := fmt.Sprintf("%s.%s = %s.%s", i.alias, i.key, o.alias, o.key)
	if where == "" {
		return " WHERE " + link
	}
	return where + " AND " + link
}

// statement returns a SELECT, sometimes a write.
func (g *generator) statement() string {
	g.aliases = 0
	if g.chance(12) {
		return g.write()
	}
	with := ""
	from, rels := g.from(2)
	if g.chance(12) {
		sub, cols := g.derived(1)
		r := fromRel{g.alias(), cols[0], cols}
		with = "WITH w AS (" + sub + ") "
		from, rels = from+" JOIN w "+r.alias+" ON "+g.joinOn(rels, r), append(rels, r)
	}
	return with + g.shape(from, rels)
}

func (g *generator) shape(from string, rels []fromRel) string {
	where := g.where(rels, 2)
	r := rels[0]
	key := r.alias + "." + r.key
	cols := []string{key}
	for g.chance(60) {
		cols = append(cols, g.column(rels))
	}
	list := strings.Join(cols, ", ")
	switch g.IntN(9) {
	case 0:
		return "SELECT count(*), min(" + g.column(rels) + "), max(" + g.column(rels) + ") FROM " + from + where
	case 1:
		return "SELECT " + key + ", count(*), max(" + g.column(rels) + ") FROM " + from + where + " GROUP BY " + key + pick(g, "", " HAVING count(*) > 1", " ORDER BY count(*), 1")
	case 2:
		return "SELECT DISTINCT " + list + " FROM " + from + where
	case 3:
		return "SELECT " + list + " FROM " + from + where + g.order(len(cols)) + pick(g, "", " LIMIT 5", " LIMIT 3 OFFSET 2", " OFFSET 4")
	case 4:
		return "SELECT " + list + " FROM " + from + where + " ORDER BY " + g.column(rels) + pick(g, "", " DESC", " NULLS FIRST")
	case 5:
		return "SELECT " + list + ", (SELECT count(*) FROM orders y WHERE y.user_id = " + key + ") FROM " + from + where
	case 6:
		return "SELECT " + key + ", rank() OVER (PARTITION BY " + key + " ORDER BY " + list + "), count(*) OVER (PARTITION BY " +
			pick(g, key, g.column(rels)) + ") FROM " + from + where
	}
	return "SELECT " + list + " FROM " + from + where
}

// order orders by every column, so that LIMIT has one answer.
func (g *generator) order(columns int) string {
	keys := make([]string, columns)
	for i := range keys {
		keys[i] = strconv.Itoa(i+1) + pick(g, "", "", " DESC", " NULLS FIRST")
	}
	return " ORDER BY " + strings.Join(keys, ", ")
}

func (g *generator) write() string {
	switch g.IntN(6) {
	case 0:
		return "DELETE FROM orders x" + g.where([]fromRel{{"x", "user_id", []string{"id", "user_id", "total"}}}, 1)
	case 1:
		return "UPDATE orders x SET total = 1" + g.where([]fromRel{{"x", "user_id", []string{"id", "user_id", "total"}}}, 1) + " RETURNING x.id"
	case 2:
		from, rels := g.from(1)
		x := fromRel{"x", "user_id", []string{"id", "user_id", "total"}}
		return "UPDATE orders x SET status = 'z' FROM " + from + " WHERE " + g.joinOn(rels, x) + " AND " + g.condition(append(rels, x), 1)
	case 3:
		from, rels := g.from(1)
		return "INSERT INTO order_items (user_id, qty) SELECT " + rels[0].alias + "." + rels[0].key + ", 1 FROM " + from + g.where(rels, 1) + " RETURNING user_id"
	case 4:
		return "INSERT INTO orders (user_id, id) VALUES (" + g.value() + ", 100), (" + g.value() + ", 101) ON CONFLICT (user_id, id) DO UPDATE SET total = 5 RETURNING user_id"
	}
	return "WITH d AS (DELETE FROM orders x" + g.where([]fromRel{{"x", "user_id", []string{"id", "user_id", "total"}}}, 1) +
		" RETURNING user_id, id) INSERT INTO order_items (user_id, order_id) SELECT user_id, id FROM d"
}
