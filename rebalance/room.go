package rebalance

import (
	"context"
	"fmt"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// What a move holds on a shard: replication slots, and as many WAL senders.
const (
	roomOfSource = 2 // the stream's, and for a short time those of the snapshots that are copied and compared
	roomOfReturn = 1 // the way back's
)

// errNoRoom means that the move must wait until other moves hold fewer replication slots.
var errNoRoom = fmt.Errorf("%w: no replication slot is free", errLater)

// room is what a move lacks of replication slots and WAL senders.
type room struct {
	lacking []string // on shards that never have enough
	taken   []string // on shards where other moves hold them, or are going to
}

// checkRoom adds up what all moves that are under way hold at most, at once, on the shards of this one.
func (d *driver) checkRoom(ctx context.Context) (room, error) {
	var r room
	for _, s := range d.publishers() {
		own := d.roomOf(&d.move, s.id)
		others := 0
		for _, m := range d.topology().Current().Moves {
			if ahead := m.State != topology.MovePlanned || m.ID < d.move.ID && runnable(m); ahead && m.ID != d.move.ID {
				others += d.roomOf(m, s.id)
			}
		}
		for _, limit := range []struct{ setting, used string }{
			{"max_replication_slots", "SELECT count(*) FROM pg_replication_slots WHERE NOT starts_with(slot_name, $1)"},
			{"max_wal_senders", `SELECT count(*) FROM pg_stat_replication r WHERE NOT EXISTS
	(SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND starts_with(slot_name, $1))`},
		} {
			var most, foreign int
			err := s.conn.QueryRow(ctx, "SELECT pg_catalog.current_setting($2)::int, ("+limit.used+")",
				clusterPrefix(d.topology().Current().ClusterID), limit.setting).Scan(&most, &foreign)
			if err != nil {
				return r, err
			}
			switch {
			case foreign+own > most:
				r.lacking = append(r.lacking, fmt.Sprintf("shard %s: %s is %d and %d are used by others than moves: raise it to %d or more",
					s.id, limit.setting, most, foreign, foreign+others+own))
			case foreign+others+own > most:
				r.taken = append(r.taken, fmt.Sprintf("%s of shard %s is %d, and %d would be needed", limit.setting, s.id, most, foreign+others+own))
			}
		}
	}
	return r, nil
}

// roomOf is how much a move holds on a shard at most from now on.
func (d *driver) roomOf(m *topology.Move, shard ring.ShardID) int {
	returns := 0
	if d.controller.cfg.Reversible > 0 && !m.Reverted {
		returns = roomOfReturn
	}
	switch m.State {
	case topology.MovePlanned, topology.MovePreparing, topology.MoveCopying, topology.MoveCatchingUp, topology.MoveVerifying, topology.MoveFreezing:
		switch shard {
		case m.From:
			return roomOfSource
		case m.To:
			return returns
		}
	case topology.MoveSwitched:
		if shard == m.From || shard == m.To {
			return 1
		}
	case topology.MoveReversible:
		if shard == m.To {
			return roomOfReturn
		}
	case topology.MoveUnset, topology.MoveCleaning, topology.MoveGuarding, topology.MoveDone, topology.MoveCancelling, topology.MoveCancelled:
	}
	return 0
}
