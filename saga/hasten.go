package saga

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// How often notes are written while slots move: a cut-over waits for sagas whose homes do not say that they are over.
const (
	hasteSoon = 100 * time.Millisecond // one is going to begin
	hasteNow  = 5 * time.Millisecond   // clients wait
)

// hasten writes notes earlier than the janitor would, whenever a move is about to be cut over.
func (c *Coordinator) hasten(ctx context.Context) {
	conns := map[ring.ShardID]*pgx.Conn{}
	drop := func(home ring.ShardID) {
		if conns[home] != nil {
			hangUp(ctx, conns[home])
			delete(conns, home)
		}
	}
	for ctx.Err() == nil {
		snap := c.cfg.Topology.Current()
		every := haste(snap)
		if every == 0 {
			for home := range conns {
				drop(home)
			}
			_ = c.cfg.Topology.AwaitNewer(ctx, snap) // it is ctx that ends it
			continue
		}
		for i := range snap.Shards {
			home := snap.Shards[i].ID
			if c.noteSoon(ctx, conns, home) != nil {
				drop(home) // the janitor tells of it
			}
		}
		waiting, cancel := context.WithTimeout(ctx, every)
		_ = c.cfg.Topology.AwaitNewer(waiting, snap) // an end of the time is as good
		cancel()
	}
	for home := range conns {
		drop(home)
	}
}

// haste is how often notes are to be written; 0: it does not matter.
func haste(snap *topology.Snapshot) time.Duration {
	is := func(states ...topology.MoveState) bool {
		return slices.ContainsFunc(snap.Moves, func(m *topology.Move) bool { return slices.Contains(states, m.State) })
	}
	switch {
	case is(topology.MoveFreezing):
		return hasteNow
	case is(topology.MoveCatchingUp, topology.MoveVerifying):
		return hasteSoon
	}
	return 0
}

// noteSoon writes the notes about one home, if there are any.
func (c *Coordinator) noteSoon(ctx context.Context, conns map[ring.ShardID]*pgx.Conn, home ring.ShardID) error {
	if c.notes.none(home) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	if conns[home] == nil {
		conn, err := c.operator(ctx, home)
		if err != nil {
			return err
		}
		conns[home] = conn
	}
	return c.writeNotes(ctx, conns[home], home)
}
