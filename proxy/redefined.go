package proxy

import (
	"fmt"
	"slices"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

// redefined is what an open transaction has changed of the schema on several shards. Statements are planned by the schema that is
// committed, so those that the change concerns cannot be planned before COMMIT.
type redefined struct {
	tables []topology.Name
	all    bool // something else than a table, such as a function, that any statement may use
}

// views is what has been defined since the last commit, as far as views over sharded tables are concerned: they are replaced by the
// queries that the committed schema has for them.
type views struct {
	defined bool     // anything at all
	created []string // without schema
}

// checkViews notes a definition in an open transaction or pipeline, and refuses a statement that reads a view which may have changed
// in it. A view that is new would be taken for a table of the home shard.
func (c *session) checkViews(stmt *router.Statement) error {
	if stmt.Access != router.Define && !c.tx.views.defined && !c.unit.views.defined {
		return nil
	}
	for _, v := range []*views{&c.tx.views, &c.unit.views} {
		switch {
		case v == &c.tx.views && !c.tx.active || v == &c.unit.views && !c.unit.open:
		case stmt.Access == router.Define:
			v.defined = true
			v.created = append(v.created, stmt.DefinesViews...)
		case stmt.Expanded() && v.defined, slices.ContainsFunc(stmt.Tables, func(n topology.Name) bool { return slices.Contains(v.created, n.Table) }):
			return &pgwire.Error{Code: codeFeatureNotSupported, Message: "statement needs a schema that is not committed yet",
				Detail: "It reads a view over sharded tables, and the transaction has changed the schema.", Hint: "COMMIT the definitions first."}
		}
	}
	return nil
}

// redefine notes a definition that has run.
func (t *transaction) redefine(stmt *router.Statement) {
	if stmt.Access != router.Define {
		return
	}
	t.redefined.tables = append(t.redefined.tables, stmt.Tables...)
	t.redefined.all = t.redefined.all || len(stmt.Tables) == 0
}

func (r *redefined) any() bool { return r.all || len(r.tables) > 0 }

// check refuses a statement that may mean something else than what the committed schema says. Names that are not known there may be new.
func (r *redefined) check(snap *topology.Snapshot, stmt *router.Statement) error {
	if !r.any() || stmt.Access == router.Define {
		return nil
	}
	detail := ""
	for _, name := range stmt.Tables {
		if slices.Contains(r.tables, name) || snap.Table(name.Schema, name.Table) == nil {
			detail = fmt.Sprintf("Table %q is new or was changed by this transaction.", name.Table)
		}
	}
	if r.all && detail == "" {
		detail = "This transaction has changed more of the schema than tables."
	}
	if detail == "" {
		return nil
	}
	return &pgwire.Error{Code: codeFeatureNotSupported, Message: "statement needs a schema that is not committed yet", Detail: detail,
		Hint: "COMMIT the definitions first."}
}
