package router

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// tableStatement analyses DDL on one table.
func (a *analysis) tableStatement(n *pg.Node) bool {
	switch s := n.Node.(type) {
	case *pg.Node_CreateStmt:
		a.createTable(n, s.CreateStmt)
	case *pg.Node_AlterTableStmt:
		a.alterTable(n, s.AlterTableStmt)
	case *pg.Node_IndexStmt:
		a.createIndex(s.IndexStmt)
	case *pg.Node_ReindexStmt:
		a.reindex(s.ReindexStmt)
	case *pg.Node_ClusterStmt:
		a.cluster(s.ClusterStmt)
	case *pg.Node_CreateTrigStmt:
		a.onSpot(a.spotOf(s.CreateTrigStmt.Relation))
		if s.CreateTrigStmt.Constrrel != nil {
			a.claimed[s.CreateTrigStmt.Constrrel] = true
		}
	case *pg.Node_CreatePolicyStmt:
		a.policy(s.CreatePolicyStmt.Table)
	case *pg.Node_AlterPolicyStmt:
		a.policy(s.AlterPolicyStmt.Table)
	case *pg.Node_CreateStatsStmt:
		if len(s.CreateStatsStmt.Relations) != 1 {
			return false
		}
		a.onSpot(a.spotOf(s.CreateStatsStmt.Relations[0].GetRangeVar()))
	default:
		return false
	}
	return true
}

// policy analyses row-level security: its conditions may read reference tables,
// but not sharded ones.
func (a *analysis) policy(v *pg.RangeVar) {
	at := a.spotOf(v)
	a.onSpot(at)
	for _, other := range a.survey.ranges {
		if a.claimed[other] {
			continue
		}
		if t := a.spotOf(other).table; at.everywhere && (t == nil || t.Kind != topology.Reference) || t != nil && t.Kind == topology.Sharded {
			a.unsupported("policy reads a table that is not a reference table", "On each shard it would see that shard's rows of "+
				quoteIdent(other.Relname)+" only.", "")
		}
	}
}

// ownTrigger analyses a change of a trigger that may be one of those that pgring keeps on tables: a guard of a move, or one of a ledger's.
func (a *analysis) ownTrigger(name string) {
	switch {
	case strings.HasPrefix(name, "zz_pgring_"):
		a.unsupported("trigger "+quoteIdent(name)+" is pgring's own", "It guards slots that are moved to another shard, and goes when that is over.",
			"SHOW REBALANCE on the console says how far that is.")
	case strings.HasPrefix(name, "pgring_"):
		a.st.defuses = true
	}
}

// createIndex analyses CREATE INDEX.
func (a *analysis) createIndex(s *pg.IndexStmt) {
	at := a.spotOf(s.Relation)
	a.st.NoTransaction = s.Concurrent
	a.onSpot(at)
	if !s.Unique || at.table == nil || at.table.Kind != topology.Sharded {
		return
	}
	var columns []string
	for _, n := range s.IndexParams {
		columns = append(columns, n.GetIndexElem().GetName())
	}
	d := &definition{a: a, name: whole(at.table), kind: topology.Sharded, key: at.table.Key}
	d.unique("a unique index", columns)
}

// reindex analyses REINDEX.
func (a *analysis) reindex(s *pg.ReindexStmt) {
	a.st.Access = Write
	for _, n := range s.Params {
		if n.GetDefElem().GetDefname() == "concurrently" {
			a.st.NoTransaction = true
		}
	}
	switch s.Kind {
	case pg.ReindexObjectType_REINDEX_OBJECT_TABLE:
		at := a.spotOf(s.Relation)
		a.st.NoTransaction = a.st.NoTransaction || at.table != nil && at.table.RelKind == 'p'
		a.onSpot(at)
	case pg.ReindexObjectType_REINDEX_OBJECT_INDEX:
		a.onHome(a.snap.Home)
		if a.shardedAnywhere() {
			a.unsupported("REINDEX INDEX is not supported", "pgring does not know which table the index belongs to.", "Use REINDEX TABLE.")
		}
	default:
		a.st.NoTransaction = true
		a.broadcast()
		if s.Name != "" && s.Kind != pg.ReindexObjectType_REINDEX_OBJECT_SCHEMA {
			a.notOnShards("REINDEX of a database by name")
		}
	}
}

