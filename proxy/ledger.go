package proxy

import (
	"fmt"
	"slices"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

// appendOnly is the table that is append-only among a table and those that it is a part of.
func (c *session) appendOnly(name topology.Name) (topology.Name, bool) {
	if c.policy.AppendOnly[name] {
		return name, true
	}
	if t := c.snap.Table(name.Schema, name.Table); t != nil {
		for _, parent := range t.Parents {
			if found, ok := c.appendOnly(parent); ok {
				return found, true
			}
		}
	}
	return topology.Name{}, false
}

// checkAppends refuses a statement that would change rows of an append-only table. The triggers on the shards refuse what is not seen here.
func (c *session) checkAppends(stmt *router.Statement) error {
	if len(c.policy.AppendOnly) == 0 || stmt.Access == router.Read {
		return nil
	}
	changed, hint := stmt.Changes(), "Write a row that reverses the other one."
	switch {
	case stmt.Truncates():
		changed = stmt.Tables
	case stmt.Rewrites():
		changed, hint = stmt.Tables, "Take append_only away in the configuration, and RELOAD, if rows are to change."
	}
	for _, name := range changed {
		if table, ok := c.appendOnly(name); ok {
			return &pgwire.Error{Code: codeAppendOnly, Message: fmt.Sprintf("table %q is append-only", shownName(table)),
				Detail: "The statement could change rows that are there.", Hint: hint}
		}
	}
	return nil
}

// appends reports whether a statement puts rows into an append-only table: to take them away again is no way to undo it.
func (c *session) appends(stmt *router.Statement) bool {
	return len(c.policy.AppendOnly) > 0 && slices.ContainsFunc(stmt.InsertsInto(), func(name topology.Name) bool { return c.policy.AppendOnly[name] })
}
