package router

import (
	"github.com/pgring/pgring/topology"
)

// conclude turns what the scopes have found into the statement's route. It is
// for SELECT and the data-modifying statements; top is their outermost level.
func (a *analysis) conclude(top *query) {
	for _, v := range a.survey.ranges {
		if !a.claimed[v] {
			a.unsupported("statement is not understood", "It names relation "+quoteIdent(v.Relname)+" in a place that pgring does not know.",
				"Write the statement in a simpler form.")
		}
	}
	a.functions()
	a.st.homes, a.st.catalogs = a.homes, a.catalogs
	for _, r := range a.refs {
		a.need(r)
	}
	switch {
	case len(a.refs) > 0 || len(a.st.needs) > 0:
		a.st.route = routeRows
	case len(a.homes) > 0 || a.catalogs || !a.referencesOnly():
		a.st.route = routeHome
	default:
		a.st.route = routeReference
	}
}

// referencesOnly says whether the statement reads reference tables and nothing
// that only the home shard has.
func (a *analysis) referencesOnly() bool {
	if a.st.Access != Read || a.survey.callsUser {
		return false
	}
	for _, t := range a.tables {
		if t != nil && t.Kind == topology.Reference {
			return true
		}
	}
	return false
}

// need notes the requirement of a sharded relation that is read, updated or
// deleted from.
func (a *analysis) need(r *rel) {
	if r.inserted {
		return
	}
	n := requirementOf(r)
	for i := range a.st.needs {
		if same(&a.st.needs[i], &n) {
			return
		}
	}
	a.st.needs = append(a.st.needs, n)
}

func requirementOf(r *rel) requirement {
	return requirement{group: r.table.Group.Name, table: whole(r.table), key: r.table.Key, any: r.keyOperands()}
}

// same says whether two requirements ask for the same keys of the same group,
// because one set of values reached both.
func same(x, y *requirement) bool {
	return x.group == y.group && x.table == y.table && !x.written && len(x.any) == len(y.any) &&
		(len(x.any) == 0 || &x.any[0] == &y.any[0])
}

// functions judges all function calls of the statement.
func (a *analysis) functions() {
	st := a.st
	st.Access = max(st.Access, Read)
	if a.survey.locking || a.survey.writes > 0 || a.survey.into {
		st.Access = max(st.Access, Write)
	}
	for _, f := range a.survey.funcs {
		class := a.classify(f)
		if class.writes {
			st.Access = max(st.Access, Write)
		}
		if class.user {
			a.survey.callsUser = true
		}
		st.Unknown = st.Unknown || !class.known
		if class.volatile {
			a.survey.volatileCalls = true
		}
		if class.sql && a.shardedAnywhere() {
			a.onlySingle(&Refusal{Reason: Unsupported, Message: "function reads tables that pgring does not see",
				Detail: "It runs a query given as text, which would see the rows of one shard only.", Hint: "Run the query itself."})
		}
		a.reader(f)
		a.sequenceCall(f)
		a.configures(f)
		st.Pin = max(st.Pin, pinOf(f))
	}
}

// shardedAnywhere says whether there is any sharded table at all.
func (a *analysis) shardedAnywhere() bool {
	for _, t := range a.snap.Tables() {
		if !t.Declared {
			return false
		}
		if t.Kind == topology.Sharded {
			return true
		}
	}
	return false
}