// cluster analyses CLUSTER.
func (a *analysis) cluster(s *pg.ClusterStmt) {
	a.st.Access = Write
	if s.Relation == nil {
		a.st.NoTransaction = true
		a.broadcast()
		return
	}
	a.onSpot(a.spotOf(s.Relation))
}

// createTable analyses CREATE TABLE.
func (a *analysis) createTable(n *pg.Node, s *pg.CreateStmt) {
	if s.Relation.Relpersistence == "t" || s.Relation.Schemaname == "pg_temp" {
		a.temporary(s.Relation)
		a.onHome(a.snap.Home)
		return
	}
	a.claimed[s.Relation] = true
	t := a.creates(s.Relation)
	if t != nil {
		a.tables[t.Name] = t
	}
	d := &definition{a: a, name: s.Relation.Relname, kind: topology.Home, relation: s.Relation}
	if t != nil && t.Declared {
		d.name, d.kind, d.key, d.group = whole(t), t.Kind, t.Key, t.Group
	}
	parent := a.parentOf(s)
	switch {
	case parent != nil && (t == nil || !t.Declared):
		d.kind, d.key, d.group = parent.Kind, parent.Key, parent.Group
	case parent != nil && !parent.placedLike(t):
		a.refuse(invalid("table "+quoteIdent(d.name)+" cannot be a partition or child of "+quoteIdent(whole(parent.Table)),
			"The two are declared to live in different places.", "Leave the child undeclared: it lives with its parent."))
	}
	d.columns(s)
	switch {
	case d.kind == topology.Sharded, d.kind == topology.Reference:
		if d.group != nil {
			a.st.needs = append(a.st.needs, requirement{group: d.group.Name, table: d.name, key: d.key})
		}
		a.broadcast()
		d.sent(n)
	case t != nil && t.Kind == topology.Home:
		a.onHome(t.Shard)
	default:
		a.onHome(a.snap.Home)
	}
}

// parent is the declared or home table that another one is a partition or child
// of.
type parent struct{ *topology.Table }

func (p *parent) placedLike(t *topology.Table) bool {
	return p.Kind == t.Kind && p.Group == t.Group && slices.Equal(p.Key, t.Key)
}

// parentOf returns the parent of a table to be created; nil for none.
func (a *analysis) parentOf(s *pg.CreateStmt) *parent {
	var found *parent
	for _, n := range s.InhRelations {
		t, _ := a.resolve(n.GetRangeVar())
		if t != nil && found == nil {
			found = &parent{t}
		}
		if t != nil && found != nil && !found.placedLike(t) {
			a.unsupported("a table cannot inherit from tables in different places", "", "")
		}
	}
	return found
}

// alterTable analyses ALTER TABLE and what shares its grammar.
func (a *analysis) alterTable(n *pg.Node, s *pg.AlterTableStmt) {
	switch s.Objtype {
	case pg.ObjectType_OBJECT_TABLE:
	case pg.ObjectType_OBJECT_TYPE:
		a.claimed[s.Relation] = true
		a.broadcast()
		return
	case pg.ObjectType_OBJECT_INDEX:
		a.claimed[s.Relation] = true
		lenient := clone(n)
		lenient.GetAlterTableStmt().MissingOk = true
		a.strictAtHome(n, lenient)
		return
	default:
		a.claimed[s.Relation] = true
		a.onHome(a.snap.Home)
		return
	}
	at := a.spotOf(s.Relation)
	a.onSpot(at)
	d := &definition{a: a, name: s.Relation.Relname, kind: topology.Home, relation: s.Relation}
	if at.table != nil {
		d.name, d.kind, d.key, d.group = whole(at.table), at.table.Kind, at.table.Key, at.table.Group
	}
	for _, c := range s.Cmds {
		d.command(c.GetAlterTableCmd(), at.table)
	}
	d.sent(n)
}

