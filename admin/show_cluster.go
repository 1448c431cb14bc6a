package admin

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

func shardColumns() []column {
	return []column{
		{"shard", text, "Name of the shard."},
		{"host", text, "Where its server is."},
		{"port", integer, ""},
		{"state", text, "active, readonly, draining or joining."},
		{"weight", integer, "Its share of the ring relative to the others."},
		{"ring_share_pct", float, "Its share of the slots of all colocation groups that have slots."},
		{"slots", integer, "Number of slots that it owns, of all groups together (each has 16384)."},
		{"size_bytes", integer, "Size of the database there."},
		{"writes_per_s", float, "Rows inserted, updated and deleted, by the shard's own statistics, since it was last looked at (at most five minutes ago)."},
		{"reads_per_s", float, "Scans of tables and indexes, in the same way."},
		{"p50_ms", float, "Median time of a statement there; NULL while it is not measured."},
		{"p99_ms", float, "The time that 99 of 100 statements there do not exceed; NULL while it is not measured."},
		{"in_flight", integer, "Connections that are lent to clients now."},
		{"healthy", text, "no while connections to it fail."},
		{"last_error", text, "Why the last failed connection failed."},
	}
}

// showShards answers SHOW SHARDS.
func (c *Console) showShards(ctx context.Context, _ *input) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	looks := c.sizes.look(ctx, snap)
	owned, total := ownedSlots(snap)
	health := map[ring.ShardID]backend.Health{}
	for _, h := range c.cfg.Pools.Health() {
		health[h.Shard] = h
	}
	busy := map[ring.ShardID]int{}
	for _, p := range c.cfg.Pools.Stats() {
		busy[p.Shard] += p.Active
	}
	var rows []row
	for _, s := range snap.Shards {
		look, h := looks[s.ID], health[s.ID]
		rows = append(rows, row{string(s.ID), s.Host, number(s.Port), s.State.String(), number(s.Weight), percent(owned[s.ID], total),
			number(owned[s.ID]), look.size(), look.writesPerSecond(), look.readsPerSecond(), nil, nil,
			number(busy[s.ID]), yes(h.Healthy), orNull(oneLine(h.LastError))})
	}
	return rowsOf(rows)
}

// percent is NULL of nothing.
func percent(part, whole int) any {
	if whole == 0 {
		return nil
	}
	return 100 * float64(part) / float64(whole)
}

// ownedSlots counts the slots of all groups that have slots, by owner.
func ownedSlots(snap *topology.Snapshot) (owned map[ring.ShardID]int, total int) {
	owned = map[ring.ShardID]int{}
	for _, g := range snap.Groups() {
		if m, ok := g.Placement.(*ring.Map); ok {
			countSlots(m, owned)
			total += ring.SlotCount
		}
	}
	return owned, total
}

func countSlots(m *ring.Map, into map[ring.ShardID]int) {
	for s := range ring.Slot(ring.SlotCount) {
		into[m.Owner(s)]++
	}
}

func ringColumns() []column {
	return []column{
		{"shard", text, "Name of the shard."},
		{"virtual_nodes", integer, "Its points on the ring."},
		{"slots", integer, "Slots of the group that it owns."},
		{"share_pct", float, "They as a part of all slots of the group."},
		{"fair_pct", float, "The part that its weight entitles it to: 0 unless it is active."},
		{"deviation_pct", float, "How far the share is from the fair one."},
		{"group", text, "The colocation group; NULL when there is none that has slots."},
	}
}

// defaultVirtualNodes is what ring.Config means by zero.
const defaultVirtualNodes = 128

// showRing answers SHOW RING.
func (c *Console) showRing(context.Context, *input) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, g := range snap.Groups() {
		if m, ok := g.Placement.(*ring.Map); ok {
			owned := map[ring.ShardID]int{}
			countSlots(m, owned)
			rows = append(rows, ringRows(snap, owned, ring.SlotCount, g.Name)...)
		}
	}
	if rows == nil {
		rows = ringRows(snap, nil, 0, "")
	}
	return rowsOf(rows)
}

func ringRows(snap *topology.Snapshot, owned map[ring.ShardID]int, total int, group string) []row {
	nodes, weights := snap.Ring.VirtualNodes, 0
	if nodes == 0 {
		nodes = defaultVirtualNodes
	}
	for _, s := range snap.Shards {
		if s.State == topology.Active {
			weights += s.Weight
		}
	}
	var rows []row
	for _, s := range snap.Shards {
		weight := s.Weight
		if s.State != topology.Active {
			weight = 0
		}
		share, fair := percent(owned[s.ID], total), percent(weight, weights)
		rows = append(rows, row{string(s.ID), number(nodes * weight), number(owned[s.ID]), share, fair, deviation(share, fair), orNull(group)})
	}
	return rows
}

// deviation is NULL where there is no share to compare with.
func deviation(share, fair any) any {
	s, known := share.(float64)
	f, fairKnown := fair.(float64)
	if !known || !fairKnown || f == 0 {
		return nil
	}
	return 100 * (s - f) / f
}

