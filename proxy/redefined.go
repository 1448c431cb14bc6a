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

// redefine notes a definition that has run.
func (t *transaction) redefine(stmt *router.Statement) {
	if stmt.Access != router.Define {
		return
	}
	t.redefined.tables = append(t.redefined.tables, stmt.Tables...)
	t.redefined.all = t.redefined.all || len(stmt.Tables) == 0
}

// check refuses a statement that may mean something else than what the committed schema says. Names that are not known there may be new.
func (r *redefined) check(snap *topology.Snapshot, stmt *router.Statement) error {
	if len(r.tables) == 0 && !r.all || stmt.Access == router.Define {
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
