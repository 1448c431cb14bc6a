package rebalance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// table is one table of the group that moves.
type table struct {
	name    topology.Name
	sql     string // quoted
	columns []string
	key     []string // quoted
	primary []string
	moving  string // condition on a row that its slot is one of the move's
	slot    string // expression of a row's slot
	keyType ring.KeyType
	group   string // of a table of pgring's own: the group whose rows move; empty for all others
}

// quote writes an identifier.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// tablesOf lists the tables whose rows a move takes along, sorted by name.
func tablesOf(snap *topology.Snapshot, m *topology.Move) ([]*table, error) {
	group := snap.Group(m.Group)
	if group == nil {
		return nil, stopped("group %s is not there any longer", m.Group)
	}
	var tables []*table
	for _, t := range snap.Tables() {
		if !t.Declared || t.Group != group || !t.Exists {
			continue
		}
		if unusable := t.Problem != "" || t.KeyType == ring.KeyUnset; unusable && m.State == topology.MoveCancelling {
			continue // nothing of it was moved, nor guarded
		} else if unusable {
			return nil, stopped("table %s cannot be moved: %s", t.Name, t.Problem)
		}
		tables = append(tables, newTable(t, m.Slots))
	}
	return tables, nil
}

func newTable(t *topology.Table, slots *ring.SlotSet) *table {
	key := keySQL(t)
	n := &table{name: t.Name, sql: pgx.Identifier{t.Schema, t.Table}.Sanitize(), key: key, primary: t.Primary,
		moving: slots.InSQL(t.KeyType, key...), slot: ring.SlotExpr(t.KeyType, key...), keyType: t.KeyType}
	for _, c := range t.Columns {
		if !c.Generated {
			n.columns = append(n.columns, c.Name)
		}
	}
	return n
}

// keySQL quotes the columns of a table's shard key.
func keySQL(t *topology.Table) []string {
	key := make([]string, len(t.Key))
	for i, name := range t.Key {
		key[i] = quote(name)
	}
	return key
}

// ownTables are the tables of pgring's own of which the rows of the moving slots go along: idempotent writes, how far asynchronous
// ones were applied, and those that a shard has refused.
func ownTables(m *topology.Move) []*table {
	return []*table{
		ownTable(m, "idempotency", "placed", "hash", "shard_key", "scope", "key", "fingerprint", "tag", "result", "created_at", "expires_at").keyedBy(5),
		ownTable(m, "applied", "placed", "hash", "shard_key", "source", "off", "previous").keyedBy(4),
		ownTable(m, "dead_letter", "placed", "hash", "shard_key", "id", "relation", "login", "statement", "record", "sqlstate", "message", "detail",
			"attempts", "queued_at", "failed_at").keyedBy(4),
	}
}

func ownTable(m *topology.Move, name string, columns ...string) *table {
	t := &table{name: topology.Name{Schema: "pgring", Table: name}, sql: pgx.Identifier{"pgring", name}.Sanitize(), key: []string{`"hash"`}, group: m.Group,
		columns: columns, slot: ring.SlotOfHashExpr("hash")}
	t.moving = t.in(m.Slots, "")
	return t
}

// keyedBy says that the first n columns are the primary key.
func (t *table) keyedBy(n int) *table {
	t.primary = t.columns[:n]
	return t
}

// in is the condition that the slot of a row is one of these. The columns have the prefix: empty, or the row's name and a point.
func (t *table) in(slots *ring.SlotSet, prefix string) string {
	if t.group == "" {
		key := make([]string, len(t.key))
		for i, column := range t.key {
			key[i] = prefix + column
		}
		return slots.InSQL(t.keyType, key...)
	}
	group := "'" + strings.ReplaceAll(t.group, "'", "''") + "'"
	return "(" + prefix + "placed OPERATOR(pg_catalog.=) " + group + " AND " + slots.InHashSQL(prefix+"hash", prefix+"shard_key") + ")"
}

// list writes the columns that rows are copied with: all but the generated ones.
func (t *table) list() string {
	quoted := make([]string, len(t.columns))
	for i, c := range t.columns {
		quoted[i] = quote(c)
	}
	return strings.Join(quoted, ", ")
}

// names of what a move makes on a shard.
func guardName(move int64) string       { return fmt.Sprintf("zz_pgring_move_%d", move) } // triggers fire by name: after the users' own
func referenceGuard(move int64) string  { return fmt.Sprintf("AA_pgring_move_%d", move) } // before those of foreign keys, which begin with RI_
func publicationName(move int64) string { return fmt.Sprintf("pgring_move_%d", move) }

// clusterPrefix begins the names of all replication slots of moves. It is unique on a server that has databases of several clusters.
func clusterPrefix(cluster string) string {
	short := strings.ReplaceAll(cluster, "-", "")
	return "pgring_" + short[:min(8, len(short))] + "_"
}

// slotPrefix begins the names of a move's replication slots.
func slotPrefix(cluster string, move int64) string {
	return fmt.Sprintf("%s%d_", clusterPrefix(cluster), move)
}

// newSlotName gives a name that no slot has had: one that an overtaken controller drops, and makes anew, is missed, and not taken for
// the one that has every change.
func newSlotName(cluster string, move int64) string {
	return fmt.Sprintf("%s%08x", slotPrefix(cluster, move), rand.Uint32())
}

// guardDDL makes the triggers of one table that guard a move's slots. Without slots there is nothing to guard.
func (t *table) guardDDL(move int64, slots *ring.SlotSet) string {
	if slots.Empty() {
		return ""
	}
	name := guardName(move)
	inRow := func(row string) string { return t.in(slots, row+".") }
	var b strings.Builder
	for _, on := range []struct{ event, when string }{
		{"INSERT", inRow("NEW")}, {"UPDATE", inRow("OLD") + " OR " + inRow("NEW")}, {"DELETE", inRow("OLD")},
	} {
		fmt.Fprintf(&b, "CREATE TRIGGER %s BEFORE %s ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION pgring.guard('%d');\n",
			name+"_"+strings.ToLower(on.event), on.event, t.sql, on.when, move)
	}
	return b.String()
}

// unguardDDL drops them.
func (t *table) unguardDDL(move int64) string {
	var b strings.Builder
	for _, event := range []string{"insert", "update", "delete"} {
		fmt.Fprintf(&b, "DROP TRIGGER IF EXISTS %s_%s ON %s;", guardName(move), event, t.sql)
	}
	return b.String()
}

// keepDDL keeps a table from being truncated while its rows are copied and followed.
func (t *table) keepDDL(move int64) string {
	return fmt.Sprintf("CREATE TRIGGER %s_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION pgring.guard_truncate('%d');", guardName(move), t.sql, move)
}

// publicationDDL publishes the moving rows of all tables, those of partitions under their parent's name.
func publicationDDL(move int64, tables []*table) string {
	published := make([]string, len(tables))
	for i, t := range tables {
		published[i] = t.sql + " WHERE (" + t.moving + ")"
	}
	slices.Sort(published)
	return "CREATE PUBLICATION " + publicationName(move) + " FOR TABLE " + strings.Join(published, ", ") + " WITH (publish_via_partition_root = true)"
}