// command checks one command of ALTER TABLE.
func (d *definition) command(c *pg.AlterTableCmd, t *topology.Table) {
	key := d.kind == topology.Sharded && slices.Contains(d.key, c.Name)
	switch c.Subtype {
	case pg.AlterTableType_AT_AddColumn:
		d.column(c.Def.GetColumnDef())
	case pg.AlterTableType_AT_DropColumn:
		d.a.st.rewrites = true
		if key {
			d.keyStays("dropped")
		}
	case pg.AlterTableType_AT_AlterColumnType, pg.AlterTableType_AT_SetExpression, pg.AlterTableType_AT_DropExpression:
		d.a.st.rewrites = true
		if key {
			d.keyStays("given another type")
		}
	case pg.AlterTableType_AT_SetUnLogged:
		d.a.st.rewrites = true
	case pg.AlterTableType_AT_DisableTrigAll, pg.AlterTableType_AT_DisableTrigUser:
		d.a.st.defuses = true
	case pg.AlterTableType_AT_DisableTrig, pg.AlterTableType_AT_EnableTrig, pg.AlterTableType_AT_EnableAlwaysTrig, pg.AlterTableType_AT_EnableReplicaTrig:
		d.a.ownTrigger(c.Name)
	case pg.AlterTableType_AT_ColumnDefault:
		d.defaultValue(c.Name, c.Def)
	case pg.AlterTableType_AT_AddIdentity:
		d.addIdentity(c, t)
	case pg.AlterTableType_AT_SetIdentity, pg.AlterTableType_AT_DropIdentity:
		d.setIdentity(c, t)
	case pg.AlterTableType_AT_AddConstraint:
		d.constraint(c.Def.GetConstraint(), nil)
	case pg.AlterTableType_AT_AttachPartition, pg.AlterTableType_AT_DetachPartition, pg.AlterTableType_AT_DetachPartitionFinalize:
		d.partition(c)
	case pg.AlterTableType_AT_AddInherit, pg.AlterTableType_AT_DropInherit:
		d.a.claimed[c.Def.GetRangeVar()] = true
		if d.kind != topology.Home || d.a.spotOf(c.Def.GetRangeVar()).everywhere {
			d.a.unsupported("changing the inheritance of sharded and reference tables is not supported",
				"A table's rows are where its parent's are.", "Create the child with INHERITS.")
		}
	default:
	}
}

// partition checks ATTACH and DETACH PARTITION.
func (d *definition) partition(c *pg.AlterTableCmd) {
	cmd := c.Def.GetPartitionCmd()
	d.a.st.NoTransaction = cmd.GetConcurrent()
	child := d.a.spotOf(cmd.GetName())
	if d.kind != topology.Home || child.everywhere {
		d.a.unsupported("attaching and detaching partitions of sharded and reference tables is not supported",
			"A table's rows are where its parent's are, and a detached one would be taken for a home table.",
			"Use CREATE TABLE … PARTITION OF, and DROP TABLE.")
	}
}

func (d *definition) keyStays(what string) {
	d.a.refuse(invalid("the shard key "+quoteIdent(keyText(d.key))+" cannot be "+what,
		"The rows of "+quoteIdent(d.name)+" are placed by it.", "Declare another table with the columns you need and copy the rows."))
}

// invalid is a refusal of DDL that would break sharding.
func invalid(message, detail, hint string) *Refusal {
	return &Refusal{Reason: InvalidDefinition, Message: message, Detail: detail, Hint: hint}
}

// definition is a table as DDL defines it.
type definition struct {
	a        *analysis
	name     string
	relation *pg.RangeVar
	kind     topology.Kind
	key      []string
	group    *topology.Group
	has      []string // columns of the key that were met

	rewritten bool // the statement's tree is not the client's any more: columns take their values from pgring.next_id()
}

