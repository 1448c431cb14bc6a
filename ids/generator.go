package ids

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// maxStepBack is how many milliseconds a clock may step back before ids are refused.
	maxStepBack = 1000
	// maxLead is how many milliseconds the counter may run ahead of the clock when a millisecond's ids are used up. It is less
	// than maxStepBack, so that a burst is never taken for a stepped clock.
	maxLead = 500
)

// ErrNoWorker says that no worker number is leased at present, or that its reserved time is used up: the control database could
// not be reached for a while.
var ErrNoWorker = errors.New("no worker number is leased for making ids")

// ClockError says that the clock has stepped back too far to make ids.
type ClockError struct {
	Behind time.Duration // how far the clock is behind the last id
}

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clock stepped back by %s, too far to make ids", e.Behind)
}

// Generator makes ids. All methods may be called by any goroutine.
type Generator struct {
	cfg  Config
	kick chan struct{} // capacity 1: asks Run to look at the lease now
	mu   sync.Mutex
	counter
}

// counter is the state that makes ids: the pair (last, sequence) only grows while a worker is held.
type counter struct {
	worker   int
	last     int64 // milliseconds of the last id
	sequence int   // of the last id
	limit    int64 // the last reserved millisecond; 0: no worker is held
}

// Next makes an id. It waits, at most until ctx ends, if more than four million a second are asked for. Its errors are
// ErrNoWorker, a ClockError, or that of ctx; each leaves a hole in nothing.
func (g *Generator) Next(ctx context.Context) (int64, error) {
	for {
		g.mu.Lock()
		id, ok, err := g.next(sinceEpoch(g.cfg.Now()))
		g.mu.Unlock()
		if err != nil {
			g.askRenewal()
			return 0, err
		}
		if ok {
			return id, nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// next makes an id at a time of the clock. Not ok means that the ids up to the allowed lead are used up.
func (c *counter) next(now int64) (id int64, ok bool, err error) {
	millis, sequence := now, 0
	switch {
	case c.limit == 0:
		return 0, false, ErrNoWorker
	case now < c.last-maxStepBack:
		return 0, false, &ClockError{Behind: time.Duration(c.last-now) * time.Millisecond}
	case now <= c.last && c.sequence < maxSequence:
		millis, sequence = c.last, c.sequence+1
	case now <= c.last:
		if c.last-now >= maxLead {
			return 0, false, nil
		}
		millis = c.last + 1
	}
	if millis > c.limit || millis < 0 {
		return 0, false, ErrNoWorker
	}
	c.last, c.sequence = millis, sequence
	return Compose(millis, c.worker, sequence), true, nil
}

// hold begins to make ids as a worker, with times after floor and up to limit.
func (g *Generator) hold(worker int, floor, limit int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counter = counter{worker: worker, last: floor, sequence: maxSequence, limit: limit}
}

// extend allows the worker's times up to limit.
func (g *Generator) extend(limit int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = max(g.limit, limit)
}

// drop makes no more ids, and returns the worker and the time of its last one. Held is false if there was no worker.
func (g *Generator) drop() (worker int, last int64, held bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	held = g.limit != 0
	g.limit = 0
	return g.worker, g.last, held
}

// holding returns the worker held at present. It is not held any more if the clock is too far behind its last id.
func (g *Generator) holding(now int64) (worker int, held bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.worker, g.limit != 0 && now >= g.last-maxStepBack
}

// askRenewal makes Run look at the lease at once; one request is as good as many.
func (g *Generator) askRenewal() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
