package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// Generated is one output column of a Generate statement.
type Generated struct {
	Function string // next_id or uuid7
	Column   string // the column's name: the alias, or that of the function
}

// generate recognises SELECT pgring.next_id(), pgring.uuid7(), … and nothing else: values that the proxy makes, in one row. With
// anything more in it, or with a directive, the statement is an ordinary one, whose functions the server must have.
func (a *analysis) generate(n *pg.Node) bool {
	s := n.GetSelectStmt()
	if s == nil || len(s.TargetList) == 0 || !isBare(s) {
		return false
	}
	columns := make([]Generated, 0, len(s.TargetList))
	for _, n := range s.TargetList {
		target := n.GetResTarget()
		function, ok := ownGenerator(target.GetVal().GetFuncCall())
		if !ok {
			return false
		}
		c := Generated{Function: function, Column: target.Name}
		if c.Column == "" {
			c.Column = function
		}
		columns = append(columns, c)
	}
	a.named(Generate, "")
	a.st.Access, a.special = Read, true
	a.st.Generated = columns
	return true
}

// isBare says whether a SELECT has nothing but its select list.
func isBare(s *pg.SelectStmt) bool {
	return isFiltered(s) && len(s.FromClause) == 0 && s.WhereClause == nil
}

// isFiltered says whether a SELECT has nothing but its select list, FROM and WHERE.
func isFiltered(s *pg.SelectStmt) bool {
	return len(s.DistinctClause) == 0 && s.IntoClause == nil && len(s.GroupClause) == 0 &&
		s.HavingClause == nil && len(s.WindowClause) == 0 && len(s.ValuesLists) == 0 && len(s.SortClause) == 0 && s.LimitOffset == nil &&
		s.LimitCount == nil && len(s.LockingClause) == 0 && s.WithClause == nil && s.Op == pg.SetOperation_SETOP_NONE
}

// ownGenerator returns the name of a function of pgring's that makes values, if the call is one.
func ownGenerator(f *pg.FuncCall) (string, bool) {
	if f == nil || len(f.Funcname) != 2 || f.Funcname[0].GetString_().GetSval() != "pgring" ||
		len(f.Args) > 0 || len(f.AggOrder) > 0 || f.AggFilter != nil || f.Over != nil || f.AggStar || f.AggDistinct {
		return "", false
	}
	name := f.Funcname[1].GetString_().GetSval()
	return name, name == "next_id" || name == "uuid7"
}