// columns checks the elements of CREATE TABLE.
func (d *definition) columns(s *pg.CreateStmt) {
	elsewhere := len(s.InhRelations) > 0 || s.OfTypename != nil
	for _, n := range append(slices.Clone(s.TableElts), s.Constraints...) {
		switch e := n.Node.(type) {
		case *pg.Node_ColumnDef:
			d.column(e.ColumnDef)
		case *pg.Node_Constraint:
			d.constraint(e.Constraint, nil)
		case *pg.Node_TableLikeClause:
			elsewhere = true
			at := d.a.spotOf(e.TableLikeClause.Relation)
			if d.kind != topology.Home && !at.everywhere {
				d.a.unsupported("a "+d.kind.String()+" table cannot be LIKE a home table",
					"Table "+quoteIdent(e.TableLikeClause.Relation.Relname)+" is on one shard only.", "Write the columns.")
			}
		default:
			d.a.notUnderstood("an element of CREATE TABLE")
		}
	}
	if d.kind == topology.Sharded && !topology.HoldsKey(d.has, d.key) && !elsewhere {
		d.a.refuse(invalid("table "+quoteIdent(d.name)+" needs the column "+quoteIdent(keyText(d.key)),
			"It is declared as sharded by that column.", "Add the column, or declare the table otherwise."))
	}
}

// column checks a column's definition.
func (d *definition) column(c *pg.ColumnDef) {
	if c == nil || d.kind == topology.Home {
		if c != nil {
			for _, n := range c.Constraints {
				d.constraint(n.GetConstraint(), []string{c.Colname})
			}
		}
		return
	}
	if d.kind == topology.Sharded && slices.Contains(d.key, c.Colname) {
		d.has = append(d.has, c.Colname)
		d.keyType(c)
	}
	if name, _, _ := lastWord(c.TypeName.GetNames()); !d.makesIDs(c) && slices.Contains(serialTypes(), name) {
		d.noSequence(c.Colname)
	}
	for _, n := range c.Constraints {
		d.constraint(n.GetConstraint(), []string{c.Colname})
	}
}

// keyType checks the type of the key column.
func (d *definition) keyType(c *pg.ColumnDef) {
	name, ok := words(c.TypeName.GetNames())
	if !ok || len(name) == 0 || len(name) == 2 && name[0] != catalogSchema {
		return // a domain, which the catalog will tell
	}
	if len(d.key) > 1 && name[len(name)-1] == "bytea" {
		d.a.refuse(invalid("column "+quoteIdent(c.Colname)+" cannot be one of several columns of a shard key: its type is bytea",
			"PostgreSQL before 18 does not hash rows that have it.", "Use text, or a shard key of one column."))
	}
	switch name[len(name)-1] {
	case "bool", "float4", "float8", "date", "time", "timetz", "interval", "json", "jsonb", "bpchar", "inet", "cidr", "xml", "money":
		d.a.refuse(invalid("column "+quoteIdent(c.Colname)+" cannot be a shard key of type "+name[len(name)-1],
			"Table "+quoteIdent(d.name)+" is declared as sharded by it.",
			"Use an integer type, text, varchar, uuid, timestamp, numeric or bytea."))
	}
	if len(c.TypeName.GetArrayBounds()) > 0 {
		d.a.refuse(invalid("column "+quoteIdent(c.Colname)+" cannot be a shard key of an array type", "", ""))
	}
}

// noSequence refuses values that each shard would count for itself.
func (d *definition) noSequence(column string) {
	if d.kind == topology.Home {
		return
	}
	d.a.refuse(invalid("column "+quoteIdent(column)+" of "+quoteIdent(d.name)+" cannot take its values from a sequence",
		"Each shard would count for itself, and the values would collide or differ between shards.",
		"Use a type without a sequence (bigint, uuid) and give the values in INSERT."))
}

// defaultValue checks a DEFAULT.
func (d *definition) defaultValue(column string, n *pg.Node) {
	for _, f := range levelCalls(n) {
		if name, _, _ := lastWord(f.Funcname); name == "nextval" {
			d.noSequence(column)
		}
	}
}
