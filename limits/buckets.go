package limits

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how often something may happen: Burst times at once, then PerSecond times a second.
type Rate struct {
	PerSecond float64
	Burst     int // less than 1 means 1
}

const (
	stripes = 16
	// maxBuckets is how many keys have a bucket of their own, in all stripes.
	maxBuckets = 1 << 16
)

// Buckets are token buckets, one for each key, that are made when they are needed and forgotten when they are full again. In any
// time t at most PerSecond·t + Burst are let through for a key. Keys beyond the 65,536 that are in use at a time share
// one bucket, so that memory is bounded and nobody gets more than the rate.
type Buckets struct {
	rate     Rate
	wait     time.Duration
	stripes  [stripes]bucketStripe
	overflow *rate.Limiter
}

type bucketStripe struct {
	sync.Mutex
	byKey map[uint64]*rate.Limiter
	swept time.Time // when forget was last tried: looking at all buckets for each new key would be a way to attack
}

// NewBuckets makes buckets with one rate, whose callers wait for at most the given time.
func NewBuckets(r Rate, wait time.Duration) *Buckets {
	r.Burst = max(r.Burst, 1)
	b := &Buckets{rate: r, wait: wait, overflow: rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)}
	for i := range b.stripes {
		b.stripes[i].byKey = map[uint64]*rate.Limiter{}
	}
	return b
}

// Take takes one token from the key's bucket, waiting for it if need be. The error is a RateError, or that of ctx; nothing is
// taken then. A key is any well-mixed number; who has no keys always uses the same one.
func (b *Buckets) Take(ctx context.Context, key uint64) error {
	now := time.Now()
	bucket := b.bucket(key, now)
	if bucket.AllowN(now, 1) {
		return nil
	}
	turn := bucket.ReserveN(now, 1)
	delay := turn.DelayFrom(now)
	if !turn.OK() || delay > b.wait {
		turn.CancelAt(now)
		return &RateError{Rate: b.rate, Retry: delay}
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		turn.Cancel()
		return context.Cause(ctx)
	}
}

// bucket finds or makes the key's bucket.
func (b *Buckets) bucket(key uint64, now time.Time) *rate.Limiter {
	s := &b.stripes[key%stripes]
	s.Lock()
	defer s.Unlock()
	if bucket := s.byKey[key]; bucket != nil {
		return bucket
	}
	if len(s.byKey) >= maxBuckets/stripes && now.Sub(s.swept) >= time.Second {
		s.forget(now)
	}
	if len(s.byKey) >= maxBuckets/stripes {
		return b.overflow
	}
	bucket := rate.NewLimiter(rate.Limit(b.rate.PerSecond), b.rate.Burst)
	s.byKey[key] = bucket
	return bucket
}

// forget drops the buckets that are full: a new one is the same.
func (s *bucketStripe) forget(now time.Time) {
	s.swept = now
	for key, bucket := range s.byKey {
		if bucket.TokensAt(now) >= float64(bucket.Burst()) {
			delete(s.byKey, key)
		}
	}
}
