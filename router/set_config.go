package router

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// setConfig recognises SELECT set_config(name, value, local), … which is SET or SET LOCAL with an answer.
func (a *analysis) setConfig(s *pg.SelectStmt) bool {
	if a.root.GetSelectStmt() != s { // within EXPLAIN, COPY or DECLARE it is not followed
		return false
	}
	if len(s.TargetList) == 0 || s.WithClause != nil || s.LimitCount != nil || s.LimitOffset != nil || s.Op != pg.SetOperation_SETOP_NONE ||
		len(s.GroupClause) > 0 || s.HavingClause != nil || len(s.DistinctClause) > 0 || len(s.SortClause) > 0 || len(s.LockingClause) > 0 {
		return false
	}
	known, ok := a.ifKnown(s)
	if !ok {
		return false
	}
	var all []Setting
	for _, target := range s.TargetList {
		set, ok := configured(target.GetResTarget().GetVal().GetFuncCall(), known)
		if !ok || (len(s.TargetList) > 1 || known != nil) && strings.HasPrefix(set.Name, ownPrefix) {
			return false
		}
		all = append(all, set)
	}
	a.special = true
	a.st.Verb, a.st.Query, a.st.Access = Set, true, Read
	a.st.Settings = all
	for i := range all {
		a.checkSetting(&all[i])
	}
	a.local()
	return true
}

// known is a row of pg_settings that a query is about.
type known struct {
	view *pg.RangeVar
	name string // of the setting
}

// ifKnown recognises … FROM pg_settings WHERE name = 'constant', with which pg_dump sets what older servers do not have: there is no row then,
// and nothing is set. It returns nil for a SELECT without FROM and WHERE, and false for all others.
func (a *analysis) ifKnown(s *pg.SelectStmt) (*known, bool) {
	if len(s.FromClause) == 0 && s.WhereClause == nil {
		return nil, true
	}
	view, e := new(pg.RangeVar), s.WhereClause.GetAExpr()
	if len(s.FromClause) == 1 {
		view = s.FromClause[0].GetRangeVar()
	}
	if view.GetRelname() != "pg_settings" || view.Alias.GetColnames() != nil || e.GetKind() != pg.A_Expr_Kind_AEXPR_OP {
		return nil, false
	}
	if _, what := a.resolve(view); what != targetCatalog {
		return nil, false
	}
	name := e.Rexpr.GetAConst().GetSval()
	op, plain := words(e.Name)
	if name == nil || !plain || len(op) != 1 || op[0] != "=" || !isColumn(e.Lexpr, view, "name") {
		return nil, false
	}
	return &known{view, name.Sval}, true
}

// configured reads a call of set_config with a value that is a constant or a parameter. The name is a constant, or that of the known setting.
func configured(f *pg.FuncCall, row *known) (set Setting, ok bool) {
	if f == nil || !callsCatalog(f, "set_config") || len(f.Args) != 3 {
		return set, false
	}
	local := f.Args[2].GetAConst().GetBoolval()
	name, constant := f.Args[0].GetAConst().GetSval().GetSval(), f.Args[0].GetAConst().GetSval() != nil
	if row != nil && isColumn(f.Args[0], row.view, "name") {
		name, constant = row.name, true
	}
	if local == nil || !constant {
		return set, false
	}
	set = Setting{Name: foldCase(name), Local: local.Boolval}
	switch v := f.Args[1].Node.(type) {
	case *pg.Node_AConst:
		text := v.AConst.GetSval()
		if text == nil {
			return set, false
		}
		set.Text = text.Sval
		set.Value = plainValue(set.Name, text.Sval)
	case *pg.Node_ParamRef:
		set.Param = int(v.ParamRef.Number)
	default:
		return set, false
	}
	return set, true
}

func unfollowed() *Refusal {
	return &Refusal{Reason: Unsupported, Message: "set_config is not supported in this form", Detail: "The setting would hold on one shard only.",
		Hint: "Write SELECT set_config(name, value, is_local) with a name that is a constant and a value that is a constant or a parameter, or SET."}
}

// configures refuses a call of set_config that is not understood where there are several shards: it would reach one of them only.
func (a *analysis) configures(f *pg.FuncCall) {
	if !callsCatalog(f, "set_config") {
		return
	}
	a.onlySingle(unfollowed())
	if len(everyShard(a.snap)) > 1 {
		a.refuse(unfollowed()) // EXPLAIN would run it
	}
}
