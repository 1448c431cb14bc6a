package router

import (
	"cmp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

const catalogSchema = "pg_catalog"

// where a range variable leads.
type target uint8

const (
	targetTable   target = iota // a relation of the snapshot
	targetTemp                  // a temporary table of the session
	targetCatalog               // a system catalog or information_schema
	targetUnknown               // not in the snapshot: the home shard will say
)

// resolve finds the relation that a range variable names, CTEs aside. It notes
// the table among those of the statement.
func (a *analysis) resolve(v *pg.RangeVar) (*topology.Table, target) {
	a.claimed[v] = true
	t, to := a.lookUp(v.Schemaname, v.Relname)
	if t != nil {
		a.tables[t.Name] = t
	} else if to == targetUnknown || to == targetTemp {
		name := topology.Name{Schema: v.Schemaname, Table: v.Relname}
		a.tables[name] = nil
	}
	return t, to
}

func (a *analysis) lookUp(schema, name string) (*topology.Table, target) {
	switch {
	case schema == catalogSchema, schema == "information_schema", strings.HasPrefix(schema, "pg_toast"):
		return nil, targetCatalog
	case schema == "pg_temp" || strings.HasPrefix(schema, "pg_temp_"):
		return nil, targetTemp
	case schema != "":
		if t := a.snap.Table(schema, name); t != nil {
			return t, targetTable
		}
		return nil, targetUnknown
	case a.env.isTemp(name):
		return nil, targetTemp
	}
	t := a.snap.Resolve(a.env.path, name)
	if a.env.catalogFirst() && strings.HasPrefix(name, "pg_") {
		// Every relation of pg_catalog begins so; a user's may, too.
		if t != nil && t.Kind != topology.Home {
			a.unsupported("table name "+quoteIdent(name)+" is not understood",
				"A name that begins with \"pg_\" may be that of a system catalog.", "Qualify the name with its schema.")
		}
		return nil, targetCatalog
	}
	if t != nil {
		return t, targetTable
	}
	return nil, targetUnknown
}

// nameTables writes the relations met into the statement.
func (a *analysis) nameTables() {
	if len(a.tables) == 0 {
		return
	}
	names := make([]topology.Name, 0, len(a.tables))
	for name := range a.tables {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y topology.Name) int {
		return cmp.Or(cmp.Compare(x.Schema, y.Schema), cmp.Compare(x.Table, y.Table))
	})
	a.st.Tables = names
}

// words returns the strings of a list of String nodes, such as a qualified
// name; false if something else is in it.
func words(list []*pg.Node) ([]string, bool) {
	out := make([]string, 0, len(list))
	for _, n := range list {
		s, ok := n.Node.(*pg.Node_String_)
		if !ok {
			return nil, false
		}
		out = append(out, s.String_.Sval)
	}
	return out, true
}

// quoteIdent returns name as an SQL identifier, always quoted.
func quoteIdent(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// quoteLiteral returns value as an SQL string literal.
func quoteLiteral(value string) string {
	quoted := "'" + strings.ReplaceAll(value, "'", "''") + "'"
	if strings.Contains(value, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
