package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// A view is on the home shard. One that reads sharded tables is replaced by its
// query, as PostgreSQL's rewriter does: the statement is planned, and sent, in
// that form. What may be seen of the difference is not replaced, and refused as
// the view that it is.

// expansion is the work on the views in one statement.
type expansion struct {
	a     *analysis
	tree  *pg.Node
	found bool
	bad   bool
}

// expand returns the text of a statement that reads, with the queries of its
// views in their places; "" if it has no views to be replaced.
func (a *analysis) expand(node *pg.Node) string {
	switch node.Node.(type) {
	case *pg.Node_SelectStmt, *pg.Node_CopyStmt, *pg.Node_CreateTableAsStmt, *pg.Node_ExplainStmt:
	default:
		return ""
	}
	if a.src.directive || !a.env.catalogFirst() {
		return ""
	}
	w := &expansion{a: a, tree: clone(node)}
	w.visit(w.tree.ProtoReflect())
	if !w.found || w.bad {
		return ""
	}
	text, ok := deparseNode(w.tree)
	if !ok {
		return ""
	}
	return text
}

// visit replaces the views in the FROM lists of m and below it, also those that
// the views' own queries read.
func (w *expansion) visit(m protoreflect.Message) {
	switch n := m.Interface().(type) {
	case *pg.LockingClause: // names of the FROM list
		return
	case *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt, *pg.RangeTableSample:
		w.bad = true
		return
	case *pg.Node:
		if v := n.GetRangeVar(); v != nil {
			w.replace(n, v)
		}
	}
	eachChild(m, w.visit)
}

// replace puts the query of a view in the place of its name.
func (w *expansion) replace(n *pg.Node, v *pg.RangeVar) {
	t, to := w.a.lookUp(v.Schemaname, v.Relname)
	if to != targetTable || !t.View() || !readsSharded(t) {
		return
	}
	alias := v.Alias
	if alias == nil {
		alias = &pg.Alias{Aliasname: v.Relname}
	}
	tree, err := pg.Parse(t.Definition)
	if err != nil || len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil || !w.namedPlainly(t, v, alias.Aliasname) {
		w.bad = true
		return
	}
	w.found = true
	n.Node = &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: tree.Stmts[0].Stmt, Alias: alias}}
}

// namedPlainly says whether the statement means a view by its name, and names
// its columns as those of a subquery are.
func (w *expansion) namedPlainly(t *topology.Table, v *pg.RangeVar, name string) bool {
	plain := true
	visitColumns(w.tree, func(ref *pg.ColumnRef) {
		fields, ok := words(ref.Fields)
		plain = plain && (!ok || len(fields) < 3 && (len(fields) != 1 || fields[0] != name || t.Column(name) >= 0))
	})
	var look func(m protoreflect.Message)
	look = func(m protoreflect.Message) {
		row := true // of a name.* right below
		switch e := m.Interface().(type) {
		case *pg.CommonTableExpr:
			plain = plain && (v.Schemaname != "" || e.Ctename != v.Relname)
		case *pg.ResTarget, *pg.RowExpr:
			row = false
		case *pg.FuncCall:
			row = !w.a.openCall(e)
		}
		eachChild(m, func(child protoreflect.Message) {
			if n, ok := child.Interface().(*pg.Node); ok && row && isStarOf(n.GetColumnRef(), name) {
				plain = false
			}
			look(child)
		})
	}
	look(w.tree.ProtoReflect())
	return plain
}

// isStarOf says whether a reference is name.*, which is all columns in a list and one row elsewhere.
func isStarOf(ref *pg.ColumnRef, name string) bool {
	fields := ref.GetFields()
	return len(fields) == 2 && fields[0].GetString_().GetSval() == name && fields[1].GetAStar() != nil
}

func readsSharded(t *topology.Table) bool {
	for _, under := range t.Reads {
		if under.Kind == topology.Sharded {
			return true
		}
	}
	return false
}

// expanded analyses a statement in the form that has no views.
func (r *Router) expanded(a *analysis, text string) (*Statement, bool, error) {
	var (
		splitter sql.Splitter
		piece    sql.Statement
	)
	splitter.Reset([]byte(text))
	splitter.Next(&piece)
	src := source{text: []byte(text)[piece.Start:piece.End], offset: piece.Start, pull: a.src.pull}
	if piece.Strippable {
		src.literals = piece.Literals
	}
	st, _, err := r.analyse(a.snap, a.env, src)
	if err != nil {
		return nil, false, err
	}
	own := *st
	if own.needsLiterals {
		own = *st.withLiterals(&literals{text: []byte(text), list: piece.Literals})
	}
	own.expanded, own.point, own.resident = text, nil, false
	return &own, false, nil
}

// Expanded says whether views in the statement have been replaced by their
// queries, as the committed schema has them.
func (s *Statement) Expanded() bool { return s.expanded != "" }

// TextOn is what a shard that has no views can be asked in the place of the
// client's text.
func (s *Statement) TextOn(client string) string {
	if s.expanded != "" {
		return s.expanded
	}
	return client
}

// inExpanded puts the text without views into a plan that sends the client's.
func (p *planner) inExpanded() {
	text := p.s.expanded
	switch p.plan.Kind {
	case One, Home, Reference, Gather:
		if p.plan.SQL == "" {
			p.plan.SQL = text
		}
	case Pull:
		if p.plan.Copy.Look == "" {
			p.plan.Copy.Look = text
		}
	case KindUnset, Broadcast, Split, Staged:
	}
}

// after is the statement with a text in front of its own, such as that of
// DECLARE.
func (s *Statement) after(before string) *Statement {
	if s.expanded == "" && s.pull == nil {
		return s
	}
	wrapped := *s
	if s.expanded != "" {
		wrapped.expanded = before + s.expanded
	}
	if s.pull != nil {
		pulled := *s.pull
		pulled.around.before = before
		wrapped.pull = &pulled
	}
	return &wrapped
}

// renamesView notes the new name of a view over sharded tables.
func (a *analysis) renamesView(v *pg.RangeVar, name string) {
	if v == nil {
		return
	}
	if t, to := a.lookUp(v.Schemaname, v.Relname); to == targetTable && t.View() && readsSharded(t) {
		a.st.DefinesViews = []string{name}
	}
}

// definesView notes a view over sharded tables: until it is committed, nothing
// that reads it can be planned.
func (a *analysis) definesView(v *pg.RangeVar) {
	if len(a.refs) == 0 {
		return
	}
	if v.Relpersistence == "t" {
		a.noShardedRefs("a temporary view over sharded tables is not supported", "It is on one shard and would see that shard's rows only.")
	}
	a.alone = nil
	a.st.needs = nil
	a.st.DefinesViews = []string{v.Relname}
}
