package router

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// fetch is a set of rows that a statement needs: some columns of one relation,
// under conditions.
type fetch struct {
	need    requirement  // of a sharded relation: which shards have the rows
	shard   ring.ShardID // of a home relation: the one that has them
	table   string       // its name as SQL
	only    bool         // without the tables that inherit from it
	alias   string       // as SQL: how the conditions name it
	columns []fetched
	first   int    // number of its first column in the temporary table
	where   string // conditions that its rows must meet to matter; empty: none

	combined bool   // the columns are expressions over groups of rows, and where is part of what they mean
	group    string // GROUP BY as SQL; empty: all rows are one group
}

// fetched is one column of a fetch.
type fetched struct {
	name  string // as SQL
	label string // of an expression: its name in the final statement
	// as is the column's type if it travels as text: types that are not built in
	// may hold oids, which differ between servers, and a domain that is never NULL
	// cannot be a column of rows that have none of it.
	as string
}

// fetches makes the fetches: one for each relation, or one for several that need
// the same.
func (w *pulling) fetches() {
	conditions := w.conditions()
	for _, r := range w.rels {
		f := w.fetch(r, conditions[r])
		if w.why != nil {
			return
		}
		i := w.like(&f)
		if i < 0 {
			i = len(w.p.fetches)
			f.first = w.p.columns + 1
			w.p.columns += len(f.columns)
			w.p.fetches = append(w.p.fetches, f)
		}
		w.p.marks = append(w.p.marks, mark{fetch: i})
	}
	if w.p.columns > maxPullColumns {
		w.no("It needs more than " + strconv.Itoa(maxPullColumns) + " columns.")
	}
}

func (w *pulling) fetch(r *rel, conditions []*pg.Node) fetch {
	f := fetch{table: sqlName(r.table.Name), only: !r.source.Inh, alias: quoteIdent(r.name), shard: r.table.Shard}
	if r.table.Kind == topology.Sharded {
		f.shard = ""
		f.need = requirementOf(r)
	}
	for i := range r.table.Columns {
		if c := &r.table.Columns[i]; w.used.column(r, c.Name) {
			f.columns = append(f.columns, travelling(c))
		}
	}
	if len(conditions) > 0 {
		text, ok := deparse(&pg.SelectStmt{TargetList: []*pg.Node{resTarget("", integer(1))}, WhereClause: allOf(conditions),
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE})
		var where string
		if where, ok = strings.CutPrefix(text, "SELECT 1 WHERE "); !ok {
			w.no("A condition could not be written with certainty.")
		}
		f.where = where
	}
	return f
}

// firstUserOID is the first of those that PostgreSQL does not know from the start.
const firstUserOID = 16384

// travelling says how a column is copied.
func travelling(c *topology.Column) fetched {
	const aclitem, aclitems = 1033, 1034
	f := fetched{name: quoteIdent(c.Name)}
	never := c.Domain && c.NotNull && c.Type != 700 && c.Type != 701 // floats could lose digits
	if c.Type >= firstUserOID || c.Type == aclitem || c.Type == aclitems || never {
		f.as = c.TypeName
	}
	return f
}

// like finds a fetch of the same rows that has the same columns.
func (w *pulling) like(f *fetch) int {
	for i := range w.p.fetches {
		g := &w.p.fetches[i]
		if g.table == f.table && g.only == f.only && g.where == "" && f.where == "" && len(g.columns) == len(f.columns) &&
			f.need.any == nil && g.need.any == nil {
			return i
		}
	}
	return -1
}

func allOf(list []*pg.Node) *pg.Node {
	if len(list) == 1 {
		return list[0]
	}
	return &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: pg.BoolExprType_AND_EXPR, Args: list}}}
}

func sqlName(n topology.Name) string { return quoteIdent(n.Schema) + "." + quoteIdent(n.Table) }

// wanted is what one execution asks for of a fetch.
type wanted struct {
	keys     string // a condition on the shard key; empty: none
	counting string // the condition that a row is not hidden on the shard; empty: none is
	plain    bool   // the fetch's conditions are left out
}

