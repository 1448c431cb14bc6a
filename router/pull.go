package router

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// pull is how a SELECT runs that gather cannot merge: the rows that it needs of
// other shards are copied into a temporary table on one shard, and there
// PostgreSQL itself runs the client's statement, in which each relation that is
// not whole on that shard is replaced by a subquery of the rows that are there
// and the rows that were copied.
//
// Each shard is asked once, for the rows of all relations, so that they are of
// one snapshot; the final shard's own rows are read by the final statement
// itself. A row copied has the number of its fetch in column k.
type pull struct {
	text     string // the client's statement, with marks in the place of relations
	fetches  []fetch
	marks    []mark
	at       ring.ShardID // the final shard; empty: any that has rows
	columns  int          // of all fetches
	params   []int        // in the conditions of the fetches, from 0
	why      string       // gather does not do
	combined bool         // the fetch is of groups, which the final statement combines
	around   wrapping     // the statement that the query is in; zero: it is the statement itself
}

// mark is one place in the statement where a relation stood.
type mark struct {
	name  string // in the text
	fetch int
}

// pulling is the work on one pull.
type pulling struct {
	a     *analysis
	top   *pg.SelectStmt
	p     *pull
	why   *Refusal
	used  usage
	rels  []*rel
	undo  []func() // the statement's tree is changed while its text is written
	names map[string]int
}

// pullTable is the name of the temporary table; it lives for one statement.
const pullTable = `pgring_pull`

// maxPullColumns bounds the columns of the temporary table; PostgreSQL allows
// 1,600.
const maxPullColumns = 1200

// planPull plans a SELECT by copying rows to one shard, or says why it cannot
// be.
func (a *analysis) planPull(s *pg.SelectStmt) (*pull, *Refusal) {
	a.special = true // literals are in the texts
	w := &pulling{a: a, top: s, p: &pull{}, names: map[string]int{}}
	defer w.restore()
	for _, step := range []func(){w.judge, w.place, w.relations, w.usage, w.fetches, w.groups, w.qualified, w.finish} {
		step()
		if w.why != nil {
			return nil, w.why
		}
	}
	return w.p, nil
}

// no notes why the statement cannot be answered.
func (w *pulling) no(detail string) {
	if w.why == nil {
		w.why = &Refusal{Reason: Unsupported, Message: "statement cannot be answered from several shards", Detail: detail, Hint: w.a.pinHint()}
	}
}

// judge refuses what would not mean the same when it runs over copied rows.
func (w *pulling) judge() {
	switch {
	case w.a.alone != nil:
		w.why = w.a.alone
	case w.a.survey.locking:
		w.no("Row locks over several shards are not supported.")
	case w.a.hasEffects():
		w.no("It may have side effects.")
	case w.a.survey.samples > 0:
		w.no("TABLESAMPLE over several shards is not supported.")
	}
}

// place chooses the final shard, if home relations or functions do.
func (w *pulling) place() {
	a := w.a
	home := a.st.catalogs || a.survey.callsUser
	for _, f := range a.survey.funcs {
		class := a.classify(f)
		name, _, _ := lastWord(f.Funcname)
		home = home || (class.stable || class.volatile) && !anywhereFunction(name)
	}
	for _, t := range a.survey.casts {
		home = home || !anywhereType(t)
	}
	switch {
	case home || slices.Contains(a.homes, a.snap.Home):
		w.p.at = a.snap.Home
	case len(a.homes) > 0:
		w.p.at = a.homes[0]
	}
}

// relations lists the relations that may have to be copied, in the order of the
// text.
func (w *pulling) relations() {
	ranges := slices.SortedFunc(maps.Keys(w.a.byRange), func(x, y *pg.RangeVar) int { return cmp.Compare(x.Location, y.Location) })
	for _, v := range ranges {
		r := w.a.byRange[v]
		w.names[r.name]++
		if r.table == nil || !w.moves(r.table) {
			continue
		}
		r.source = v
		w.rels = append(w.rels, r)
		if !r.table.Exists || len(r.table.Columns) == 0 {
			w.no("Table " + quoteIdent(whole(r.table)) + " is not known to the home shard yet.")
		}
	}
}

// moves says whether rows of the table may be on other shards than the final
// one.
func (w *pulling) moves(t *topology.Table) bool {
	return t.Kind == topology.Sharded || t.Kind == topology.Home && t.Shard != w.p.at
}

