package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgring/pgring/topology"
)

// A subquery that depends on the rows around it cannot be answered first. Then
// the tables in it are: their rows become constants, and the subquery runs
// wherever the row that it belongs to is.

// tables takes the tables in a subquery that the shards of the rows written may
// not have.
func (w *staging) tables(m protoreflect.Message) {
	switch n := m.Interface().(type) {
	case *pg.SelectStmt:
		for _, item := range n.FromClause {
			w.relation(item, n.WhereClause)
		}
	case *pg.Node:
		w.relation(n, nil)
	}
	eachChild(m, w.tables)
}

// relation takes one item of a FROM list if it is a table that is elsewhere.
// where is the condition that its rows must meet; nil: none is known.
func (w *staging) relation(n *pg.Node, where *pg.Node) {
	v := n.GetRangeVar()
	if v == nil {
		return
	}
	t := w.elsewhere(v)
	if t == nil {
		return
	}
	name := v.Relname
	if v.Alias != nil {
		name = v.Alias.Aliasname
	}
	s := plainSelect(resTarget("", starNode()))
	s.FromClause, s.WhereClause = []*pg.Node{clone(n)}, conditionsOn(name, where)
	q := StageQuery{form: formTable}
	if !w.namedPlainly(t, name) || !w.query(&q, s, 1) {
		w.bad = true
		return
	}
	alias := &pg.Alias{Aliasname: name, Colnames: v.Alias.GetColnames()}
	for _, c := range t.Columns[min(len(alias.Colnames), len(t.Columns)):] {
		alias.Colnames = append(alias.Colnames, pg.MakeStrNode(c.Name))
	}
	v.Catalogname, v.Schemaname, v.Relname, v.Inh, v.Alias = "", "", q.marks[0], true, alias
	w.taken[v] = true
}

// elsewhere returns the table that a range variable names if rows of it may be
// on other shards than the row that is written; nil if not.
func (w *staging) elsewhere(v *pg.RangeVar) *topology.Table {
	r := w.rels[v.Location]
	if r == nil || r.target || r.table == nil || len(r.table.Columns) == 0 || w.taken[v] {
		return nil
	}
	switch t := r.table; t.Kind {
	case topology.Home:
		if w.own.Kind == topology.Home && w.own.Shard == t.Shard {
			return nil
		}
		return t
	case topology.Sharded:
		if w.own.Kind == topology.Sharded && (&gathering{a: w.a}).beside(r) {
			return nil
		}
		return t
	case topology.Reference, topology.KindUnset:
	}
	return nil
}

// namedPlainly says whether the statement names the columns of a relation only
// as a query of its rows has them: not those that only tables have, not with a
// schema, and not all of them as one value.
func (w *staging) namedPlainly(t *topology.Table, name string) bool {
	plain := namesSystemColumn(w.tree) == ""
	visitColumns(w.tree, func(ref *pg.ColumnRef) {
		fields, ok := words(ref.Fields)
		plain = plain && (!ok || len(fields) < 3 && (len(fields) != 1 || fields[0] != name || t.Column(name) >= 0))
	})
	return plain
}

// returning takes the subqueries in a RETURNING list, whose columns keep their
// names.
func (w *staging) returning(list []*pg.Node) {
	for _, n := range list {
		var found survey
		found.walk(n)
		if t := n.GetResTarget(); found.sublinks > 0 && t.Name == "" {
			name, ok := columnName(t.Val)
			w.bad = w.bad || !ok
			t.Name = name
		}
	}
	w.expressions(list...)
}

// subselects takes the queries in a FROM list that need other tables and nothing
// of the rows around them.
func (w *staging) subselects(list []*pg.Node) {
	for _, n := range list {
		switch {
		case n.GetJoinExpr() != nil:
			w.subselects([]*pg.Node{n.GetJoinExpr().Larg, n.GetJoinExpr().Rarg})
		case n.GetRangeSubselect() == nil:
		case n.GetRangeSubselect().Lateral || !w.standsAlone(n.GetRangeSubselect().Subquery):
			w.tables(n.ProtoReflect())
		case n.GetRangeSubselect().Alias == nil:
			w.bad = true
		default:
			n.GetRangeSubselect().Subquery = w.named(n.GetRangeSubselect().Subquery.GetSelectStmt())
		}
	}
}

// with takes the queries of a WITH clause that need other tables.
func (w *staging) with(clause *pg.WithClause) {
	if clause == nil {
		return
	}
	if w.a.survey.volatile || w.a.survey.volatileCalls {
		w.bad = true // they may be answered more than once
		return
	}
	w.ctes = clone(clause)
	for _, n := range clause.Ctes {
		e := n.GetCommonTableExpr()
		if e.Ctequery.GetSelectStmt() == nil || !w.namesIn(e.Ctequery).needed {
			continue
		}
		s := plainSelect(resTarget("", starNode()))
		s.FromClause = []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Relname: e.Ctename, Inh: true, Relpersistence: "p"}}}}
		e.Ctequery, e.Aliascolnames, e.SearchClause, e.CycleClause = w.named(s), nil, nil, nil
	}
}

// aside says whether anything but the query of an INSERT may name what its WITH
// clause defines.
func (w *staging) aside(n *pg.InsertStmt) bool {
	var found survey
	found.walk(&pg.Node{Node: &pg.Node_OnConflictClause{OnConflictClause: n.OnConflictClause}})
	for _, t := range n.ReturningList {
		found.walk(t)
	}
	return found.sublinks > 0
}

// named takes a whole query, and returns the one that stands for it: its rows
// under the names of its columns.
func (w *staging) named(s *pg.SelectStmt) *pg.Node {
	q := StageQuery{form: formNamed}
	if s == nil || !w.query(&q, s, 1) {
		w.bad = true
		return nil
	}
	rows := plainSelect(resTarget("", starNode()))
	rows.FromClause = []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Relname: q.marks[0], Inh: true, Relpersistence: "p"}}}}
	return &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: rows}}
}

func starNode() *pg.Node {
	return &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{{Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}}}}
}

func plainSelect(targets ...*pg.Node) *pg.SelectStmt {
	return &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE, TargetList: targets}
}
