package backend

import (
	"math/rand/v2"
	"time"
)

const (
	minBackOff    = 50 * time.Millisecond
	maxBackOff    = 2 * time.Second
	maxConnecting = 4 // log-ins of one pool in progress
	sweepEvery    = time.Second
)

// health is what the log-ins have told of the server.
type health struct {
	since       time.Time     // when the present state began
	err         error         // *UnavailableError of the last log-in; nil: it succeeded, or nothing was tried
	last        error         // the last failure, kept after success
	serverLives bool          // err came from a server that serves its other connections
	failures    int           // since the last success
	retryAt     time.Duration // no log-in begins before
	latency     time.Duration // of the last log-in that succeeded
}

// success notes a log-in; it reports whether the server was gone before.
func (h *health) success(latency time.Duration, wall time.Time) (recovered bool) {
	recovered = h.err != nil
	if recovered || h.since.IsZero() {
		h.since = wall
	}
	h.err, h.failures, h.retryAt, h.latency = nil, 0, 0, latency
	return recovered
}

// failure notes a failed log-in; it reports whether this is the first.
func (h *health) failure(err *UnavailableError, now time.Duration, wall time.Time) (first bool) {
	first = h.err == nil
	if first {
		h.since = wall
	}
	err.Since = h.since
	h.err, h.last, h.serverLives = err, err.Err, serverLives(err.Err)
	h.failures++
	h.retryAt = now + backOff(h.failures)
	return first
}

// backOff is the pause after so many failures in a row: doubling up to a limit, less up to half by chance, so that many proxies
// do not knock at once.
func backOff(failures int) time.Duration {
	full := maxBackOff
	if failures < 7 {
		full = min(minBackOff<<(failures-1), maxBackOff)
	}
	return full - rand.N(full/2)
}

// jitter spreads a lifetime by ±10 %.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d - d/10 + rand.N(d/5+1)
}
