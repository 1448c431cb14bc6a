package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// maxAttempts bounds how often a change is decided anew because another one came first.
const maxAttempts = 8

// conflictPause is the longest pause before a change is decided anew for the first time.
const conflictPause = 4 * time.Millisecond

// edit makes new facts from the present ones; it may look at shards. It returns its argument when there is nothing to change.
type edit func(ctx context.Context, present *facts, survey *surveyor) (*facts, error)

// change reads the facts, lets the edit decide, and swaps. It decides anew when somebody else was faster.
func (t *Topology) change(ctx context.Context, decide edit) (*Snapshot, error) {
	if t.Current() == nil {
		return nil, ErrNotStarted
	}
	conn, err := t.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer t.giveBack(ctx, conn)
	return t.changeOn(ctx, conn, decide)
}

// changeKnown is change for when clients wait: it takes the present snapshot's facts for those of the control database, which the
// swap proves or refutes, and reads them only if it has to, or if nothing is to be changed by them or it is refused.
func (t *Topology) changeKnown(ctx context.Context, decide edit) (*Snapshot, error) {
	known := t.state.Load()
	if known == nil {
		return nil, ErrNotStarted
	}
	conn, err := t.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer t.giveBack(ctx, conn)
	if next, err := decide(ctx, known.facts, nil); err == nil && !next.sameAs(known.facts) {
		err := swap(ctx, conn, known.facts, next)
		switch {
		case err == nil:
			return t.publish(next, nil), nil
		case !errors.Is(err, ErrConflict):
			return nil, err
		}
	}
	return t.changeOn(ctx, conn, decide)
}

func (t *Topology) changeOn(ctx context.Context, conn *pgx.Conn, decide edit) (*Snapshot, error) {
	pause := backoff{first: conflictPause} // somebody else has succeeded, and clients may be waiting for this one
	for attempt := 1; ; attempt++ {
		snap, err := t.changeOnce(ctx, conn, decide)
		if !errors.Is(err, ErrConflict) || attempt == maxAttempts {
			return snap, err
		}
		if err := pause.wait(ctx); err != nil {
			return nil, err
		}
	}
}

func (t *Topology) changeOnce(ctx context.Context, conn *pgx.Conn, decide edit) (*Snapshot, error) {
	survey := newSurveyor(t.cfg.Dial)
	defer survey.close(ctx)
	present, err := loadFacts(ctx, conn)
	if err != nil {
		return nil, err
	}
	if present == nil || present.cluster != t.state.Load().facts.cluster {
		return nil, errOtherCluster
	}
	next, err := decide(ctx, present, survey)
	if err != nil {
		return nil, err
	}
	if next.sameAs(present) {
		return t.publish(present, nil), nil
	}
	if err := swap(ctx, conn, present, next); err != nil {
		return nil, err
	}
	return t.publish(next, nil), nil
}

// raise stores the value if it is above the present one, and reports whether it was.
func raise(to *atomic.Int64, value int64) bool {
	for {
		now := to.Load()
		if now >= value {
			return false
		}
		if to.CompareAndSwap(now, value) {
			return true
		}
	}
}

// AddShard adds a shard, which owns nothing until a rebalance gives it slots. It is Active when it has every declared table that
// exists on the home shard, and Joining otherwise. A shard that cannot be reached is an error.
func (t *Topology) AddShard(ctx context.Context, shard Shard) (*Snapshot, error) {
	shard = shard.over(Shard{})
	if err := shard.check(); err != nil {
		return nil, err
	}
	return t.change(ctx, func(ctx context.Context, present *facts, survey *surveyor) (*facts, error) {
		if _, known := present.shard(shard.ID); known {
			return nil, &RefusedError{Object: "shard " + string(shard.ID), Reason: "is there already", Hint: "names of shards are identities: choose another"}
		}
		d := &draft{facts: present.clone(), survey: survey}
		if _, err := survey.conn(ctx, shard); err != nil {
			return nil, err
		}
		state, err := d.startState(ctx, shard)
		if err != nil {
			return nil, err
		}
		for _, notice := range d.notices {
			t.cfg.Log.Info("shard added", "shard", shard.ID, "notice", notice)
		}
		added := shard
		added.State = state
		d.facts.setShard(added)
		return d.facts, nil
	})
}

