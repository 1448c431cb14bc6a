package router

import pg "github.com/pganalyze/pg_query_go/v6"

func (a *analysis) utility(n *pg.Node) {
	a.unsupported("statement is not supported", "", "")
}

func (a *analysis) createFromQuery(n *pg.Node, into *pg.IntoClause) {
	a.unsupported("statement is not supported", "", "")
}
