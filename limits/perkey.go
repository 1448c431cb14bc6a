package limits

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// PerKeyConfig is what NewPerKey needs.
type PerKeyConfig struct {
	Running int           // most that work on one key at a time; at least 1
	Queued  int           // most that wait for one key
	Wait    time.Duration // longest wait; 0: nobody waits
}

// PerKey bounds how many work on one key at a time. Different keys never wait for each other. Memory is in proportion to the keys in
// use now.
type PerKey struct {
	cfg     PerKeyConfig
	stripes [stripes]keyStripe
}

type keyStripe struct {
	sync.Mutex
	byKey map[KeyID]*keyLine
	spare []*keyLine // idle ones, to be used again
}

// keyLine is the line of one key, there as long as somebody works on it or waits.
type keyLine struct {
	*InFlight
	users int // guarded by the stripe
}

// maxSpare is how many idle lines a stripe keeps.
const maxSpare = 64

// NewPerKey makes the limit.
func NewPerKey(cfg PerKeyConfig) *PerKey {
	p := &PerKey{cfg: cfg}
	for i := range p.stripes {
		p.stripes[i].byKey = map[KeyID]*keyLine{}
	}
	return p
}

// Enter begins work on a key, after waiting in the key's line if as many as may are at it. The error is a BusyError, or that of
// ctx. Who was let in calls Leave.
func (p *PerKey) Enter(ctx context.Context, id KeyID) error {
	s := &p.stripes[id.Hash%stripes]
	line := s.join(id, p.cfg)
	err := line.Enter(ctx)
	if err != nil {
		s.part(id, line)
	}
	return err
}

// Leave ends work on a key.
func (p *PerKey) Leave(id KeyID) {
	s := &p.stripes[id.Hash%stripes]
	s.Lock()
	line := s.byKey[id]
	s.Unlock()
	line.Leave(0, false)
	s.part(id, line)
}

// Waiting returns how many wait in line for all keys.
func (p *PerKey) Waiting() int {
	n := 0
	for i := range p.stripes {
		s := &p.stripes[i]
		s.Lock()
		for _, line := range s.byKey {
			n += line.Stats().Waiting
		}
		s.Unlock()
	}
	return n
}

// join finds or makes the key's line, and counts one more user of it.
func (s *keyStripe) join(id KeyID, cfg PerKeyConfig) *keyLine {
	s.Lock()
	defer s.Unlock()
	line := s.byKey[id]
	if line == nil {
		if n := len(s.spare); n > 0 {
			line, s.spare = s.spare[n-1], s.spare[:n-1]
		} else {
			line = &keyLine{InFlight: NewInFlight(InFlightConfig{Max: cfg.Running, Queue: cmp.Or(cfg.Queued, -1), Wait: cfg.Wait})}
		}
		s.byKey[id] = line
	}
	line.users++
	return line
}

// part is the end of one use of the line; the last one takes it away.
func (s *keyStripe) part(id KeyID, line *keyLine) {
	s.Lock()
	defer s.Unlock()
	if line.users--; line.users > 0 {
		return
	}
	delete(s.byKey, id)
	if len(s.spare) < maxSpare {
		s.spare = append(s.spare, line)
	}
}
