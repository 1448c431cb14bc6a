package saga

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// transaction is one Commit under way.
type transaction struct {
	id     identity
	home   *branch
	others []*branch
	epoch  int64 // of the map
}

func (t *transaction) all() []*branch { return append([]*branch{t.home}, t.others...) }

// in returns the branches that are in one of the states.
func (t *transaction) in(states ...branchState) []*branch {
	return slices.DeleteFunc(t.all(), func(b *branch) bool { return !slices.Contains(states, b.state) })
}

func (t *transaction) shards() []ring.ShardID {
	var shards []ring.ShardID
	for _, b := range t.all() {
		shards = append(shards, b.shard)
	}
	return shards
}

func (c *Coordinator) commit(ctx context.Context, conns []*backend.Conn) error {
	snap := c.cfg.Topology.Current()
	if snap == nil {
		return &AbortedError{Shard: conns[0].Shard(), Err: topology.ErrNotStarted}
	}
	t := begin(snap, conns)
	if err := t.check(); err != nil {
		return c.abort(ctx, t, err)
	}
	if len(t.others) == 0 {
		return c.commitOne(ctx, t)
	}
	able, err := c.canPrepare(ctx, t)
	if err != nil {
		return c.abort(ctx, t, err)
	}
	if err := c.ensureInstalled(ctx, t.home); err != nil {
		return c.abort(ctx, t, &AbortedError{Shard: t.home.shard, Err: err})
	}
	if !able {
		return c.commitEach(ctx, t)
	}
	return c.commitPrepared(ctx, t)
}

func begin(snap *topology.Snapshot, conns []*backend.Conn) *transaction {
	t := &transaction{id: newIdentity(), epoch: snap.Epoch}
	home := conns[0].Shard()
	for i, conn := range conns {
		b := &branch{conn: conn, shard: conn.Shard(), state: open}
		if i == 0 {
			t.home = b
			continue
		}
		b.gid = gid{cluster: snap.ClusterID, transaction: t.id.name, step: i, home: home}.String()
		t.others = append(t.others, b)
	}
	return t
}

// check refuses what could not be committed on all shards, before anything is sent.
func (t *transaction) check() error {
	seen := map[ring.ShardID]bool{}
	for _, b := range t.all() {
		if b.conn.Status() != pgwire.TxActive {
			return &AbortedError{Shard: b.shard, Err: errNotOpen}
		}
		if seen[b.shard] {
			return &AbortedError{Shard: b.shard, Err: errors.New("the shard takes part twice")}
		}
		if len(b.gid) > maxGID {
			return &AbortedError{Shard: b.shard, Err: fmt.Errorf("name of the prepared transaction has %d bytes, more than %d: shard %q needs a shorter name", len(b.gid), maxGID, t.home.shard)}
		}
		seen[b.shard] = true
	}
	return nil
}

// commitOne is the case of one shard: PostgreSQL decides.
func (c *Coordinator) commitOne(ctx context.Context, t *transaction) error {
	c.ask(ctx, "commit", t.all(), func(*branch) []byte { return query("COMMIT") })
	b := t.home
	switch {
	case isLost(b.err):
		return &UnknownError{Shard: b.shard, Err: b.err}
	case b.err != nil:
		return c.abort(ctx, t, &AbortedError{Shard: b.shard, Err: b.err})
	case b.answer.tag != "COMMIT":
		return &AbortedError{Shard: b.shard, Err: errNotOpen}
	}
	return nil
}

// canPrepare reports whether every shard supports two-phase commit; those not yet known are asked.
func (c *Coordinator) canPrepare(ctx context.Context, t *transaction) (bool, error) {
	asked := slices.DeleteFunc(t.all(), func(b *branch) bool { return c.facts.canPrepare(b.shard, t.epoch) })
	c.ask(ctx, "show", asked, func(*branch) []byte { return query("SHOW max_prepared_transactions") })
	able := true
	for _, b := range asked {
		if b.err != nil {
			return false, &AbortedError{Shard: b.shard, Err: b.err}
		}
		if b.answer.row == "0" {
			able = false
			continue
		}
		c.facts.setCanPrepare(b.shard, t.epoch)
	}
	return able, nil
}

// commitPrepared is two-phase commit.
func (c *Coordinator) commitPrepared(ctx context.Context, t *transaction) error {
	if err := c.prepare(ctx, t); err != nil {
		return c.abort(ctx, t, err)
	}
	if err := ctx.Err(); err != nil {
		return c.abort(ctx, t, &AbortedError{Shard: t.home.shard, Err: err})
	}
	verdict, err := c.decide(ctx, t, t.shards())
	switch verdict {
	case committed:
		c.finish(ctx, t)
		return nil
	case refused:
		return c.abort(ctx, t, err)
	case fenced:
		return c.abortFenced(ctx, t, err)
	case unknown:
	}
	return err
}

// prepare makes the work of the others outlive their connections. It returns the first error and leaves clearing up to abort.
func (c *Coordinator) prepare(ctx context.Context, t *transaction) error {
	c.ask(ctx, "prepare", t.others, func(b *branch) []byte { return query("PREPARE TRANSACTION " + quote(b.gid)) })
	var failure error
	for _, b := range t.others {
		err := b.err
		switch {
		case err == nil && b.answer.tag == "PREPARE TRANSACTION":
			b.state = prepared
			continue
		case err == nil: // PostgreSQL's answer when the transaction has failed is ROLLBACK
			b.state, err = ended, errNotOpen
		case isLost(err):
			b.state = doubtful
		case b.conn.Status() == pgwire.TxIdle:
			b.state = ended
		}
		if code(err) == codePrerequisiteMissing {
			c.facts.forgetCanPrepare(b.shard)
		}
		if failure == nil {
			failure = &AbortedError{Shard: b.shard, Err: err}
		}
	}
	return failure
}
