package difftest

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// class is a family of types that compare with each other.
type class int

const (
	integer class = iota + 1
	text
	bytewise // text COLLATE "C"
	decimal
	boolean
	day
	moment
	identity // uuid
	bytea
	enum
	array
	address
	float
	unused // what statements do not name
)

var allClasses = []class{integer, integer, integer, text, bytewise, decimal, boolean, day, moment, identity, bytea, enum, array, address}

// column is one that a statement may name. Equal values of a column look the same, or grouping leaves free which is shown; floats
// do not (-0 and 0) and are only output.
type column struct {
	name  string
	class class
}

// table is what the generator knows of a relation of the setup.
type table struct {
	name    string
	key     string
	keys    []string // literals of keys that lie on the shards with rows, some of them with rows of their own
	second  string   // the second column of the key, if it has two; keys are of the first then
	seconds []string
	primary string
	columns []column
	all     []column // in the table's order, with the unused ones
}

// view stands for the primary key of what is not written to.
const view = "\x00"

func cols(list string) []column {
	classes := map[string]class{"i": integer, "t": text, "c": bytewise, "d": decimal, "b": boolean, "y": day, "m": moment, "u": identity,
		"x": bytea, "e": enum, "a": array, "n": address, "f": float, "-": unused}
	var columns []column
	for _, field := range strings.Fields(list) {
		name, code, _ := strings.Cut(field, ":")
		columns = append(columns, column{name, classes[code]})
	}
	return columns
}

var (
	someIDs    = strings.Fields("1 3 4 6 8 9 10 13 14 15 17 20 21 24 33 39 41")
	someUUIDs  = []string{"'00000000-0000-4000-8000-000000000002'", "'00000000-0000-4000-8000-000000000003'", "'00000000-0000-4000-8000-000000000005'", "'00000000-0000-4000-8000-000000000012'", "'00000000-0000-4000-8000-000000000028'"}
	someHalls  = strings.Fields("1 2 3 4")
	somePlaces = []string{"'A1'", "'A2'", "'B1'", "'B2'", "'C 3'"}
	someTexts  = []string{"'Ada'", "'ada'", "'zoe'", "'Zebra'", "'a b'", "'ab'", "'a-b'", "'émile'", "'x'"}
)

// theTables are the relations that random statements use; the first ones come more often.
func theTables() []table {
	tables := []table{
		{name: "people", key: "id", keys: someIDs, primary: "id", columns: cols("id:i name:t nick:c code:t email:t age:i grade:i height:f weight:- balance:d score:- active:b born:y seen:m joined:m span:- tag:u pic:x prefs:- raw:- nums:a words:- mood:e stars:i years:- addr:n boss:i")},
		{name: "orders", key: "person_id", keys: someIDs, primary: "person_id, id", columns: cols("person_id:i id:i item:t qty:i price:- status:e placed:m note:t sku:i")},
		{name: "lines", key: "person_id", keys: someIDs, primary: "person_id, order_id, no", columns: cols("person_id:i order_id:i no:i sku:i amount:d weight:f")},
		{name: "bag", key: "k", keys: someIDs, primary: "", columns: cols("k:i v:t n:i f:f")},
		{name: "accounts", key: "login", keys: someTexts, primary: "login", columns: cols("login:t owner:i credit:d level:i opened:y note:t")},
		{name: "devices", key: "id", keys: someUUIDs, primary: "id", columns: cols("id:u owner:i label:t seen:m metrics:-")},
		{name: "ledger", key: "account_id", keys: strings.Fields("1 5 7 999 1000 1500 1999"), primary: "account_id, no", columns: cols("account_id:i no:i amount:- memo:t")},
		{name: "invoices", key: "country", keys: []string{"'DE'", "'FR'"}, primary: "country, no", columns: cols("country:t no:i total:d paid:b")},
		{name: "hollow", key: "id", keys: someIDs, primary: "id", columns: cols("id:i v:t n:i")},
		{name: "seats", key: "hall", keys: someHalls, second: "place", seconds: somePlaces, primary: "hall, place", columns: cols("hall:i place:t price:d taken:b holder:i since:y")},
		{name: "tickets", key: "hall", keys: someHalls, second: "place", seconds: somePlaces, primary: "place, hall, no", columns: cols("hall:i place:t no:i label:t paid:d")},
		{name: "countries", key: "code", keys: nil, primary: "code", columns: cols("code:t name:t people:i area:f")},
		{name: "products", key: "sku", keys: nil, primary: "sku", columns: cols("sku:i name:t price:- kind:e parent:i")},
		{name: "notes", key: "id", keys: nil, primary: "id", columns: cols("id:i person_id:i body:t written:y")},
		{name: "adults", key: "id", keys: someIDs, primary: view, columns: cols("id:i name:t age:i mood:e born:y")},
		{name: "spending", key: "person_id", keys: someIDs, primary: view, columns: cols("person_id:i orders:i items:i")},
		{name: "noted", key: "id", keys: someIDs, primary: view, columns: cols("id:i name:t body:t written:y")},
	}
	for i := range tables {
		t := &tables[i]
		t.all = t.columns
		t.columns = used(t.all)
	}
	return tables
}

