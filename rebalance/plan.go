package rebalance

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// Planned is a move that would be made, with what its source knows of it.
type Planned struct {
	topology.Move
	Rows  int64         // as the planner's statistics estimate; -1: not known
	Bytes int64         // of the rows with their indexes, likewise
	Took  time.Duration // that the copy is expected to take; 0: not known
}

// Plan lists the moves that would give each active shard what the ring's weights give it, and take everything from the others. It
// changes nothing. It counts slots; [Controller.PlanBy] weighs them. Groups that are not placed by the ring are left as they are, and so are those whose slots are moving. Keys that are
// pinned stay, unless their shard gives everything away.
func Plan(snap *topology.Snapshot) ([]topology.Move, error) { return planBy(snap, nil) }

// planBy is Plan for the groups that have no costs.
func planBy(snap *topology.Snapshot, costs map[string]*ring.Costs) ([]topology.Move, error) {
	var shards []ring.Shard
	keeps := map[ring.ShardID]bool{}
	for _, s := range snap.Shards {
		switch s.State {
		case topology.Active, topology.ReadOnly:
			shards = append(shards, ring.Shard{ID: s.ID, Weight: s.Weight})
			keeps[s.ID] = true
		case topology.Draining, topology.Joining, topology.StateUnset:
		}
	}
	circle, err := ring.New(snap.Ring, shards)
	if err != nil {
		return nil, fmt.Errorf("plan moves: %w", err)
	}
	var moves []topology.Move
	for _, g := range snap.Groups() {
		present, bySlots := g.Placement.(*ring.Map)
		if !bySlots || g.Strategy != topology.Consistent || snap.Busy(g.Name) {
			continue
		}
		planned := circle.Plan
		if c := costs[g.Name]; c != nil {
			planned = func(present *ring.Map) []ring.Move { return circle.PlanByCost(present, c) }
		}
		for _, m := range planned(present) {
			if keeps[m.From] {
				m.Keys = nil // of weight 0: there for the sake of its keys
			}
			if set := present.Moving(m); !set.Empty() {
				moves = append(moves, topology.Move{Group: g.Name, From: m.From, To: m.To, Slots: set})
			}
		}
	}
	return moves, nil
}

// MoveKey gives the move that brings a key to a shard, which it is then pinned to unless it owns the key's slot. It returns nil when
// the key is there already.
func MoveKey(snap *topology.Snapshot, group string, key ring.Key, to ring.ShardID) (*topology.Move, error) {
	g := snap.Group(group)
	if g == nil {
		return nil, fmt.Errorf("there is no group %s", group)
	}
	placed, bySlots := g.Placement.(*ring.Map)
	if !bySlots {
		return nil, &topology.RefusedError{Object: "key " + key.String(), Reason: "cannot be moved: group " + group + " is not placed by slots but by " + g.Strategy.String()}
	}
	from := placed.Locate(key).Shard
	if from == to {
		return nil, nil
	}
	return &topology.Move{Group: group, From: from, To: to, Slots: placed.Moving(ring.Move{Keys: []ring.Key{key}})}, nil
}

// Estimate adds what the sources' statistics tell to planned moves.
func (c *Controller) Estimate(ctx context.Context, snap *topology.Snapshot, moves []topology.Move) []Planned {
	planned := make([]Planned, len(moves))
	perSecond, limit := c.pastRate(ctx)
	for i, m := range moves {
		planned[i] = Planned{Move: m, Rows: -1, Bytes: -1}
		rows, bytes, err := c.estimate(ctx, snap, m)
		if err != nil {
			c.cfg.Log.Debug("estimate a move", "error", err)
			continue
		}
		seconds := float64(bytes) / perSecond
		if limit.Rows > 0 {
			seconds = max(seconds, float64(rows)/float64(limit.Rows))
		}
		if limit.Bytes > 0 {
			seconds = max(seconds, float64(bytes)/float64(limit.Bytes))
		}
		planned[i].Rows, planned[i].Bytes, planned[i].Took = rows, bytes, time.Duration(seconds*float64(time.Second))
	}
	return planned
}

// usualRate is taken for the bytes that are copied in a second before any copy has been seen.
const usualRate = 20e6

// pastRate tells how many bytes were copied in a second by the copies that the control database remembers, and what bounds them now.
func (c *Controller) pastRate(ctx context.Context) (float64, Throttle) {
	conn, err := c.cfg.Control(ctx)
	if err != nil {
		return usualRate, c.cfg.Throttle
	}
	defer hangUp(ctx, conn)
	limit, err := c.readThrottle(ctx, conn)
	if err != nil {
		return usualRate, c.cfg.Throttle
	}
	var rate *float64
	err = conn.QueryRow(ctx, `SELECT (sum(bytes_copied) / nullif(sum(bytes_copied / bytes_per_s), 0))::float8
FROM pgring.moves WHERE bytes_per_s > 0 AND bytes_copied > 1000000`).Scan(&rate)
	if err != nil || rate == nil {
		return usualRate, limit
	}
	return *rate, limit
}

func (c *Controller) estimate(ctx context.Context, snap *topology.Snapshot, m topology.Move) (rows, bytes int64, err error) {
	tables, err := tablesOf(snap, &m)
	if err != nil {
		return 0, 0, err
	}
	shard, _ := snap.Shard(m.From)
	conn, err := c.cfg.Dial(ctx, shard)
	if err != nil {
		return 0, 0, err
	}
	defer hangUp(ctx, conn)
	return estimate(ctx, conn, snap, &m, tables)
}

// estimate tells from the source's statistics what a move takes along: of slots their share in those that the source owns; of single
// keys what the server's planner expects.
func estimate(ctx context.Context, conn *pgx.Conn, snap *topology.Snapshot, m *topology.Move, tables []*table) (rows, bytes int64, err error) {
	share := -1.0
	if placed, ok := snap.Group(m.Group).Placement.(*ring.Map); ok && m.Slots.Len() > 0 {
		share = float64(m.Slots.Len()) / float64(max(len(placed.Slots(m.From)), 1))
	}
	for _, t := range tables {
		var all, size float64
		err := conn.QueryRow(ctx, `SELECT coalesce(sum(CASE WHEN reltuples >= 0 THEN reltuples ELSE pg_stat_get_live_tuples(relid) END), 0)::float8, coalesce(sum(pg_total_relation_size(relid)), 0)::float8
FROM `+leaves+` JOIN pg_class c ON c.oid = relid`, []string{t.sql}).Scan(&all, &size)
		if err != nil {
			return 0, 0, err
		}
		expected := all * share
		if share < 0 {
			if expected, err = expectedRows(ctx, conn, t); err != nil {
				return 0, 0, err
			}
			expected = min(expected, all)
		}
		rows += int64(expected)
		bytes += int64(size * expected / max(all, 1))
	}
	return rows, bytes, nil
}

// expectedRows is what the server's planner expects of the moving rows of a table.
func expectedRows(ctx context.Context, conn *pgx.Conn, t *table) (float64, error) {
	var text string
	if err := conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON) SELECT FROM "+t.sql+" WHERE "+t.moving).Scan(&text); err != nil {
		return 0, err
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		return 0, fmt.Errorf("read a plan of the server: %w", err)
	}
	return plans[0].Plan.Rows, nil
}
