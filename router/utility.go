package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// utility analyses what is neither a query nor session control.
func (a *analysis) utility(n *pg.Node) {
	a.st.Access = Define
	for _, try := range []func(*pg.Node) bool{
		a.tableStatement, a.listStatement, a.queryStatement, a.objectStatement, a.serverStatement, a.homeStatement,
	} {
		if try(n) {
			return
		}
	}
	a.unsupported("statement is not supported", "pgring does not know on which shards it should run.", "")
}

// spot is where a relation of a utility statement is.
type spot struct {
	everywhere bool         // on every shard
	shard      ring.ShardID // home: there
	table      *topology.Table
}

// spotOf finds the relation that a utility statement names.
func (a *analysis) spotOf(v *pg.RangeVar) spot {
	if v == nil {
		return spot{shard: a.snap.Home}
	}
	t, _ := a.resolve(v)
	return a.spotOfTable(t)
}

func (a *analysis) spotOfTable(t *topology.Table) spot {
	if t == nil {
		return spot{shard: a.snap.Home}
	}
	switch t.Kind {
	case topology.Sharded, topology.Reference:
		if t.Group != nil {
			a.group(t)
		}
		return spot{everywhere: true, table: t}
	case topology.Home, topology.KindUnset:
	}
	return spot{shard: t.Shard, table: t}
}

// group notes that all slots of the table's group are concerned.
func (a *analysis) group(t *topology.Table) {
	for i := range a.st.needs {
		if a.st.needs[i].group == t.Group.Name {
			return
		}
	}
	a.st.needs = append(a.st.needs, requirement{group: t.Group.Name, table: whole(t), key: t.Key})
}

// onSpot runs the statement where one relation is.
func (a *analysis) onSpot(at spot) {
	if at.everywhere {
		a.broadcast()
		return
	}
	a.onHome(at.shard)
}

// onHome runs the statement on one shard.
func (a *analysis) onHome(shard ring.ShardID) {
	a.st.route = routeHome
	if shard == "" {
		shard = a.snap.Home
	}
	a.home(shard)
	a.st.homes = a.homes
}

// broadcast runs the statement on every shard.
func (a *analysis) broadcast() { a.st.route = routeBroadcast }

// strictAtHome runs a statement on every shard, and with IF EXISTS where it is
// not the home shard: objects that are older than the cluster, or belong to
// home tables, are known there only.
func (a *analysis) strictAtHome(n *pg.Node, lenient *pg.Node) {
	a.broadcast()
	text, ok := deparseNode(lenient)
	if !ok {
		a.notWritten()
		return
	}
	a.st.parts = []part{{shard: a.snap.Home}, {all: true, sql: text}}
}

// notWritten refuses a statement whose text for some shard is not certain.
func (a *analysis) notWritten() {
	a.unsupported("statement cannot be divided between shards", "Its text for the shards could not be written with certainty.",
		"Name one object at a time.")
}

// notOnShards refuses what concerns whole servers.
func (a *analysis) notOnShards(what string) {
	a.refuse(&Refusal{
		Reason:  NotOnShards,
		Message: what + " is not done through pgring",
		Detail:  "It concerns a whole server or its databases, not the tables.",
		Hint:    "Do it on each server directly.",
	})
}

