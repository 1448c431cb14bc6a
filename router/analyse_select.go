package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// selectStatement analyses a SELECT that is a statement of its own.
func (a *analysis) selectStatement(s *pg.SelectStmt) {
	if a.setConfig(s) {
		return
	}
	if into := intoClause(s); into != nil {
		a.selectInto(s, into)
		return
	}
	q := a.selectQuery(s, nil, nil, nil)
	a.conclude(q)
	if len(a.written) > 0 && a.referenceWrite() { // in WITH
		return
	}
	switch a.st.route {
	case routeHome:
		a.st.anywhere = a.answersAnywhere()
	case routeRows:
		a.selectRows(s, q)
	default:
	}
}

// selectRows finishes a SELECT on sharded tables: what if its rows are on
// several shards?
func (a *analysis) selectRows(s *pg.SelectStmt, q *query) {
	if a.onePlace() && !a.src.pull {
		return
	}
	if a.survey.writes > 0 {
		a.st.spread = crossShardWrite("data-modifying WITH needs the rows of several shards",
			"The statement's tables are not pinned to one shard by their keys.")
		return
	}
	g, why := a.planGather(s, q)
	if g != nil && a.src.pull {
		g, why = nil, &Refusal{Detail: "A type in it cannot be merged."}
	}
	a.st.gather = g
	if why != nil {
		detail := why.Detail
		if a.st.pull = a.planCombine(s, q); a.st.pull != nil {
			why = nil
		} else {
			a.st.pull, why = a.planPull(s)
		}
		if why == nil {
			a.st.pull.why = detail
		}
	}
	a.st.spread = why
}

// onePlace says whether the statement's rows are on one shard whatever the
// values: one equality for all keys, and no home tables beside them.
func (a *analysis) onePlace() bool {
	if len(a.st.needs) != 1 || len(a.st.homes) > 0 || a.st.catalogs || a.alone != nil {
		return false
	}
	n := &a.st.needs[0]
	return len(n.any) == 1 && !n.any[0].array
}

// answersAnywhere says whether a statement without sharded and home tables is a
// read that every shard answers alike.
func (a *analysis) answersAnywhere() bool {
	if a.st.Access != Read || len(a.homes) > 0 || a.catalogs || a.survey.callsUser {
		return false
	}
	for _, f := range a.survey.funcs {
		name, _ := words(f.Funcname)
		class := a.classify(f)
		if (class.stable || class.volatile) && !anywhereFunction(name[len(name)-1]) {
			return false
		}
	}
	for _, t := range a.survey.casts {
		if !anywhereType(t) {
			return false
		}
	}
	return true
}

// anywhereType says whether a cast to the type means the same on every shard:
// built-in types do, except those that look names up.
func anywhereType(t *pg.TypeName) bool {
	name, ok := words(t.Names)
	if !ok || len(name) == 0 || len(name) == 2 && name[0] != catalogSchema {
		return false
	}
	switch name[len(name)-1] {
	case "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "name", "bytea", "uuid", "date",
		"time", "timetz", "timestamp", "timestamptz", "interval", "json", "jsonb", "inet", "cidr", "unknown":
		return true
	}
	return false
}

// intoClause returns the INTO of a SELECT, wherever it is in a set operation.
func intoClause(s *pg.SelectStmt) *pg.IntoClause {
	for ; s != nil; s = s.Larg {
		if s.IntoClause != nil {
			return s.IntoClause
		}
	}
	return nil
}

// selectInto analyses SELECT … INTO: it creates a table from a query.
func (a *analysis) selectInto(s *pg.SelectStmt, into *pg.IntoClause) {
	a.special = true
	a.createFromQuery(&pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}, into)
}