func used(columns []column) []column {
	return slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.class == unused })
}

// generator makes random statements.
type generator struct {
	*rand.Rand
	tables  []table
	aliases int
}

func newGenerator(seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 19)), tables: theTables()}
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

// table picks one, sharded ones more often.
func (g *generator) table() table {
	return g.tables[min(g.IntN(len(g.tables)), g.IntN(len(g.tables)+4)%len(g.tables))]
}

func (g *generator) alias() string {
	g.aliases++
	return "t" + strconv.Itoa(g.aliases)
}

// visible is a relation that expressions may name.
type visible struct {
	alias   string
	key     string
	keys    []string
	second  string
	seconds []string
	columns []column
	all     []column // in its order, with the unused ones; nil: there are none
}

// scope lists the relations that an expression sees, those of outer queries first.
type scope []visible

func (s scope) with(v ...visible) scope { return append(slices.Clone(s), v...) }

// column returns a reference to one of a class, or "".
func (g *generator) column(s scope, c class) string {
	var found []string
	for _, v := range s {
		for _, column := range v.columns {
			if column.class == c {
				found = append(found, v.alias+"."+column.name)
			}
		}
	}
	if len(found) == 0 {
		return ""
	}
	return pick(g, found...)
}

// leaf is a column or a constant.
func (g *generator) leaf(s scope, c class) *tree {
	if name := g.column(s, c); name != "" && !g.chance(20) {
		return of(sortOf(c), name)
	}
	if c == float {
		return of(sortOf(c), "1.5::float8")
	}
	return of(sortOf(c), "%s", g.constant(c)).or("NULL")
}

func sortOf(c class) string { return "expression " + strconv.Itoa(int(c)) }

// constant is a literal, of a value that tables have or nearly have.
func (g *generator) constant(c class) *literal {
	typed := func(name string, oid uint32, values ...string) *literal {
		v := pick(g, values...)
		return &literal{sql: "'" + v + "'::" + name, oid: oid, value: v}
	}
	switch c {
	case integer:
		v := pick(g, "0", "1", "2", "3", "4", "5", "9", "20", "33", "100")
		return &literal{sql: v, oid: 23, value: v}
	case text:
		return typed("text", 25, "a", "ada", "Ada", "pen", "x", "", "Zoë", "DE", "b")
	case bytewise:
		v := pick(g, "a", "B", "ab", "Ä")
		return &literal{sql: "('" + v + "' COLLATE \"C\")"}
	case decimal:
		return typed("numeric", 1700, "0.00", "1.50", "99.99", "2.50", "100.00")
	case boolean:
		return &literal{sql: pick(g, "true", "false")}
	case day:
		return typed("date", 1082, "2000-01-01", "2020-05-01", "1999-12-31")
	case moment:
		return typed("timestamptz", 1184, "2024-01-01 10:00:00+00", "2020-10-25 00:30:00+00")
	case identity:
		return typed("uuid", 2950, "00000000-0000-4000-8000-000000000003", "00000000-0000-4000-8000-000000000001")
	case bytea:
		return &literal{sql: `'\xff'::bytea`}
	case enum:
		return &literal{sql: pick(g, "'sad'", "'ok'", "'happy'") + "::mood"}
	case array:
		return typed("int[]", 1007, "{1}", "{}", "{1,2,3}", "{NULL,2}")
	}
	return &literal{sql: pick(g, "'10.0.0.1'", "'::1'") + "::inet"}
}

