package rebalance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// Throttle bounds what copies take from the servers, all of them together. Zero fields bound nothing.
type Throttle struct {
	Rows   int64         `json:"rows,omitempty"`   // in a second
	Bytes  int64         `json:"bytes,omitempty"`  // in a second
	Active int           `json:"active,omitempty"` // copies stand still while so many sessions are at work on source or target, theirs not counted
	Lag    time.Duration `json:"lag,omitempty"`    // and while a standby of either is further behind
}

// String writes the throttle as REBALANCE THROTTLE takes it: "off" when nothing is bounded.
func (t Throttle) String() string {
	var parts []string
	if t.Rows > 0 {
		parts = append(parts, fmt.Sprintf("ROWS %d", t.Rows))
	}
	if t.Bytes > 0 {
		parts = append(parts, fmt.Sprintf("BYTES %d", t.Bytes))
	}
	if t.Active > 0 {
		parts = append(parts, fmt.Sprintf("ACTIVE %d", t.Active))
	}
	if t.Lag > 0 {
		parts = append(parts, "LAG "+t.Lag.String())
	}
	if len(parts) == 0 {
		return "off"
	}
	return strings.Join(parts, " ")
}

// SetThrottle records what holds from now on, instead of the configuration; nil means the configuration again. Whichever process
// drives the moves goes by it within a second.
func (c *Controller) SetThrottle(ctx context.Context, t *Throttle) error {
	conn, err := c.cfg.Control(ctx)
	if err != nil {
		return fmt.Errorf("connect to the control database: %w", err)
	}
	defer hangUp(ctx, conn)
	var text any
	if t != nil {
		data, err := json.Marshal(t)
		if err != nil {
			return err
		}
		text = string(data)
	}
	if _, err := conn.Exec(ctx, "UPDATE pgring.controller SET throttle = $1", text); err != nil {
		return fmt.Errorf("record the throttle: %w", err)
	}
	return nil
}

// Throttle is what holds now.
func (c *Controller) Throttle(ctx context.Context) (Throttle, error) {
	conn, err := c.cfg.Control(ctx)
	if err != nil {
		return Throttle{}, fmt.Errorf("connect to the control database: %w", err)
	}
	defer hangUp(ctx, conn)
	return c.readThrottle(ctx, conn)
}

func (c *Controller) readThrottle(ctx context.Context, conn *pgx.Conn) (Throttle, error) {
	var text *string
	if err := conn.QueryRow(ctx, "SELECT throttle FROM pgring.controller").Scan(&text); err != nil {
		return Throttle{}, fmt.Errorf("read the throttle: %w", err)
	}
	if text == nil {
		return c.cfg.Throttle, nil
	}
	var t Throttle
	if err := json.Unmarshal([]byte(*text), &t); err != nil {
		return t, fmt.Errorf("read the throttle: %w", err)
	}
	return t, nil
}

// pace is what all copies of a controller go by.
type pace struct {
	mu    sync.Mutex
	limit Throttle
	free  time.Time               // when the next piece may go
	held  map[ring.ShardID]string // why copies from or to a shard stand still
}

// set changes the limits at once: what was waited for under the old ones is forgotten.
func (p *pace) set(t Throttle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit != t {
		p.limit, p.free = t, time.Time{}
	}
}

func (p *pace) hold(held map[ring.ShardID]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
}

// paceStep is how long a copy sleeps before it looks at the limits again.
const paceStep = 100 * time.Millisecond

// wait lets a piece of a copy between two shards go when the limits allow, and says meanwhile why it has to wait.
func (p *pace) wait(ctx context.Context, from, to ring.ShardID, rows, bytes int64, say func(reason string)) error {
	for {
		delay, reason := p.next(from, to, rows, bytes)
		if delay <= 0 {
			return nil
		}
		if reason != "" {
			say(reason)
		}
		if !pause(ctx, min(delay, paceStep)) {
			return ctx.Err()
		}
	}
}