// serverStatement refuses statements about servers, databases, roles.
func (a *analysis) serverStatement(n *pg.Node) bool {
	what := ""
	switch n.Node.(type) {
	case *pg.Node_CreatedbStmt, *pg.Node_AlterDatabaseStmt, *pg.Node_AlterDatabaseSetStmt, *pg.Node_DropdbStmt,
		*pg.Node_AlterDatabaseRefreshCollStmt:
		what = "managing databases"
	case *pg.Node_CreateRoleStmt, *pg.Node_AlterRoleStmt, *pg.Node_AlterRoleSetStmt, *pg.Node_DropRoleStmt, *pg.Node_GrantRoleStmt,
		*pg.Node_DropOwnedStmt, *pg.Node_ReassignOwnedStmt:
		what = "managing roles"
	case *pg.Node_CreateTableSpaceStmt, *pg.Node_DropTableSpaceStmt, *pg.Node_AlterTableSpaceOptionsStmt, *pg.Node_AlterTableMoveAllStmt:
		what = "managing tablespaces"
	case *pg.Node_AlterSystemStmt:
		what = "ALTER SYSTEM"
	case *pg.Node_CheckPointStmt:
		what = "CHECKPOINT"
	case *pg.Node_CreatePublicationStmt, *pg.Node_AlterPublicationStmt, *pg.Node_CreateSubscriptionStmt, *pg.Node_AlterSubscriptionStmt,
		*pg.Node_DropSubscriptionStmt:
		what = "managing replication"
	case *pg.Node_CreateEventTrigStmt, *pg.Node_AlterEventTrigStmt:
		what = "managing event triggers"
	default:
		return false
	}
	a.notOnShards(what)
	return true
}

// homeStatement analyses what runs on the home shard.
func (a *analysis) homeStatement(n *pg.Node) bool {
	switch s := n.Node.(type) {
	case *pg.Node_DoStmt, *pg.Node_CallStmt:
		// Their code is not read: it sees the home shard's tables only, and
		// what its author does there is theirs to answer for.
		a.st.Access = Write
	case *pg.Node_LoadStmt:
		a.st.Access, a.st.Pin = Read, PinLibrary
	case *pg.Node_ConstraintsSetStmt:
		a.st.Access = Read
		a.local()
		return true
	case *pg.Node_CreateSeqStmt:
		a.sequence(s.CreateSeqStmt)
	case *pg.Node_AlterSeqStmt:
		a.claimed[s.AlterSeqStmt.Sequence] = true
	case *pg.Node_CreateFdwStmt, *pg.Node_AlterFdwStmt, *pg.Node_CreateForeignServerStmt, *pg.Node_AlterForeignServerStmt,
		*pg.Node_CreateUserMappingStmt, *pg.Node_AlterUserMappingStmt, *pg.Node_DropUserMappingStmt, *pg.Node_ImportForeignSchemaStmt:
	case *pg.Node_CreateForeignTableStmt:
		a.undeclared(s.CreateForeignTableStmt.BaseStmt.Relation, "a foreign table")
	default:
		return false
	}
	a.onHome(a.snap.Home)
	a.noOtherTables()
	return true
}

func (a *analysis) sequence(s *pg.CreateSeqStmt) {
	a.claimed[s.Sequence] = true
	if s.Sequence.Relpersistence == "t" {
		a.st.Pin = PinTemp
		a.st.TempTables = []topology.Name{{Table: s.Sequence.Relname}}
	}
}

// noOtherTables refuses a home statement that names sharded tables in a place
// that was not looked at.
func (a *analysis) noOtherTables() {
	for _, v := range a.survey.ranges {
		if a.claimed[v] {
			continue
		}
		if at := a.spotOf(v); at.table != nil && at.table.Kind == topology.Sharded {
			a.unsupported("statement names a sharded table", "It runs on the home shard, which has only some rows of "+
				quoteIdent(whole(at.table))+".", "")
		}
	}
}

// undeclared refuses to create something else under the name of a declared
// table.
func (a *analysis) undeclared(v *pg.RangeVar, what string) {
	a.claimed[v] = true
	t := a.creates(v)
	if t != nil && (t.Kind == topology.Sharded || t.Kind == topology.Reference) {
		a.refuse(&Refusal{
			Reason:  InvalidDefinition,
			Message: "cannot create " + what + " named " + quoteIdent(v.Relname),
			Detail:  "The name is declared as a " + t.Kind.String() + " table.",
			Hint:    "Choose another name.",
		})
	}
}

// creates returns the declared table that a CREATE of this name is about, or
// nil. An unqualified name goes to the first schema of the search path.
func (a *analysis) creates(v *pg.RangeVar) *topology.Table {
	schema := v.Schemaname
	if schema == "" {
		for _, s := range a.env.path {
			if s != catalogSchema {
				schema = s
				break
			}
		}
	}
	return a.snap.Table(schema, v.Relname)
}