// groups completes GROUP BY: it may name the primary key only, and the other
// columns follow from it. PostgreSQL knows that of tables, not of subqueries.
func (w *pulling) groups() {
	for _, q := range w.a.levels {
		if q.stmt == nil || len(q.stmt.GroupClause) == 0 {
			continue
		}
		grouped, plain := w.a.groupedNodes(q)
		if !plain {
			continue
		}
		for _, r := range w.rels {
			if r.query == q && r.followsFrom(grouped) {
				w.addGroups(q, r, grouped)
			}
		}
	}
}

// groupedNodes lists the columns that GROUP BY names; plain: without grouping
// sets.
func (a *analysis) groupedNodes(q *query) (grouped map[node]bool, plain bool) {
	grouped = map[node]bool{}
	for _, n := range q.stmt.GroupClause {
		if n.GetGroupingSet() != nil {
			return nil, false
		}
		if i := int(n.GetAConst().GetIval().GetIval()); n.GetAConst() != nil && i > 0 && i <= len(q.stmt.TargetList) {
			n = q.stmt.TargetList[i-1].GetResTarget().GetVal()
		}
		if ref := n.GetColumnRef(); ref != nil {
			grouped[q.groupColumn(ref)] = true
		}
	}
	return grouped, true
}

// followsFrom says whether the relation's primary key is among the columns.
func (r *rel) followsFrom(grouped map[node]bool) bool {
	for _, column := range r.table.Primary {
		if !grouped[node{r, column}] {
			return false
		}
	}
	return len(r.table.Primary) > 0
}

// addGroups adds the columns that the level uses of a relation whose primary key
// is in GROUP BY.
func (w *pulling) addGroups(q *query, r *rel, grouped map[node]bool) {
	it := q.itemNamed(r.name)
	if it == nil || it.rel != r {
		return
	}
	before := q.stmt.GroupClause
	w.undo = append(w.undo, func() { q.stmt.GroupClause = before })
	groups := slices.Clone(before)
	for _, c := range it.cols {
		if c.node.rel != r || grouped[c.node] || !w.used.column(r, c.node.col) {
			continue
		}
		if i := r.table.Column(c.node.col); i >= 0 && !groupable(r.table.Columns[i].Type) {
			continue
		}
		groups = append(groups, columnNode(r.name, c.name))
	}
	q.stmt.GroupClause = groups
}

// groupable says whether a type has an equality that GROUP BY can use.
func groupable(oid uint32) bool {
	switch oid {
	case 114, 142, 600, 601, 602, 603, 604, 718: // json, xml, geometry
		return false
	}
	return true
}

// qualified drops the schemas of column references to the relations, which get
// their table's name as an alias.
func (w *pulling) qualified() {
	for _, ref := range w.used.schemas {
		before := ref.Fields
		name := before[1].GetString_().GetSval()
		if w.names[name] > 1 {
			w.no("Column references with schemas are not followed where several relations are named " + quoteIdent(name) + ".")
			return
		}
		w.undo = append(w.undo, func() { ref.Fields = before })
		ref.Fields = before[1:]
	}
}

// finish writes the statement with marks.
func (w *pulling) finish() {
	for i, r := range w.rels {
		v, before := r.source, clone(r.source)
		w.undo = append(w.undo, func() {
			v.Relname, v.Schemaname, v.Inh, v.Alias = before.Relname, before.Schemaname, before.Inh, before.Alias
		})
		if v.Alias == nil {
			v.Alias = &pg.Alias{Aliasname: v.Relname}
		}
		v.Relname, v.Schemaname, v.Inh = w.mark(i), "", true
		w.p.marks[i].name = v.Relname
	}
	text, ok := deparse(w.top)
	if !ok {
		w.no("Its text could not be written with certainty.")
		return
	}
	for _, m := range w.p.marks {
		if strings.Count(text, m.name) != 1 {
			w.no("Its text could not be written with certainty.")
			return
		}
	}
	w.p.text = text
}

// mark is a name that does not occur in the statement.
func (w *pulling) mark(i int) string {
	name := "pgring_mark_" + strconv.Itoa(i) + "_"
	for strings.Contains(string(w.a.src.text), name) {
		name += "_"
	}
	return name
}

// restore gives the tree back as it was.
func (w *pulling) restore() {
	for _, undo := range slices.Backward(w.undo) {
		undo()
	}
}
