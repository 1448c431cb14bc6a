package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// onConflictKey refuses an ON CONFLICT whose conflicts may be with rows of
// other shards: its unique index must contain the shard key.
func (a *analysis) onConflictKey(r *rel, c *pg.OnConflictClause) {
	if c == nil {
		return
	}
	names, known := inferred(c.Infer)
	switch {
	case known && r.table.HasKey(names):
	case !known && uniqueWithKey(r.table):
	default:
		a.onlyAlone(&Refusal{
			Reason:  Unsupported,
			Message: "ON CONFLICT needs the shard key among its columns",
			Detail:  "Without " + quoteIdent(keyName(r.table)) + " the conflicting row of " + quoteIdent(whole(r.table)) + " may be on another shard.",
			Hint:    "Name a unique constraint's columns that include " + quoteIdent(keyName(r.table)) + ".",
		})
	}
}

// inferred returns the columns of a conflict target; false if it has none, or
// names a constraint.
func inferred(infer *pg.InferClause) ([]string, bool) {
	if infer == nil || infer.Conname != "" {
		return nil, false
	}
	var names []string
	for _, n := range infer.IndexElems {
		if e := n.GetIndexElem(); e != nil && e.Name != "" {
			names = append(names, e.Name)
		}
	}
	return names, true
}

// uniqueWithKey says whether every unique constraint of the table contains the
// shard key.
func uniqueWithKey(t *topology.Table) bool {
	for _, columns := range t.Unique {
		if !t.HasKey(columns) {
			return false
		}
	}
	return t.Exists
}