// expression of a class over what is in scope.
func (g *generator) expression(s scope, c class, depth int) *tree {
	if depth <= 0 || g.chance(55) {
		return g.leaf(s, c)
	}
	sub := func(c class) *tree { return g.expression(s, c, depth-1) }
	switch g.IntN(5) {
	case 0:
		return of(sortOf(c), "coalesce(%s, %s)", sub(c), sub(c))
	case 1:
		return of(sortOf(c), "CASE WHEN %s THEN %s ELSE %s END", g.condition(s, depth-1), sub(c), sub(c))
	case 2:
		if c != float {
			return of(sortOf(c), "nullif(%s, %s)", sub(c), sub(c))
		}
	}
	switch c {
	case integer:
		return g.integerExpression(s, depth)
	case text:
		return g.textExpression(s, depth)
	case boolean:
		return of(sortOf(c), "(%s)", g.condition(s, depth-1))
	case decimal:
		return of(sortOf(c), "(%s + %s)", sub(c), sub(c))
	case day:
		return of(sortOf(c), "(%s + %s)", sub(c), pick(g, "1", "30"))
	}
	return g.leaf(s, c)
}

func (g *generator) integerExpression(s scope, depth int) *tree {
	sub := func(c class) *tree { return g.expression(s, c, depth-1) }
	switch g.IntN(7) {
	case 0:
		return of(sortOf(integer), "length(%s)", sub(text))
	case 1:
		return of(sortOf(integer), "(%s % 3)", sub(integer))
	case 2:
		return of(sortOf(integer), "greatest(%s, %s)", sub(integer), sub(integer))
	case 3:
		if depth > 1 {
			q := g.subquery(s, depth-2)
			return of(sortOf(integer), "(SELECT %s FROM %s%s)", g.aggregate(q.own, integer, 0), q.from, q.where)
		}
	case 4:
		return of(sortOf(integer), "cardinality(%s)", sub(array))
	}
	return of(sortOf(integer), "(%s %s %s)", sub(integer), pick(g, "+", "-"), sub(integer))
}

func (g *generator) textExpression(s scope, depth int) *tree {
	sub := func(c class) *tree { return g.expression(s, c, depth-1) }
	switch g.IntN(4) {
	case 0:
		return of(sortOf(text), "%s(%s)", pick(g, "upper", "lower", "reverse"), sub(text))
	case 1:
		return of(sortOf(text), "(%s || %s)", sub(text), sub(text))
	case 2:
		return of(sortOf(text), "%s::text", g.leaf(s, pick(g, integer, decimal, day, enum, boolean)))
	}
	return of(sortOf(text), "left(%s, 2)", sub(text))
}

const sortCondition = "condition"