// next gives how long a piece has to wait, and why if that is because a server is busy. When it need not, it takes its time from
// those that follow.
func (p *pace) next(from, to ring.ShardID, rows, bytes int64) (time.Duration, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, shard := range []ring.ShardID{from, to} {
		if reason := p.held[shard]; reason != "" {
			return paceStep, reason
		}
	}
	now := time.Now()
	if wait := p.free.Sub(now); wait > 0 {
		return wait, ""
	}
	seconds := 0.0
	if p.limit.Rows > 0 {
		seconds = float64(rows) / float64(p.limit.Rows)
	}
	if p.limit.Bytes > 0 {
		seconds = max(seconds, float64(bytes)/float64(p.limit.Bytes))
	}
	p.free = now.Add(time.Duration(seconds * float64(time.Second)))
	return 0, ""
}

// watchEvery is the time between two looks at the limits, and at what they depend on.
const watchEvery = 500 * time.Millisecond

// watchThrottle keeps the pace's limits as they are recorded, and looks how busy the shards of copies are, until ctx ends.
func (c *Controller) watchThrottle(ctx context.Context) {
	var control *pgx.Conn
	shards := map[ring.ShardID]*pgx.Conn{}
	defer func() {
		for _, conn := range shards {
			hangUp(ctx, conn)
		}
		if control != nil {
			hangUp(ctx, control)
		}
	}()
	for {
		if err := c.lookAtThrottle(ctx, &control, shards); err != nil && ctx.Err() == nil {
			c.cfg.Log.Debug("look at the throttle", "error", err)
		}
		if !pause(ctx, watchEvery) {
			return
		}
	}
}

func (c *Controller) lookAtThrottle(ctx context.Context, control **pgx.Conn, shards map[ring.ShardID]*pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if *control == nil || (*control).IsClosed() {
		conn, err := c.cfg.Control(ctx)
		if err != nil {
			return err
		}
		*control = conn
	}
	limit, err := c.readThrottle(ctx, *control)
	if err != nil {
		return err
	}
	c.pace.set(limit)
	held := map[ring.ShardID]string{}
	var problems []error
	if limit.Active > 0 || limit.Lag > 0 {
		for _, id := range c.copying() {
			reason, err := c.busy(ctx, shards, id, limit)
			held[id] = reason
			problems = append(problems, err)
		}
	}
	c.pace.hold(held)
	return errors.Join(problems...)
}

// copying lists the shards that rows are being copied from or to.
func (c *Controller) copying() []ring.ShardID {
	var ids []ring.ShardID
	for _, m := range c.cfg.Topology.Current().Moves {
		if m.State.Copies() {
			ids = append(ids, m.From, m.To)
		}
	}
	return ids
}

// busy says why copies from or to a shard have to stand still; empty when they need not.
func (c *Controller) busy(ctx context.Context, shards map[ring.ShardID]*pgx.Conn, id ring.ShardID, limit Throttle) (string, error) {
	conn := shards[id]
	if conn == nil || conn.IsClosed() {
		shard, known := c.cfg.Topology.Current().Shard(id)
		if !known {
			return "", nil
		}
		var err error
		if conn, err = c.cfg.Dial(ctx, shard); err != nil {
			return "", err
		}
		shards[id] = conn
	}
	var active int
	var lag float64
	err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND query NOT LIKE 'COPY %'
	AND pid <> pg_backend_pid()), (SELECT coalesce(extract(epoch FROM max(replay_lag)), 0)::float8 FROM pg_stat_replication r
	WHERE NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical'))`).Scan(&active, &lag)
	switch {
	case err != nil:
		return "", err
	case limit.Active > 0 && active > limit.Active:
		return fmt.Sprintf("throttled: %d sessions are at work on shard %s, more than %d", active, id, limit.Active), nil
	case limit.Lag > 0 && lag > limit.Lag.Seconds():
		return fmt.Sprintf("throttled: a standby of shard %s is %.1f s behind, more than %s", id, lag, limit.Lag), nil
	}
	return "", nil
}