// DropShard forgets a shard that owns nothing: else it returns a [ShardInUseError]. Its number is not used again. Moves from it that
// are over but for their guards are done with it.
func (t *Topology) DropShard(ctx context.Context, id ring.ShardID) (*Snapshot, error) {
	return t.change(ctx, func(_ context.Context, present *facts, _ *surveyor) (*facts, error) {
		if _, known := present.shard(id); !known {
			return nil, noShard(id)
		}
		use := &ShardInUseError{Shard: id, Home: present.home == id, Groups: map[string]int{}}
		for _, g := range present.groups {
			if n := g.share(id); n > 0 {
				use.Groups[g.name] = n
			}
		}
		for _, d := range present.tables {
			if d.kind == Home && d.shard == id {
				use.Tables = append(use.Tables, d.Name)
			}
		}
		for _, m := range present.moves {
			switch touches := m.From == id || m.To == id; {
			case touches && m.State == MoveReversible:
				use.Reversible = append(use.Reversible, m.ID)
			case touches && m.State != MoveGuarding:
				use.Moves = append(use.Moves, m.ID)
			}
		}
		if use.Home || len(use.Groups)+len(use.Tables)+len(use.Moves)+len(use.Reversible) > 0 {
			return nil, use
		}
		next := present.clone()
		next.dropShard(id)
		for _, m := range next.moves {
			if m.From == id { // its guard stays on the server, where it refuses what a proxy with an old map sends
				m.State = MoveDone
				next.setMove(m)
			}
		}
		return next, nil
	})
}

func noShard(id ring.ShardID) error {
	return &RefusedError{Object: "shard " + string(id), Reason: "is not there"}
}

// SetShardState changes what a shard may be used for. A Joining shard becomes another only when it has what AddShard asks for.
func (t *Topology) SetShardState(ctx context.Context, id ring.ShardID, state ShardState) (*Snapshot, error) {
	if !slices.Contains([]ShardState{Active, ReadOnly, Draining}, state) {
		return nil, fmt.Errorf("a shard cannot be made %s", state)
	}
	return t.editShard(ctx, id, func(ctx context.Context, d *draft, s Shard) (Shard, error) {
		if s.State == Joining {
			reason, err := d.readiness(ctx, s)
			if err != nil {
				return s, err
			}
			if reason != "" {
				return s, &RefusedError{Object: "shard " + string(id), Reason: "is joining: " + reason}
			}
		}
		s.State = state
		return s, nil
	})
}

// SetShardWeight changes a shard's share of the ring; the next rebalance follows it.
func (t *Topology) SetShardWeight(ctx context.Context, id ring.ShardID, weight int) (*Snapshot, error) {
	return t.editShard(ctx, id, func(_ context.Context, _ *draft, s Shard) (Shard, error) {
		s.Weight = weight
		return s, s.check()
	})
}

// SetShardAddress says that the same shard, with the same rows, is to be reached elsewhere.
func (t *Topology) SetShardAddress(ctx context.Context, id ring.ShardID, host string, port int) (*Snapshot, error) {
	return t.editShard(ctx, id, func(_ context.Context, _ *draft, s Shard) (Shard, error) {
		s.Host, s.Port = host, port
		return s, s.check()
	})
}

func (t *Topology) editShard(ctx context.Context, id ring.ShardID, change func(context.Context, *draft, Shard) (Shard, error)) (*Snapshot, error) {
	return t.change(ctx, func(ctx context.Context, present *facts, survey *surveyor) (*facts, error) {
		d := &draft{facts: present.clone(), survey: survey}
		shard, known := present.shard(id)
		if !known {
			return nil, noShard(id)
		}
		changed, err := change(ctx, d, shard)
		if err != nil {
			return nil, err
		}
		d.facts.setShard(changed)
		return d.facts, nil
	})
}
