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
	Rows  int64 // as the planner's statistics estimate; -1: not known
	Bytes int64 // of the rows with their indexes, likewise
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
	for i, m := range moves {
		planned[i] = Planned{Move: m, Rows: -1, Bytes: -1}
		if rows, bytes, err := c.estimate(ctx, snap, m); err == nil {
			planned[i].Rows, planned[i].Bytes = rows, bytes
		} else {
			c.cfg.Log.Debug("estimate a move", "error", err)
		}
	}
	return planned
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
		err := conn.QueryRow(ctx, `SELECT coalesce(sum(greatest(reltuples, 0)), 0)::float8, coalesce(sum(pg_total_relation_size(relid)), 0)::float8
FROM pg_partition_tree($1::text::regclass) JOIN pg_class c ON c.oid = relid WHERE isleaf`, t.sql).Scan(&all, &size)
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

// Status is one move as SHOW REBALANCE tells it.
type Status struct {
	ID          int64
	Group       string
	From, To    ring.ShardID
	Slots       int
	State       topology.MoveState
	Paused      bool
	Reverted    bool   // source and target have changed places since it was planned
	WaitingFor  string // for what, if it does; why it stopped, if it has
	Stopped     bool
	RowsCopied  int64
	RowsTotal   *int64     // an estimate
	Applied     int64      // changes made while it was copied and since
	LagBytes    *int64     // of the source's log; of a reversible move, of the target's
	LogBytes    *int64     // that the target keeps for the way back of a reversible move
	PauseMillis *float64   // how long writes to its slots were held back by the cut-over that succeeded
	Until       *time.Time // a reversible move can be reverted
	Created     time.Time
	Changed     time.Time
	Finished    *time.Time
}

// Statuses reads the moves that are not finished, and the finished ones of the last week, oldest first.
func (c *Controller) Statuses(ctx context.Context) ([]Status, error) {
	conn, err := c.cfg.Control(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the control database: %w", err)
	}
	defer hangUp(ctx, conn)
	rows, err := conn.Query(ctx, `SELECT id, group_name, source, target, slots, state, paused, problem, waiting_for, rows_copied, rows_total, applied,
	lag_bytes, pause_ms, created, changed, finished, reverted, CASE state WHEN 'reversible' THEN reversible_until END,
	CASE state WHEN 'reversible' THEN log_bytes END FROM pgring.moves WHERE finished IS NULL OR finished > now() - interval '7 days' ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read pgring.moves: %w", err)
	}
	defer rows.Close()
	var all []Status
	for rows.Next() {
		var s Status
		var slots, state, problem string
		if err := rows.Scan(&s.ID, &s.Group, (*string)(&s.From), (*string)(&s.To), &slots, &state, &s.Paused, &problem, &s.WaitingFor, &s.RowsCopied,
			&s.RowsTotal, &s.Applied, &s.LagBytes, &s.PauseMillis, &s.Created, &s.Changed, &s.Finished,
			&s.Reverted, &s.Until, &s.LogBytes); err != nil {
			return nil, fmt.Errorf("read pgring.moves: %w", err)
		}
		set, err := ring.ParseSlotSet(slots)
		if err != nil {
			return nil, err
		}
		s.Slots, s.State = set.Len(), topology.ParseMoveState(state)
		if problem != "" {
			s.Stopped, s.WaitingFor = true, problem
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
