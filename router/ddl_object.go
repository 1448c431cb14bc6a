package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// objectStatement analyses DDL on objects that are no tables, and what is said
// of tables from outside: comments, names, owners.
func (a *analysis) objectStatement(n *pg.Node) bool {
	switch s := n.Node.(type) {
	case *pg.Node_CreateSchemaStmt:
		if len(s.CreateSchemaStmt.SchemaElts) > 0 {
			a.unsupported("CREATE SCHEMA with elements is not supported", "Its tables may belong on different shards.",
				"Create the schema first, then its tables.")
		}
		a.broadcast()
	case *pg.Node_CreateExtensionStmt, *pg.Node_AlterExtensionStmt, *pg.Node_AlterExtensionContentsStmt,
		*pg.Node_AlterFunctionStmt, *pg.Node_CreateDomainStmt, *pg.Node_AlterDomainStmt, *pg.Node_CompositeTypeStmt, *pg.Node_CreateEnumStmt,
		*pg.Node_AlterEnumStmt, *pg.Node_CreateRangeStmt, *pg.Node_AlterTypeStmt, *pg.Node_DefineStmt, *pg.Node_CreateCastStmt,
		*pg.Node_CreateConversionStmt, *pg.Node_CreateOpClassStmt, *pg.Node_CreateOpFamilyStmt, *pg.Node_AlterOpFamilyStmt,
		*pg.Node_AlterOperatorStmt, *pg.Node_CreatePlangStmt, *pg.Node_CreateTransformStmt, *pg.Node_AlterCollationStmt,
		*pg.Node_AlterTsdictionaryStmt, *pg.Node_AlterTsconfigurationStmt, *pg.Node_AlterDefaultPrivilegesStmt:
		a.broadcast()
	case *pg.Node_CreateFunctionStmt:
		a.temporaryFunction(s.CreateFunctionStmt)
		a.broadcast()
	case *pg.Node_AlterOwnerStmt:
		a.onObject(s.AlterOwnerStmt.ObjectType)
	case *pg.Node_AlterObjectSchemaStmt:
		a.setSchema(s.AlterObjectSchemaStmt)
	case *pg.Node_AlterObjectDependsStmt, *pg.Node_AlterStatsStmt:
		a.onHome(a.snap.Home)
	case *pg.Node_CommentStmt:
		a.comment(s.CommentStmt)
	case *pg.Node_RenameStmt:
		a.rename(n, s.RenameStmt)
	default:
		return false
	}
	return true
}

// temporaryFunction refuses functions of one session, which is on one server.
func (a *analysis) temporaryFunction(s *pg.CreateFunctionStmt) {
	if name, _ := words(s.Funcname); len(name) > 1 && name[len(name)-2] == "pg_temp" && a.shardedAnywhere() {
		a.unsupported("temporary functions are not supported", "One would be on one server, and the rows that it reads or writes may be on another.",
			"Run what the function does as statements of their own. In Sequelize use findCreateFind in the place of findOrCreate.")
	}
}

// onObject runs a statement where objects of a type are.
func (a *analysis) onObject(t pg.ObjectType) {
	switch t {
	case pg.ObjectType_OBJECT_DATABASE, pg.ObjectType_OBJECT_ROLE, pg.ObjectType_OBJECT_TABLESPACE, pg.ObjectType_OBJECT_PUBLICATION,
		pg.ObjectType_OBJECT_SUBSCRIPTION, pg.ObjectType_OBJECT_EVENT_TRIGGER, pg.ObjectType_OBJECT_ACCESS_METHOD:
		a.notOnShards("changing this object")
	case pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_FOREIGN_TABLE,
		pg.ObjectType_OBJECT_FOREIGN_SERVER, pg.ObjectType_OBJECT_FDW, pg.ObjectType_OBJECT_LARGEOBJECT, pg.ObjectType_OBJECT_STATISTIC_EXT:
		a.onHome(a.snap.Home)
	default:
		a.broadcast()
	}
}

