package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// rel is one relation of a FROM list, or the target of a write.
type rel struct {
	name  string          // alias, or the table's name
	table *topology.Table // nil for what is not a table of the snapshot
	query *query          // the query it is in the FROM list of

	source *pg.RangeVar // what names it, once it is pulled

	sub  *query // derived table: subquery, CTE, or the query of an IN
	cte  *cte   // it is a use of this CTE
	cols []string

	// quals are the conditions that hold for every row of this relation that
	// matters to the result, wherever else they apply.
	quals []*quals

	target   bool // written to
	inserted bool // only inserted into: its rows are not read
}

// node is one column of a relation. The zero node is no column.
type node struct {
	rel *rel
	col string
}

// item is what a FROM list makes visible under one name.
type item struct {
	name  string // "": only its columns can be named
	table topology.Name
	cols  []itemColumn
	known bool // cols is complete
	rel   *rel // nil for joins
}

type itemColumn struct {
	name   string
	node   node
	merged bool // stands in a USING column now: visible qualified only
}

// query is one level of a statement: a SELECT, a branch of a UNION, a VALUES
// list, or the level of a data-modifying statement.
type query struct {
	parent *query // level whose columns are visible too: a sublink's, a LATERAL item's
	ctes   *cte   // innermost visible CTE
	items  []*item
	rels   []*rel

	outers []outerJoin

	stmt    *pg.SelectStmt // nil for data-modifying statements
	outputs []output       // what it returns; nil: not known
	holder  *query         // the set operation that it is a branch of
	use     *rel           // the derived table that it is, unless a CTE
	cte     *cte           // the CTE that it is
	pass    pushdown

	conflictKey bool // INSERT: a conflicting row has the same shard key
}

// outerJoin is an outer join: its condition does not filter the rows kept.
type outerJoin struct {
	on             *quals
	kept, nullable []*rel
}

// output is one result column: its name, and the column it passes on unchanged.
type output struct {
	name    string
	node    node
	grouped bool
	typ     ring.KeyType // where there is no node but the type is known
	values  []operand    // a constant, or one for each row of VALUES
}

// cte is one entry of a WITH clause, linked to those visible before it.
type cte struct {
	name  string
	outer *cte
	query *query
	cols  []string
	uses  []*rel
	fixed bool // recursive or data-modifying: conditions on its result say nothing about its parts

	self      bool     // being analysed, so a reference is its own recursive term's
	firstTerm []output // of a recursive CTE, once known
}

// table adds the relation that a range variable names to the query.
func (a *analysis) table(q *query, v *pg.RangeVar) (*item, *rel) {
	if v.Schemaname == "" {
		if c := q.findCTE(v.Relname); c != nil {
			a.claimed[v] = true
			return a.useCTE(q, v, c)
		}
	}
	t, to := a.resolve(v)
	r := &rel{name: v.Relname, table: t, query: q}
	a.byRange[v] = r
	a.place(r, to)
	it := &item{name: v.Relname, rel: r}
	if t != nil {
		it.table = t.Name
		it.known = len(t.Columns) > 0
		for i := range t.Columns {
			it.cols = append(it.cols, itemColumn{name: t.Columns[i].Name, node: node{r, t.Columns[i].Name}})
		}
	}
	it.rename(v.Alias)
	q.rels = append(q.rels, r)
	return it, r
}

// place notes where the rows of a relation are.
func (a *analysis) place(r *rel, to target) {
	t := r.table
	switch {
	case to == targetCatalog, to == targetUnknown:
		a.catalogs = true
		return
	case to == targetTemp:
		a.catalogs = true
		return
	case t.Problem != "":
		a.refuse(&Refusal{Reason: Unsupported, Message: "table " + quoteIdent(t.Table) + " cannot be used", Detail: t.Problem + "."})
	}
	switch t.Kind {
	case topology.Sharded:
		a.refs = append(a.refs, r)
	case topology.Home:
		a.home(t.Shard)
	case topology.Reference, topology.KindUnset:
	}
	for _, under := range t.Reads {
		a.under(t, under)
	}
	if t.RelKind != 'm' {
		a.reachView(t)
	}
}

// under judges a relation that is read through another one.
func (a *analysis) under(t, under *topology.Table) {
	switch under.Kind {
	case topology.Reference, topology.KindUnset:
	case topology.Home:
		a.home(under.Shard)
	case topology.Sharded:
		if t.RelKind == 'm' {
			return // its rows were stored when it was refreshed
		}
		what := "inherits to"
		if t.View() {
			what = "is a view over"
		}
		a.onlyAlone(&Refusal{
			Reason:  Unsupported,
			Message: "relation " + quoteIdent(t.Table) + " reads a sharded table",
			Detail:  quoteIdent(t.Table) + " " + what + " " + quoteIdent(under.Table) + ", whose rows are on several shards.",
			Hint:    "Query " + quoteIdent(under.Table) + " itself.",
		})
		a.refs = append(a.refs, &rel{name: under.Table, table: under, query: &query{}})
	}
}

