package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// referenceWrite plans a write to reference tables: the same statement on every
// shard, if each computes the same. False: no reference table is written.
func (a *analysis) referenceWrite() bool {
	references := 0
	for _, w := range a.written {
		if w.rel.table != nil && w.rel.table.Kind == topology.Reference {
			references++
		}
	}
	if references == 0 {
		return false
	}
	name := whole(a.written[0].rel.table)
	switch {
	case references < len(a.written):
		a.onlySingle(&Refusal{Reason: Unsupported, Message: "statement writes reference tables and others",
			Detail: "A reference table is written on every shard, the others are not.", Hint: "Write them in statements of their own."})
	case len(a.refs) > 0 || len(a.homes) > 0 || a.catalogs:
		a.onlySingle(&Refusal{Reason: Unsupported,
			Message: "statement writes reference table " + quoteIdent(name) + " from tables that not every shard has",
			Detail:  "A reference table is written on every shard by the same statement.",
			Hint:    "Read the values first and write them as constants."})
	default:
		a.deterministic(name)
	}
	a.special = true // the words that mean the clock may be literals
	a.st.route, a.st.Copies = routeBroadcast, true
	a.st.dated = a.datedParams()
	return true
}

// deterministic refuses what shards may compute differently.
func (a *analysis) deterministic(name string) {
	why := a.nondeterminism()
	if why == "" {
		return
	}
	a.onlySingle(&Refusal{
		Reason:  Unsupported,
		Message: "write to reference table " + quoteIdent(name) + " may differ between shards",
		Detail:  why,
		Hint:    "Compute the values first and write them as constants or parameters.",
	})
}

// nondeterminism says what in the statement shards may compute differently; ""
// if nothing.
func (a *analysis) nondeterminism() string {
	if a.survey.volatile {
		return "It uses the time of day or the session's user, which each shard takes for itself."
	}
	for _, f := range a.survey.funcs {
		class := a.classify(f)
		if class.volatile || class.stable || class.user || !class.known {
			name, _, _ := lastWord(f.Funcname)
			return "Function " + name + " is not known to be immutable."
		}
	}
	if a.datedConstant() {
		return "It has a constant that may mean the current time."
	}
	if a.survey.limits > 0 {
		return "LIMIT, DISTINCT ON and window functions may choose different rows on each shard."
	}
	if len(a.defaults) > 0 {
		return "The DEFAULT of column " + quoteIdent(a.defaults[0]) + " is computed on each shard."
	}
	for _, w := range a.written {
		if w.inserted {
			if column := defaulted(w.rel.table, a.insertOf(w)); column != "" {
				return "The DEFAULT of column " + quoteIdent(column) + " is computed on each shard."
			}
		}
	}
	return ""
}

// insertOf returns the INSERT that a write comes from.
func (a *analysis) insertOf(w write) *pg.InsertStmt { return a.inserts[w.rel] }
