package router

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// columnName returns the name that PostgreSQL gives an output column without an
// alias (FigureColname in parse_target.c); false where that is not followed
// here.
func columnName(n *pg.Node) (string, bool) {
	name, _, ok := figureName(n)
	if ok && name == "" {
		name = "?column?"
	}
	return name, ok
}

// figureName returns the name and how good it is: 0 none, 1 by type or kind, 2
// a name of the user's.
func figureName(n *pg.Node) (string, int, bool) {
	switch n := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		return lastWord(n.ColumnRef.Fields)
	case *pg.Node_FuncCall:
		return lastWord(n.FuncCall.Funcname)
	case *pg.Node_TypeCast:
		return castName(n.TypeCast)
	case *pg.Node_CollateClause:
		return figureName(n.CollateClause.Arg)
	case *pg.Node_CaseExpr:
		name, strength, ok := "", 0, true
		if n.CaseExpr.Defresult != nil {
			name, strength, ok = figureName(n.CaseExpr.Defresult)
		}
		if strength <= 1 {
			name = "case"
		}
		return name, 1, ok
	case *pg.Node_AArrayExpr:
		return "array", 2, true
	case *pg.Node_RowExpr:
		return "row", 2, true
	case *pg.Node_CoalesceExpr:
		return "coalesce", 2, true
	case *pg.Node_GroupingFunc:
		return "grouping", 2, true
	case *pg.Node_SubLink:
		return sublinkName(n.SubLink)
	case *pg.Node_AExpr:
		if n.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", 2, true
		}
		return "", 0, true
	case *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_BoolExpr, *pg.Node_NullTest, *pg.Node_BooleanTest:
		return "", 0, true
	}
	return "", 0, false
}

func lastWord(list []*pg.Node) (string, int, bool) {
	if len(list) == 0 {
		return "", 0, false
	}
	s := list[len(list)-1].GetString_()
	if s == nil {
		return "", 0, false
	}
	return s.Sval, 2, true
}

func castName(c *pg.TypeCast) (string, int, bool) {
	name, strength, ok := figureName(c.Arg)
	if !ok || strength > 1 {
		return name, strength, ok
	}
	if c.TypeName == nil {
		return name, strength, true
	}
	name, _, ok = lastWord(c.TypeName.Names)
	return name, 1, ok
}

func sublinkName(s *pg.SubLink) (string, int, bool) {
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return "exists", 2, true
	case pg.SubLinkType_ARRAY_SUBLINK:
		return "array", 2, true
	case pg.SubLinkType_EXPR_SUBLINK:
		stmt := s.Subselect.GetSelectStmt()
		for stmt.GetLarg() != nil {
			stmt = stmt.Larg
		}
		if targets := stmt.GetTargetList(); len(targets) == 1 {
			t := targets[0].GetResTarget()
			if t.GetName() != "" {
				return t.Name, 2, true
			}
			return figureName(t.GetVal())
		}
		return "", 0, false
	default:
		return "", 0, true
	}
}

// valuesColumn names the i-th column of a VALUES list.
func valuesColumn(i int) string { return "column" + strconv.Itoa(i+1) }