func (q *query) findCTE(name string) *cte {
	for c := q.ctes; c != nil; c = c.outer {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (a *analysis) useCTE(q *query, v *pg.RangeVar, c *cte) (*item, *rel) {
	r := &rel{name: v.Relname, query: q, sub: c.query, cte: c}
	c.uses = append(c.uses, r)
	it := &item{name: v.Relname, rel: r}
	if c.self {
		it.selfReference(c)
	} else {
		it.derive(c.query, c.cols)
	}
	it.rename(v.Alias)
	q.rels = append(q.rels, r)
	return it, r
}

// selfReference gives the item of a recursive CTE in its own recursive term the
// names of its columns; nothing is known of their values.
func (it *item) selfReference(c *cte) {
	it.known = c.firstTerm != nil
	for i, out := range c.firstTerm {
		name := out.name
		if i < len(c.cols) {
			name = c.cols[i]
		}
		it.cols = append(it.cols, itemColumn{name: name})
	}
}

// derive gives an item the columns of a subquery.
func (it *item) derive(sub *query, names []string) {
	if sub == nil || sub.outputs == nil {
		return
	}
	it.known = true
	for i, out := range sub.outputs {
		name := out.name
		if i < len(names) {
			name = names[i]
		}
		// The node is named by position: names need not be unique.
		it.cols = append(it.cols, itemColumn{name: name, node: node{it.rel, outputColumn(i)}})
	}
}

// rename applies an alias with its column names.
func (it *item) rename(alias *pg.Alias) {
	if alias == nil {
		return
	}
	it.name = alias.Aliasname
	it.table = topology.Name{}
	if it.rel != nil {
		it.rel.name = alias.Aliasname
	}
	names, _ := words(alias.Colnames)
	for i, name := range names {
		if i < len(it.cols) {
			it.cols[i].name = name
		} else {
			it.known = false
		}
	}
}

// outputColumn names the i-th column of a derived table in nodes.
func outputColumn(i int) string { return "\x00" + string(rune(i+1)) }

// outputIndex is the inverse of outputColumn; -1 for a name of a table's.
func outputIndex(col string) int {
	if len(col) == 0 || col[0] != 0 {
		return -1
	}
	for _, r := range col[1:] {
		return int(r) - 1
	}
	return -1
}

// column resolves a column reference to the column it names, as PostgreSQL
// would; the zero node when that is not a column of a known relation, or not
// certain.
func (q *query) column(ref *pg.ColumnRef) node {
	fields, ok := words(ref.Fields)
	if !ok {
		return node{}
	}
	switch len(fields) {
	case 1:
		return q.unqualified(fields[0])
	case 2:
		return q.qualified(topology.Name{Table: fields[0]}, fields[1])
	case 3:
		return q.qualified(topology.Name{Schema: fields[0], Table: fields[1]}, fields[2])
	}
	return node{}
}

func (q *query) unqualified(name string) node {
	for level := q; level != nil; level = level.parent {
		found, n := 0, node{}
		unknown := 0
		for _, it := range level.items {
			if !it.known {
				unknown++
			}
			for _, c := range it.cols {
				if c.name == name && !c.merged {
					found++
					n = c.node
				}
			}
		}
		switch {
		case unknown == 0 && found == 0:
			continue
		case unknown == 0 && found == 1:
			return n
		case unknown == 1 && len(level.items) == 1 && level.parent == nil:
			return level.items[0].assumed(name)
		}
		return node{}
	}
	return node{}
}

// assumed returns the column of an item whose columns are not known, for a name
// that can be nothing else: only a table that does not exist yet.
func (it *item) assumed(name string) node {
	if it.rel == nil || it.rel.table == nil || it.rel.table.Exists {
		return node{}
	}
	return node{it.rel, name}
}

func (q *query) qualified(of topology.Name, name string) node {
	for level := q; level != nil; level = level.parent {
		var match *item
		for _, it := range level.items {
			if !it.answers(of) {
				continue
			}
			if match != nil {
				return node{} // two items of one name: PostgreSQL reports it
			}
			match = it
		}
		if match != nil {
			return match.column(name)
		}
	}
	return node{}
}

// answers says whether a column reference qualified by of means this item.
func (it *item) answers(of topology.Name) bool {
	if of.Schema != "" {
		return it.table == of
	}
	return it.name != "" && it.name == of.Table
}

func (it *item) column(name string) node {
	found, n := 0, node{}
	for _, c := range it.cols {
		if c.name == name {
			found++
			n = c.node
		}
	}
	switch {
	case found == 1:
		return n
	case found == 0 && !it.known:
		return it.assumed(name)
	}
	return node{}
}

// keyType returns the type of a node's column as a key; KeyUnset when it is
// not known or its equality is not that of keys.
func (n node) keyType() ring.KeyType {
	if n.rel == nil {
		return ring.KeyUnset
	}
	if n.rel.sub != nil {
		i := outputIndex(n.col)
		if i < 0 || i >= len(n.rel.sub.outputs) {
			return ring.KeyUnset
		}
		return n.rel.sub.outputs[i].keyType()
	}
	t := n.rel.table
	if t == nil {
		return ring.KeyUnset
	}
	i := t.Column(n.col)
	if i < 0 {
		if at := slices.Index(t.Key, n.col); !t.Exists && at >= 0 {
			return keyColumnType(t, at)
		}
		return ring.KeyUnset
	}
	if t.Columns[i].Nondeterministic {
		return ring.KeyUnset
	}
	keyType, _ := ring.KeyTypeOf(t.Columns[i].Type)
	return keyType
}

func (o output) keyType() ring.KeyType {
	if o.node.rel != nil {
		return o.node.keyType()
	}
	return o.typ
}

// isKey says whether the node is all of the shard key of a sharded table.
func (n node) isKey() bool {
	t := n.rel.table
	return t != nil && t.Kind == topology.Sharded && len(t.Key) == 1 && t.Key[0] == n.col
}

// inner returns the column that a derived table's column passes on.
func (n node) inner() node {
	i := outputIndex(n.col)
	if n.rel.sub == nil || i < 0 || i >= len(n.rel.sub.outputs) {
		return node{}
	}
	return n.rel.sub.outputs[i].node
}