// condition is a boolean expression, often one about a shard key.
func (g *generator) condition(s scope, depth int) *tree {
	if g.chance(35) {
		if c := g.keyCondition(s); c != nil {
			return c
		}
	}
	sub := func() *tree { return g.condition(s, depth-1) }
	if depth > 0 {
		switch g.IntN(9) {
		case 0:
			return of(sortCondition, "(%s OR %s)", sub(), sub()).or("true")
		case 1:
			return of(sortCondition, "(%s AND %s)", sub(), sub()).or("true")
		case 2:
			return of(sortCondition, "NOT (%s)", sub()).or("true")
		case 3:
			q := g.subquery(s, depth-1)
			return of(sortCondition, "%sEXISTS (SELECT 1 FROM %s%s)", pick(g, "", "", "NOT "), q.from, q.where).or("true")
		case 4:
			q := g.subquery(s, depth-1)
			c := pick(g, integer, integer, text)
			return of(sortCondition, "%s %s (SELECT %s FROM %s%s)", g.expression(s, c, 1), pick(g, "IN", "IN", "NOT IN"), g.leaf(q.scope, c), q.from, q.where).or("true")
		}
	}
	return g.comparison(s, depth)
}

func (g *generator) comparison(s scope, depth int) *tree {
	c := pick(g, allClasses...)
	sub := func() *tree { return g.expression(s, c, depth-1) }
	switch g.IntN(7) {
	case 0:
		return of(sortCondition, "%s IS %sNULL", sub(), pick(g, "", "NOT ")).or("true")
	case 1:
		return of(sortCondition, "%s IN (%s, %s)", sub(), g.leaf(nil, c), g.leaf(nil, c)).or("true")
	case 2:
		return of(sortCondition, "%s IS %sDISTINCT FROM %s", sub(), pick(g, "", "NOT "), sub()).or("true")
	case 3:
		if c != boolean {
			return of(sortCondition, "(%s) BETWEEN %s AND %s", sub(), sub(), sub()).or("true")
		}
	case 4:
		return of(sortCondition, "%s LIKE %s", g.expression(s, text, 1), pick(g, "'a%'", "'%e%'", "'_'")).or("true")
	}
	return of(sortCondition, "%s %s %s", sub(), pick(g, "=", "=", "=", "<", ">", "<=", ">=", "<>"), sub()).or("true")
}

// keyCondition compares a shard key with constants or with another key.
func (g *generator) keyCondition(s scope) *tree {
	v, first := g.keyColumnCondition(s)
	if v.second == "" || g.chance(15) {
		return first
	}
	key := v.alias + "." + v.second
	if g.chance(30) {
		return of(sortCondition, "%s%s", first, of("", " AND %s IN (%s, %s)", key, pick(g, v.seconds...), pick(g, v.seconds...)).maybe())
	}
	return of(sortCondition, "%s%s", first, of("", " AND %s = %s", key, g.key(visible{keys: v.seconds})).maybe())
}

// keyColumnCondition is one on the first column of a key.
func (g *generator) keyColumnCondition(s scope) (visible, *tree) {
	var keyed []visible
	for _, v := range s {
		if len(v.keys) > 0 {
			keyed = append(keyed, v)
		}
	}
	if len(keyed) == 0 {
		return visible{}, nil
	}
	v := pick(g, keyed...)
	key := v.alias + "." + v.key
	switch g.IntN(6) {
	case 0:
		return v, of(sortCondition, "%s IN (%s, %s)", key, g.key(v), g.key(v)).or("true")
	case 1:
		return v, of(sortCondition, "%s = ANY (ARRAY[%s, %s])", key, g.key(v), g.key(v)).or("true")
	case 2:
		other := pick(g, keyed...)
		if strings.HasPrefix(other.keys[0], "'") == strings.HasPrefix(v.keys[0], "'") && other.keys[0] == v.keys[0] {
			return v, of(sortCondition, "%s = %s.%s", key, other.alias, other.key).or("true")
		}
	case 3:
		return v, of(sortCondition, "%s > %s", key, g.key(v)).or("true")
	}
	return v, of(sortCondition, "%s = %s", key, g.key(v)).or("true")
}

