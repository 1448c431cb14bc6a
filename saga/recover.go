package saga

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// dueBatch bounds the sagas that are looked at on one home in one round.
const dueBatch = 1000

// due is a saga that no proxy works on.
type due struct {
	id     string
	mode   mode
	shards []ring.ShardID
}

// readSagas reads what a home has to be settled, and what it has altogether.
func (v *visit) readSagas(ctx context.Context) error {
	rows, err := v.conn.Query(ctx, "SELECT id, mode, shards FROM pgring.saga WHERE state <> 'STUCK' AND "+dueSQL+" ORDER BY started LIMIT $1", dueBatch)
	if err != nil {
		return fmt.Errorf("read unsettled sagas: %w", err)
	}
	v.due, err = pgx.CollectRows(rows, func(rows pgx.CollectableRow) (d due, err error) {
		return d, rows.Scan(&d.id, &d.mode, &d.shards)
	})
	if err != nil {
		return fmt.Errorf("read unsettled sagas: %w", err)
	}
	rows, err = v.conn.Query(ctx, `SELECT state, count(*), max(clock_timestamp() - started) FROM pgring.saga
WHERE mode <> '2pc' AND finished IS NULL GROUP BY state`)
	if err != nil {
		return fmt.Errorf("count sagas: %w", err)
	}
	var (
		state State
		n     int
		age   time.Duration
	)
	v.states = map[State]int{}
	_, err = pgx.ForEachRow(rows, []any{&state, &n, &age}, func() error {
		v.states[state], v.oldest = n, max(v.oldest, age)
		return nil
	})
	if err != nil {
		return fmt.Errorf("count sagas: %w", err)
	}
	return nil
}

// sagas settles what nobody works on. Sagas of which every step is done need no more than a note; the others go to the crew.
func (r *round) sagas(ctx context.Context) {
	r.stats.Sagas = map[State]int{Running: 0, Forwarding: 0, Compensating: 0, Stuck: 0}
	done := r.done(ctx)
	for _, shard := range slices.Sorted(maps.Keys(r.visits)) {
		v := r.visits[shard]
		for state, n := range v.states {
			r.stats.Sagas[state] += n
		}
		r.stats.OldestAge = max(r.stats.OldestAge, v.oldest)
		for _, d := range v.due {
			if d.mode == modeSaga && done[d.id] == len(d.shards) {
				r.c.counter.recovered.Add(1)
				r.c.notes.add(shard, d.id)
				continue
			}
			// owner: the crew; ends when the saga is settled or hindered, or with ctx.
			r.c.crew.start(d.id, func() { r.c.takeOver(ctx, d.id) })
		}
		if err := r.c.writeNotes(ctx, v.conn, shard); err != nil {
			r.failed[shard] = err
		}
	}
}

// done counts the steps of the due sagas that are done, on the shards that answer. Done is done for ever, so no fence is needed to
// believe it.
func (r *round) done(ctx context.Context) map[string]int {
	byShard := map[ring.ShardID][]string{}
	for _, v := range r.visits {
		for _, d := range v.due {
			for _, shard := range d.shards {
				byShard[shard] = append(byShard[shard], d.id)
			}
		}
	}
	done := map[string]int{}
	for shard, ids := range byShard {
		v := r.visits[shard]
		if v == nil {
			continue
		}
		rows, err := v.conn.Query(ctx, "SELECT saga_id FROM pgring.barrier WHERE saga_id = ANY($1) AND (op = 'a' AND kind = 'action' OR op = 'r')", ids)
		if err == nil {
			var id string
			_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
				done[id]++
				return nil
			})
		}
		if err != nil {
			r.failed[shard] = fmt.Errorf("read barrier rows on %s: %w", shard, err)
		}
	}
	return done
}

// takeOver settles a saga whose proxy is gone, or has given it up for the moment.
func (c *Coordinator) takeOver(ctx context.Context, id string) {
	s, err := c.settlement(id)
	if err != nil {
		c.cfg.Logger.Error("saga with an odd id", "saga", id, "error", err)
		return
	}
	defer s.close(ctx)
	c.reach("claim", before, s.home)
	mine, err := s.claim(ctx)
	c.reach("claim", answered, s.home)
	if err != nil || !mine {
		return // the home is down, or somebody was faster
	}
	state, err := s.settle(ctx, "its proxy did not finish it")
	switch {
	case err == nil && state.Settled():
		c.counter.recovered.Add(1)
		c.cfg.Logger.Info("saga of a lost proxy settled", "saga", id, "state", state)
	case ctx.Err() == nil:
		_ = s.update(ctx, "UPDATE pgring.saga SET leased = NULL WHERE id = $1 AND finished IS NULL", id) // else the lease runs out
		c.cfg.Logger.Debug("saga cannot be settled yet", "saga", id, "state", state, "error", err)
	}
}
