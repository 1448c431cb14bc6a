package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgring/pgring/topology"
)

// usage is what a statement uses of its relations, by name: a column counts as
// used if its name occurs anywhere. That is a superset of the truth, so names
// resolve as they do over the whole tables.
type usage struct {
	names   map[string]bool // that occur as a column, or part of one
	stars   map[string]bool // relations whose columns are all used
	every   bool            // an unqualified *, NATURAL, or a join with a name: all columns of all relations
	schemas []*pg.ColumnRef // with a schema

	rows bool // a whole row stands where its type may be seen
}

// column says whether a column of a relation may be used.
func (u *usage) column(r *rel, name string) bool {
	return u.every || u.stars[r.name] || u.names[name]
}

// usage finds out which columns are needed.
func (w *pulling) usage() {
	w.used = usage{names: map[string]bool{}, stars: map[string]bool{}}
	for _, r := range w.rels {
		if len(r.source.GetAlias().GetColnames()) > 0 {
			w.used.stars[r.name] = true // they name columns by position
		}
	}
	w.visit(w.top.ProtoReflect(), false)
	for _, r := range w.rels {
		for name := range w.used.names {
			if systemColumn(name) && r.table.Column(name) < 0 {
				w.no("Column " + quoteIdent(name) + " is of the server that a row is on.")
				return
			}
		}
	}
	if w.used.rows {
		w.no("It uses a whole row of a table as a value.")
	}
}

// systemColumn says whether a name is that of a column which every table has.
func systemColumn(name string) bool {
	switch name {
	case "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid":
		return true
	}
	return false
}

// visit notes what is used in m and below it. In an open place a whole row may
// stand: what is computed there does not depend on its type.
func (w *pulling) visit(m protoreflect.Message, open bool) {
	switch n := m.Interface().(type) {
	case *pg.ColumnRef:
		w.column(n, open)
		return
	case *pg.JoinExpr:
		w.used.every = w.used.every || n.IsNatural || n.Alias != nil // new names count columns, and j.* means all of them
		w.noteNames(n.UsingClause)
	case *pg.A_Indirection:
		w.noteNames(n.Indirection)
		open = true
	case *pg.NullTest:
		open = true
	case *pg.FuncCall:
		open = w.a.openCall(n)
	case *pg.Node:
		// only a wrapper
	case *pg.SubLink:
		if s := n.Subselect.GetSelectStmt(); n.SubLinkType == pg.SubLinkType_EXISTS_SUBLINK && s != nil && onlyStar(s) {
			w.visitExists(s)
			return
		}
		open = false
	default:
		open = false
	}
	eachChild(m, func(child protoreflect.Message) { w.visit(child, open) })
}

// onlyStar says whether a query is SELECT * FROM …, whose columns matter only to
// those who look at them.
func onlyStar(s *pg.SelectStmt) bool {
	if len(s.TargetList) != 1 || s.Op != pg.SetOperation_SETOP_NONE || len(s.DistinctClause) > 0 || len(s.GroupClause) > 0 {
		return false
	}
	fields := s.TargetList[0].GetResTarget().GetVal().GetColumnRef().GetFields()
	return len(fields) == 1 && fields[0].GetAStar() != nil
}

// visitExists visits EXISTS (SELECT * …) but for its star.
func (w *pulling) visitExists(s *pg.SelectStmt) {
	list := s.TargetList
	s.TargetList = nil
	w.visit(s.ProtoReflect(), false)
	s.TargetList = list
}

func (w *pulling) noteNames(list []*pg.Node) {
	for _, n := range list {
		if s := n.GetString_(); s != nil {
			w.used.names[s.Sval] = true
		}
	}
}

// column notes a column reference.
func (w *pulling) column(ref *pg.ColumnRef, open bool) {
	w.noteNames(ref.Fields)
	last := len(ref.Fields) - 1
	switch {
	case ref.Fields[last].GetAStar() != nil && last == 0:
		w.used.every = true
	case ref.Fields[last].GetAStar() != nil:
		w.used.stars[ref.Fields[last-1].GetString_().GetSval()] = true
	}
	if last == 2 && slices.ContainsFunc(w.rels, func(r *rel) bool {
		return r.table.Name == topology.Name{Schema: ref.Fields[0].GetString_().GetSval(), Table: ref.Fields[1].GetString_().GetSval()} && r.source.Alias == nil
	}) {
		w.used.schemas = append(w.used.schemas, ref)
	}
	if last == 0 {
		w.wholeRow(ref.Fields[0].GetString_().GetSval(), open)
	}
}

// wholeRow notes a name that stands alone: if it is a relation's, it means the
// whole row, unless a column has the name.
func (w *pulling) wholeRow(name string, open bool) {
	for _, r := range w.rels {
		if r.name != name {
			continue
		}
		w.used.stars[name] = true
		w.used.rows = w.used.rows || !open && !w.isColumn(name)
	}
}

// isColumn says whether a relation of the statement has a column of the name.
func (w *pulling) isColumn(name string) bool {
	for _, r := range w.a.byRange {
		if r.table != nil && r.table.Column(name) >= 0 {
			return true
		}
	}
	return false
}

// openCall says whether a function does the same with a row of any type that
// has the same columns.
func (a *analysis) openCall(f *pg.FuncCall) bool {
	name, _, _ := lastWord(f.Funcname)
	switch name {
	case "count", "row_to_json", "to_json", "to_jsonb", "json_agg", "jsonb_agg", "json_build_object", "jsonb_build_object",
		"json_build_array", "jsonb_build_array", "num_nulls", "num_nonnulls":
		return !a.classify(f).user
	}
	return false
}
