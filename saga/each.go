package saga

import (
	"context"
	"time"

	"github.com/pgring/pgring/ring"
)

// commitTimeout bounds the COMMITs that follow home's; deferred constraints may take their time.
const commitTimeout = time.Minute

// commitEach commits one shard after another, because some shard cannot prepare transactions. Home is first, and with the row
// that says so: if its answer is lost, the others still follow what it did.
func (c *Coordinator) commitEach(ctx context.Context, t *transaction) error {
	verdict, err := c.decide(ctx, t, []ring.ShardID{t.home.shard})
	switch verdict {
	case committed:
		return c.commitRest(ctx, t)
	case refused, fenced, unknown:
	}
	return c.abort(ctx, t, err)
}

// commitRest goes on after a failure: the more shards agree with home, the less there is to repair.
func (c *Coordinator) commitRest(ctx context.Context, t *transaction) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	result := &PartialError{Committed: []ring.ShardID{t.home.shard}}
	for _, b := range t.others {
		c.ask(ctx, "commit", []*branch{b}, func(*branch) []byte { return query("COMMIT") })
		err := b.err
		if err == nil && b.answer.tag != "COMMIT" {
			err = errNotOpen
		}
		if err == nil {
			b.state = ended
			result.Committed = append(result.Committed, b.shard)
			continue
		}
		result.Failed = append(result.Failed, b.shard)
		if result.Err == nil {
			result.Err = err
		}
	}
	c.rollbackOpen(ctx, t)
	if result.Err == nil {
		return nil
	}
	return result
}