// rows is what a shard is asked for: the place where the text of every read of
// several shards but gather's is made. The columns are in order those given.
func (f *fetch) rows(columns string, w wanted) string {
	var b strings.Builder
	b.WriteString("SELECT " + columns + " FROM ")
	if f.only {
		b.WriteString("ONLY ")
	}
	b.WriteString(f.table)
	var conditions []string
	if f.where != "" && (f.combined || !w.plain) {
		conditions = append(conditions, "("+f.where+")")
	}
	for _, condition := range []string{w.keys, w.counting} {
		if condition != "" {
			conditions = append(conditions, condition)
		}
	}
	if len(conditions) > 0 || f.combined {
		b.WriteString(" AS " + f.alias)
	}
	if len(conditions) > 0 {
		b.WriteString(" WHERE " + strings.Join(conditions, " AND "))
	}
	return b.String() + f.group
}

// source is the text for a shard that sends the rows of these fetches: all in
// one statement, hence of one snapshot.
func (p *pull) source(list []int, want []wanted) string {
	var b strings.Builder
	for n, i := range list {
		if n > 0 {
			b.WriteString(" UNION ALL ")
		}
		columns := strconv.Itoa(i) + "::pg_catalog.int2"
		for j := range p.fetches {
			for _, c := range p.fetches[j].columns {
				value := c.name
				if i != j {
					value = p.fetches[j].null(c)
				}
				if c.as != "" {
					value += "::pg_catalog.text"
				}
				columns += ", " + value
			}
		}
		b.WriteString(p.fetches[i].rows(columns, want[i]))
	}
	return b.String()
}

// null is a NULL of the column's type.
func (f *fetch) null(c fetched) string { return "(NULL::" + f.table + ")." + c.name }

// create makes the temporary table.
func (p *pull) create() string {
	if p.combined {
		return p.createParts()
	}
	var b strings.Builder
	b.WriteString("CREATE TEMPORARY TABLE " + pullTable + " ON COMMIT DROP AS SELECT 0::pg_catalog.int2 AS k")
	for i := range p.fetches {
		f := &p.fetches[i]
		for j, c := range f.columns {
			value := f.null(c)
			if c.as != "" {
				value = "NULL::pg_catalog.text"
			}
			b.WriteString(", " + value + " AS c" + strconv.Itoa(f.first+j))
		}
	}
	b.WriteString(" WITH NO DATA")
	return b.String()
}

// createParts makes the temporary table of a fetch of groups: the types are those of the expressions.
func (p *pull) createParts() string {
	f := p.fetches[0]
	f.where = ""
	columns := "0::pg_catalog.int2 AS k"
	for j, c := range f.columns {
		value := c.name
		if c.as != "" {
			value += "::pg_catalog.text"
		}
		columns += ", " + value + " AS c" + strconv.Itoa(f.first+j)
	}
	return "CREATE TEMPORARY TABLE " + pullTable + " ON COMMIT DROP AS " + f.rows(columns, wanted{}) + " WITH NO DATA"
}

// held says where the rows of a fetch are.
type held struct {
	here, copied bool   // on the final shard, on others
	counting     string // wanted.counting of the final shard
}

// relation is the text that stands for a relation in the final statement: its
// rows there, those copied, or both. from is what has those copied.
func (p *pull) relation(i int, rows held, from string) string {
	f := &p.fetches[i]
	if !rows.copied && !f.combined && rows.counting == "" {
		if f.only {
			return "ONLY " + f.table
		}
		return f.table
	}
	var own, theirs []string
	for j, c := range f.columns {
		value, name := "c"+strconv.Itoa(f.first+j), c.name
		if c.as != "" {
			value += "::" + c.as
		}
		if c.label != "" {
			name = c.label
			own = append(own, c.name+" AS "+name)
		} else {
			own = append(own, name)
		}
		theirs = append(theirs, value+" AS "+name)
	}
	if len(f.columns) == 0 {
		own, theirs = []string{"1 AS pgring_row"}, []string{"1 AS pgring_row"}
	}
	var texts []string
	if rows.here {
		texts = append(texts, f.rows(strings.Join(own, ", "), wanted{plain: true, counting: rows.counting}))
	}
	if rows.copied || f.combined {
		texts = append(texts, "SELECT "+strings.Join(theirs, ", ")+" FROM "+from)
	}
	return "(" + strings.Join(texts, " UNION ALL ") + ")"
}