// comment analyses COMMENT ON.
func (a *analysis) comment(s *pg.CommentStmt) {
	items := s.Object.GetList().GetItems()
	switch s.Objtype {
	case pg.ObjectType_OBJECT_TABLE:
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_RULE,
		pg.ObjectType_OBJECT_POLICY:
		items = items[:max(len(items)-1, 0)]
	case pg.ObjectType_OBJECT_INDEX:
		a.onHome(a.snap.Home)
		return
	default:
		a.onObject(s.Objtype)
		return
	}
	v, ok := rangeOf(items)
	if !ok {
		a.notWritten()
		return
	}
	a.onSpot(a.spotOf(v))
}

// setSchema analyses ALTER … SET SCHEMA.
func (a *analysis) setSchema(s *pg.AlterObjectSchemaStmt) {
	if s.Relation == nil {
		a.onObject(s.ObjectType)
		return
	}
	a.renamesView(s.Relation, s.Relation.Relname)
	a.keepName(a.spotOf(s.Relation))
}

// rename analyses ALTER … RENAME.
func (a *analysis) rename(n *pg.Node, s *pg.RenameStmt) {
	switch s.RenameType {
	case pg.ObjectType_OBJECT_TABLE:
		a.renamesView(s.Relation, s.Newname)
		a.keepName(a.spotOf(s.Relation))
	case pg.ObjectType_OBJECT_COLUMN:
		at := a.spotOf(s.Relation)
		if at.table != nil && at.table.Kind == topology.Sharded && slices.Contains(at.table.Key, s.Subname) {
			a.keyStays(at.table, "renamed")
		}
		a.onSpot(at)
	case pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_RULE, pg.ObjectType_OBJECT_POLICY:
		if s.RenameType == pg.ObjectType_OBJECT_TRIGGER {
			a.ownTrigger(s.Subname)
		}
		a.onSpot(a.spotOf(s.Relation))
	case pg.ObjectType_OBJECT_INDEX:
		a.claimed[s.Relation] = true
		lenient := clone(n)
		lenient.GetRenameStmt().MissingOk = true
		a.strictAtHome(n, lenient)
	case pg.ObjectType_OBJECT_SCHEMA:
		a.renameSchema(s)
	default:
		if s.Relation != nil {
			a.renamesView(s.Relation, s.Newname)
			a.claimed[s.Relation] = true
		}
		a.onObject(s.RenameType)
	}
}

// renameSchema refuses to rename a schema that has declared tables.
func (a *analysis) renameSchema(s *pg.RenameStmt) {
	a.broadcast()
	for _, t := range a.snap.Tables() {
		if t.Schema == s.Subname && t.View() && readsSharded(t) {
			a.st.DefinesViews = append(a.st.DefinesViews, t.Table)
		}
		if t.Declared && t.Schema == s.Subname {
			a.keepName(spot{everywhere: true, table: t})
			return
		}
	}
}

// keepName refuses to rename a table that is declared by its name.
func (a *analysis) keepName(at spot) {
	if at.everywhere {
		a.refuse(&Refusal{
			Reason:  InvalidDefinition,
			Message: "table " + quoteIdent(whole(at.table)) + " cannot be renamed or moved to another schema",
			Detail:  "It is declared as a " + at.table.Kind.String() + " table by its name.",
			Hint:    "Declare a table of the new name and copy the rows.",
		})
	}
	a.onSpot(at)
}

// keyStays refuses to change the key column.
func (a *analysis) keyStays(t *topology.Table, what string) {
	a.refuse(&Refusal{
		Reason:  InvalidDefinition,
		Message: "the shard key " + quoteIdent(keyName(t)) + " cannot be " + what,
		Detail:  "The rows of " + quoteIdent(whole(t)) + " are placed by it.",
		Hint:    "Declare another table with the columns you need and copy the rows.",
	})
}
