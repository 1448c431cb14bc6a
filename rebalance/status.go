package rebalance

import (
	"context"
	"fmt"
	"time"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

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
	Keys        []ring.Key // single ones
	RowsCopied  int64
	RowsTotal   *int64 // an estimate
	BytesCopied int64
	BytesTotal  *int64     // likewise, with indexes
	RowsPerS    *float64   // of the copy, when last looked
	BytesPerS   *float64   // likewise
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
	CASE state WHEN 'reversible' THEN log_bytes END, bytes_total, bytes_copied, rows_per_s, bytes_per_s FROM pgring.moves WHERE finished IS NULL OR finished > now() - interval '7 days' ORDER BY id`)
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
			&s.Reverted, &s.Until, &s.LogBytes, &s.BytesTotal, &s.BytesCopied, &s.RowsPerS, &s.BytesPerS); err != nil {
			return nil, fmt.Errorf("read pgring.moves: %w", err)
		}
		set, err := ring.ParseSlotSet(slots)
		if err != nil {
			return nil, err
		}
		s.Keys, _ = set.Keys()
		s.Slots, s.State = set.Len(), topology.ParseMoveState(state)
		if problem != "" {
			s.Stopped, s.WaitingFor = true, problem
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// Percent is how much of the copy is done; 100 behind it, and nil while that is not known.
func (s *Status) Percent() *float64 {
	percent := 100.0
	switch {
	case s.State.Copies() && (s.RowsTotal == nil || *s.RowsTotal == 0):
		return nil
	case s.State.Copies():
		percent = min(100*float64(s.RowsCopied)/float64(*s.RowsTotal), 99)
	}
	return &percent
}

// Left is how long the copy will take at its present rate; nil while that is not known, and when it is done.
func (s *Status) Left() *time.Duration {
	if !s.State.Copies() || s.RowsTotal == nil || s.RowsPerS == nil || *s.RowsPerS <= 0 {
		return nil
	}
	left := time.Duration(float64(max(*s.RowsTotal-s.RowsCopied, 0)) / *s.RowsPerS * float64(time.Second))
	return &left
}