// key is a constant for a shard key.
func (g *generator) key(v visible) *literal {
	k := pick(g, v.keys...)
	l := &literal{sql: k, value: strings.Trim(k, "'")}
	switch {
	case !strings.HasPrefix(k, "'"):
		l.oid = pick(g, uint32(23), 20)
	case strings.Contains(k, "-4000-"):
		l.sql, l.oid = k+"::uuid", 2950
	default:
		l.oid = 25
	}
	return l
}

// source is FROM and WHERE, and what they make visible.
type source struct {
	from, where *tree
	scope       scope // with the outer scope
	own         scope // without
}

// subquery is a source that often refers to its surroundings.
func (g *generator) subquery(outer scope, depth int) source {
	q := g.source(outer, depth)
	if len(outer) == 0 || g.chance(30) {
		return q
	}
	link := of(sortCondition, "%s = %s", g.leaf(q.own, integer), g.leaf(outer, integer)).or("true")
	in, out := pick(g, q.own...), pick(g, outer...)
	if len(in.keys) > 0 && len(out.keys) > 0 && in.keys[0] == out.keys[0] && g.chance(75) {
		link = g.sameKey(in, out)
	}
	if len(q.where.parts) == 0 {
		q.where = of("", " WHERE %s", link)
	} else {
		q.where = of("", "%s%s", q.where, of("", " AND %s", link).maybe())
	}
	return q
}

func (g *generator) source(outer scope, depth int) source {
	q := source{}
	q.from, q.own = g.from(depth)
	q.scope = outer.with(q.own...)
	q.where = &tree{}
	if g.chance(75) {
		q.where = of("", " WHERE %s", g.condition(q.scope, depth)).maybe()
		for g.chance(40) {
			q.where = of("", "%s%s", q.where, of("", " AND %s", g.condition(q.scope, depth)).maybe())
		}
	}
	return q
}

// sameKey joins two relations by their keys.
func (g *generator) sameKey(a, b visible) *tree {
	first := of(sortCondition, "%s.%s = %s.%s", a.alias, a.key, b.alias, b.key).or("true")
	if a.second == "" || b.second == "" || g.chance(15) {
		return first
	}
	return of(sortCondition, "%s%s", first, of("", " AND %s.%s = %s.%s", a.alias, a.second, b.alias, b.second).maybe())
}

// aggregate of a class.
func (g *generator) aggregate(s scope, c class, depth int) *tree {
	sub := func(c class) *tree { return g.expression(s, c, depth) }
	if c == integer && g.chance(70) {
		switch g.IntN(6) {
		case 0, 1:
			return of(sortOf(c), "count(*)")
		case 2:
			return of(sortOf(c), "count(%s)", sub(pick(g, allClasses...)))
		case 3:
			return of(sortOf(c), "count(DISTINCT %s)", sub(pick(g, integer, text, day)))
		case 4:
			return of(sortOf(c), "sum(%s)", sub(integer))
		}
		return of(sortOf(c), "count(*) FILTER (WHERE %s)", g.condition(s, depth))
	}
	if c == boolean {
		return of(sortOf(c), "%s(%s)", pick(g, "bool_and", "bool_or"), g.condition(s, depth))
	}
	if c == decimal && g.chance(40) {
		return pick(g, of(sortOf(c), "avg(%s)", sub(integer)), of(sortOf(c), "sum(%s)", sub(decimal)))
	}
	if c == array && g.chance(40) {
		argument := g.leaf(s, integer).String()
		return of(sortOf(c), "array_agg(%s ORDER BY %s)", argument, argument)
	}
	if c == text && g.chance(30) {
		argument := g.leaf(s, text).String()
		return of(sortOf(c), "string_agg(%s, ',' ORDER BY %s)", argument, argument)
	}
	return of(sortOf(c), "%s(%s)", pick(g, "min", "max"), sub(c))
}

// aggregated are the classes that aggregates may have.
var aggregated = []class{integer, integer, integer, text, bytewise, boolean, decimal, day, moment, enum, array, address}
