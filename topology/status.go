package topology

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Status is what /readyz and the console tell about the control database and the home shard's catalog.
type Status struct {
	Connected  bool      // to the control database; when not, the last snapshot goes on being served
	Since      time.Time // of the last change of Connected
	LastError  string    // why it is not connected, without passwords; "" while it is
	LeaseUntil time.Time // by this machine's clock, and never later than the control database has it; zero without a lease
	Epoch      int64     // of the present snapshot; 0 before Start
	Schema     int64     // of the present snapshot

	CatalogConnected bool   // to the home shard, for its catalog; when not, the last catalog goes on being used
	CatalogError     string // why not, without passwords
}

// Status tells how things stand now.
func (t *Topology) Status() Status {
	control, home := t.control.read(), t.home.read()
	s := Status{
		Connected: control.up, Since: control.since, LastError: control.err, LeaseUntil: control.leaseUntil,
		CatalogConnected: home.up, CatalogError: home.err,
	}
	if snap := t.Current(); snap != nil {
		s.Epoch, s.Schema = snap.Epoch, snap.Schema
	}
	return s
}

// health is the state of one connection, written by its watcher and read by Status.
type health struct {
	mu  sync.Mutex
	now healthFacts
}

type healthFacts struct {
	up         bool
	since      time.Time
	err        string
	leaseUntil time.Time
}

func (h *health) read() healthFacts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// gain notes that the connection works, and until when the lease runs (zero: leave it).
func (h *health) gain(leaseUntil time.Time) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if changed = !h.now.up; changed {
		h.now = healthFacts{up: true, since: time.Now(), leaseUntil: h.now.leaseUntil}
	}
	if !leaseUntil.IsZero() {
		h.now.leaseUntil = leaseUntil
	}
	return changed
}

// lose notes why the connection does not work.
func (h *health) lose(err error) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if changed = h.now.up || h.now.since.IsZero(); changed {
		h.now.up, h.now.since = false, time.Now()
	}
	h.now.err = scrub(err)
	return changed
}

const (
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second
)

// backoff waits longer each time, with jitter so that many proxies do not come back at the same moment. The zero value is ready.
type backoff struct {
	first time.Duration // 0 means firstPause
	pause time.Duration
}

// wait returns ctx's error if that ends first.
func (b *backoff) wait(ctx context.Context) error {
	b.pause = min(max(2*b.pause, cmp.Or(b.first, firstPause)), maxPause)
	timer := time.NewTimer(b.pause/2 + rand.N(b.pause/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
