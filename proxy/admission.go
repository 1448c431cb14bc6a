package proxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pgring/pgring/limits"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/topology"
)

// Limits is what statements must keep to before they run. Policies that share a part share its state: a RELOAD that changes no
// limit forgives nothing.
type Limits struct {
	InFlight *limits.InFlight // statements of the whole proxy; nil: any number
	Shards   *limits.PerShard // that take a connection to one shard; nil: any number
	Writes   *limits.Buckets  // writes of the whole proxy, under the key 0; nil: any rate
	PerKey   *limits.PerKey   // writes of one shard key; nil: any number
	Tables   map[topology.Name]TableLimit
}

// TableLimit is the rate of writes to one table.
type TableLimit struct {
	Rate *limits.Buckets
	Key  string // the shard key's column, if each of its values has a rate of its own; empty: the table has one
}

// admission is what a session occupies in the limits.
type admission struct {
	line   *limits.InFlight // for the unit
	began  time.Duration    // by Topology.Elapsed
	shards []shardPlace     // for the unit
	keys   *limits.PerKey   // for the transaction, or the unit outside of one
	key    limits.KeyID
}

// shardPlace is a place among those who began to use a shard.
type shardPlace struct {
	line       *limits.InFlight
	began      time.Duration
	overloaded bool // it had no connection for the session
}

const (
	hotKeysKept = 256
	// hotKeySample is how many uses of keys stand behind each one that is counted, on average.
	hotKeySample = 16
)

// admit lets a statement run, makes it wait or refuses it. It comes before a server connection is taken for the statement. What ends a
// transaction is always let through, and who may hold locks never waits for others, only for time to pass.
func (c *session) admit(ctx context.Context, stmt *router.Statement, plan *router.Plan, values router.Values) error {
	if isControl(stmt.Verb) || stmt.Verb == router.Fetch || stmt.Verb == router.CloseCursor {
		return nil
	}
	id, keyed := c.keyOf(stmt, plan)
	if keyed {
		c.countKey(id, stmt, values)
	}
	l := c.policy.Limits
	if l == nil {
		return nil
	}
	writes := stmt.Access == router.Write
	if writes {
		if err := c.awaitRates(ctx, l, stmt, id, keyed); err != nil {
			c.srv.totals.overRate.Add(1)
			return err
		}
	}
	if writes && keyed && l.PerKey != nil && !c.mayHoldLocks() {
		if err := c.enterKey(ctx, l.PerKey, id); err != nil {
			c.srv.totals.overKey.Add(1)
			return err
		}
	}
	err := c.enterLine(ctx, l.InFlight)
	if err != nil {
		c.srv.totals.overLine.Add(1)
	}
	return err
}

// keyOf is the statement's shard key, if it is about exactly one.
func (c *session) keyOf(stmt *router.Statement, plan *router.Plan) (limits.KeyID, bool) {
	if !plan.HasKey || len(stmt.Tables) == 0 {
		return limits.KeyID{}, false
	}
	return limits.KeyID{Table: plan.At.Group, Hash: plan.Key}, true
}

// countKey counts one use of a key for SHOW HOT KEYS. It looks at a sample: the hottest keys are in any.
func (c *session) countKey(id limits.KeyID, stmt *router.Statement, values router.Values) {
	if rand.Uint32()%hotKeySample != 0 {
		return
	}
	if c.srv.hot.Note(id) {
		c.srv.hot.Name(id, stmt.KeyText(c.snap, values))
	}
}

// awaitRates takes a token of every bucket that the write falls under.
func (c *session) awaitRates(ctx context.Context, l *Limits, stmt *router.Statement, id limits.KeyID, keyed bool) error {
	if l.Writes != nil {
		c.takeTime()
		if err := l.Writes.Take(ctx, 0); err != nil {
			return rateExceeded(err, "writing statements", "limits.writes")
		}
	}
	for _, name := range stmt.Tables {
		table, limited := l.Tables[name]
		if !limited {
			continue
		}
		c.takeTime()
		hash := uint64(0)
		if table.Key != "" && keyed {
			hash = id.Hash
		}
		if err := table.Rate.Take(ctx, hash); err != nil {
			what := fmt.Sprintf("writes to table %q", shownName(name))
			if hash != 0 {
				what += fmt.Sprintf(" with one %q", table.Key)
			}
			return rateExceeded(err, what, "tables[].rate_limit")
		}
	}
	return nil
}

// mayHoldLocks reports whether the session has work under way that others may wait for.
func (c *session) mayHoldLocks() bool {
	for _, p := range c.parts {
		if p.began || p.unsynced || p.pinned {
			return true
		}
	}
	return false
}