func placementColumns() []column {
	return []column{
		{"table", text, "The table."},
		{"key", text, "The key as it was understood."},
		{"hash", integer, "Its hash, as PostgreSQL's extended hash functions give it; NULL for a table without a key."},
		{"slot", integer, "The slot that the hash falls in."},
		{"shard", text, "The owner; all for a reference table; NULL when nobody owns the key."},
		{"epoch", integer, "Of the map that says so."},
		{"moving_to", text, "The shard that the slot is being moved to; NULL when it stays."},
	}
}

// showPlacement answers SHOW PLACEMENT table key.
func (c *Console) showPlacement(_ context.Context, in *input) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	word, err := in.arguments.word("a table")
	if err != nil {
		return nil, err
	}
	name, err := tableName(word)
	if err != nil {
		return nil, err
	}
	typed, err := in.arguments.value("a key")
	if err != nil {
		return nil, err
	}
	t := snap.Table(name.Schema, name.Table)
	if t == nil {
		return nil, noTable(name, snap)
	}
	r := row{name.String(), typed, nil, nil, nil, number(snap.Epoch), nil}
	switch t.Kind {
	case topology.Reference:
		r[4] = "all"
	case topology.Home:
		r[4] = string(t.Shard)
	case topology.Sharded:
		return placed(snap, r, t, typed)
	case topology.KindUnset:
	}
	return rowsOf([]row{r})
}

// placed fills in where a key of a sharded table is.
func placed(snap *topology.Snapshot, r row, t *topology.Table, typed string) (*outcome, error) {
	if t.KeyType == ring.KeyUnset {
		return nil, &pgwire.Error{Code: codeNotInState, Message: fmt.Sprintf("the type of the shard key of table %q is not known", t.Name),
			Detail: "The table does not exist yet, or cannot be used as declared.", Hint: "SHOW TABLES tells its problem."}
	}
	key, err := parseKey(t.KeyType, typed)
	if err != nil {
		return nil, err
	}
	at := t.Group.Placement.Locate(key)
	r[1], r[2], r[3], r[4] = key.String(), int64(key.Hash()), number(at.Slot), orNull(string(at.Shard))
	r[6] = movingTo(snap, t.Group.Name, key)
	return rowsOf([]row{r})
}

// tableName reads table or schema.table, as in SQL.
func tableName(t token) (topology.Name, error) {
	switch parts := t.identifiers(); {
	case len(parts) == 1 && parts[0] != "":
		return topology.Name{Schema: "public", Table: parts[0]}, nil
	case len(parts) == 2 && parts[0] != "" && parts[1] != "":
		return topology.Name{Schema: parts[0], Table: parts[1]}, nil
	}
	return topology.Name{}, expected("a table", t)
}

func noTable(name topology.Name, snap *topology.Snapshot) error {
	var names []string
	for _, t := range snap.Tables() {
		names = append(names, typedName(t.Name))
	}
	e := &pgwire.Error{Code: codeUndefinedTable, Message: fmt.Sprintf("there is no table %q", shortName(name)), Hint: "SHOW TABLES lists them."}
	if near := nearest(typedName(name), names); near != "" {
		e.Hint = "Did you mean " + near + "?"
	}
	return e
}

// shortName leaves out the schema public.
func shortName(n topology.Name) string { return strings.TrimPrefix(n.String(), "public.") }

// plainName is what needs no quotes.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// typedName is the name as it is to be written in a command.
func typedName(n topology.Name) string {
	parts := []string{n.Schema, n.Table}
	if n.Schema == "public" {
		parts = parts[1:]
	}
	for i, part := range parts {
		if !plainName.MatchString(part) {
			parts[i] = `"` + strings.ReplaceAll(part, `"`, `""`) + `"`
		}
	}
	return strings.Join(parts, ".")
}

func peerColumns() []column {
	return []column{
		{"instance", text, "Identity of the process."},
		{"host", text, "The machine it runs on."},
		{"version", text, "Of pgring."},
		{"started", text, ""},
		{"lease_ms", float, "What is left of its lease; negative: it is gone."},
		{"epoch", integer, "Of the map that it works with."},
		{"self", text, "yes for the process that answers."},
	}
}

// showPeers answers SHOW PEERS.
func (c *Console) showPeers(ctx context.Context, _ *input) (*outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	peers, err := c.cfg.Topology.Peers(ctx)
	if err != nil {
		return nil, &pgwire.Error{Code: codeConnectionFailure, Message: "the control database, which knows the proxies, cannot be asked",
			Detail: sentence(oneLine(err)), Hint: "SHOW STATE says since when."}
	}
	var rows []row
	for _, p := range peers {
		rows = append(rows, row{p.Instance, p.Host, p.Version, moment(p.Started), millis(p.LeaseFor.Round(time.Millisecond)), number(p.Epoch), yes(p.Self)})
	}
	return rowsOf(rows)
}

func routeColumns() []column {
	return []column{
		{"step", integer, "Counts from 1."},
		{"kind", text, "one, home, reference, gather, split or broadcast; or that the statement would be refused."},
		{"table", text, "The tables."},
		{"key", text, "The shard key that was found."},
		{"shard", text, "The shards."},
		{"sql_sent", text, "What they would get."},
		{"reason", text, "Why."},
	}
}
