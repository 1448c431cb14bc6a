package router

import pg "github.com/pganalyze/pg_query_go/v6"

type gather struct {
	limit, offset operand
}

func (a *analysis) planGather(s *pg.SelectStmt, q *query) (*gather, *Refusal) { return nil, nil }

func (g *gather) fill(p *Plan, in *input) *Refusal { return nil }