// enterKey takes a place among those who write a key now, until the transaction ends.
func (c *session) enterKey(ctx context.Context, keys *limits.PerKey, id limits.KeyID) error {
	if c.admitted.keys != nil {
		return nil
	}
	c.takeTime()
	err := keys.Enter(ctx, id)
	var busy *limits.BusyError
	if errors.As(err, &busy) {
		return limited("too many writes of one shard key at a time", fmt.Sprintf("%d run and %d wait; this one waited %s.", busy.Limit, busy.Waiting,
			busy.Waited.Round(time.Millisecond)), "Try again later, or spread the load over more keys. SHOW HOT KEYS on the console shows them. See limits.per_key.")
	}
	if err == nil {
		c.admitted.keys, c.admitted.key = keys, id
	}
	return err
}

// enterLine takes a place among the statements in flight, until the unit ends.
func (c *session) enterLine(ctx context.Context, line *limits.InFlight) error {
	if line == nil || c.admitted.line != nil {
		return nil
	}
	if c.mayHoldLocks() {
		line.EnterNow()
	} else if err := c.waitInLine(ctx, line); err != nil {
		var busy *limits.BusyError
		if !errors.As(err, &busy) {
			return err
		}
		return limited("too many statements in flight", fmt.Sprintf("%d run and %d wait; this one waited %s.", busy.Limit, busy.Waiting,
			busy.Waited.Round(time.Millisecond)), "Try again later. See limits.max_in_flight and limits.queue_timeout.")
	}
	c.admitted.line, c.admitted.began = line, c.srv.topology.Elapsed()
	return nil
}

// enterShard takes a place among those who begin to use a shard, until the unit ends. Who may hold locks elsewhere does not wait; what comes
// later in a transaction, its end included, finds the connection held and asks nothing.
func (c *session) enterShard(ctx context.Context, shard ring.ShardID) error {
	l := c.policy.Limits
	if l == nil || l.Shards == nil {
		return nil
	}
	line := l.Shards.Of(string(shard))
	if c.mayHoldLocks() {
		line.EnterNow()
	} else if err := c.waitInLine(ctx, line); err != nil {
		var busy *limits.BusyError
		if !errors.As(err, &busy) {
			return err
		}
		c.srv.totals.overShard.Add(1)
		return limited(fmt.Sprintf("shard %q is too slow for more statements", shard), fmt.Sprintf("%d run there and %d wait; this one waited %s.", busy.Limit, busy.Waiting,
			busy.Waited.Round(time.Millisecond)), "Try again later. See limits.shed.")
	}
	c.admitted.shards = append(c.admitted.shards, shardPlace{line: line, began: c.srv.topology.Elapsed()})
	return nil
}

// shardFailed notes that the shard which a place was taken for last had no connection.
func (c *session) shardFailed() {
	if n := len(c.admitted.shards); n > 0 {
		c.admitted.shards[n-1].overloaded = true
	}
}

func (c *session) waitInLine(ctx context.Context, line *limits.InFlight) error {
	if line.TryEnter() {
		return nil
	}
	c.takeTime()
	return line.Enter(ctx)
}

// dismiss gives back what the unit has occupied until now, and the key if its transaction has ended.
func (c *session) dismiss(ended bool, now time.Duration) {
	c.land()
	if line := c.admitted.line; line != nil {
		c.admitted.line = nil
		line.Leave(now-c.admitted.began, false)
	}
	if len(c.admitted.shards) > 0 {
		for _, place := range c.admitted.shards {
			place.line.Leave(now-place.began, place.overloaded)
		}
		clear(c.admitted.shards)
		c.admitted.shards = c.admitted.shards[:0]
	}
	if keys := c.admitted.keys; keys != nil && ended {
		c.admitted.keys = nil
		keys.Leave(c.admitted.key)
	}
}

func rateExceeded(err error, what, where string) error {
	var full *limits.RateError
	if !errors.As(err, &full) {
		return err
	}
	return limited("too many "+what, fmt.Sprintf("The rate is %g a second, after a burst of %d. See %s.", full.Rate.PerSecond, full.Rate.Burst, where),
		fmt.Sprintf("Try again in %d ms.", full.Retry.Milliseconds()+1))
}

func limited(message, detail, hint string) error {
	return &pgwire.Error{Code: codeLimitExceeded, Message: message, Detail: detail, Hint: hint}
}

// shownName leaves the schema out where everybody does.
func shownName(name topology.Name) string {
	if name.Schema == "public" {
		return name.Table
	}
	return name.String()
}

// HotKeys returns the n shard keys that statements use most, the hottest first. Their table is the colocation group.
func (s *Server) HotKeys(n int) []limits.HotKey {
	top := s.hot.Top(n)
	for i := range top {
		top[i].PerSecond *= hotKeySample
		top[i].Error *= hotKeySample
	}
	return top
}
