package rebalance

import (
	"sync"
	"time"
)

// Pauses is a histogram of how long writes to moving slots were held back.
type Pauses struct {
	Count   uint64
	Seconds float64            // all of them together
	Buckets map[float64]uint64 // how many were no longer than so many seconds
}

// pauseBuckets are in seconds. The goal is 99 of 100 in 150 ms and all in 500 ms.
func pauseBuckets() []float64 {
	return []float64{0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5}
}

type pauses struct {
	mu sync.Mutex
	Pauses
}

func (p *pauses) note(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Buckets == nil {
		p.Buckets = map[float64]uint64{}
	}
	p.Count++
	p.Seconds += d.Seconds()
	for _, most := range pauseBuckets() {
		if d.Seconds() <= most {
			p.Buckets[most]++
		}
	}
}

// read gives a copy with every bucket.
func (p *pauses) read() Pauses {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := Pauses{Count: p.Count, Seconds: p.Seconds, Buckets: map[float64]uint64{}}
	for _, most := range pauseBuckets() {
		all.Buckets[most] = p.Buckets[most]
	}
	return all
}
