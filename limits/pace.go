package limits

import "time"

// Shed says when a limit shrinks: while the 99th percentile of latency stays above Over, beginning when it has been so for the time
// For. It also shrinks while more than a tenth of what runs fails by overload.
type Shed struct {
	Over time.Duration // 0: never
	For  time.Duration
}

const (
	// paceWindow is the time over which latencies are judged together.
	paceWindow = time.Second
	// paceSamples is how many of them a judgement needs; a window lasts until it has them, but not longer than paceWindows.
	paceSamples = 20
	paceWindows = 5
)

// pace is additive increase, multiplicative decrease (Chiu and Jain, 1989): each window in which the server was too slow takes a
// tenth of the limit, each other one gives one back.
type pace struct {
	shed      Shed
	began     time.Time // of the window
	slowSince time.Time // zero: the last window was fine
	seen      int
	slow      int // took longer than shed.Over
	failed    int
}

// sample is one thing that has ended.
type sample struct {
	now        time.Time
	took       time.Duration
	overloaded bool
}

func newPace(shed Shed) pace { return pace{shed: shed} }

// adjust takes one sample and returns the new limit.
func (p *pace) adjust(limit, most int, s sample) int {
	if p.began.IsZero() {
		p.began = s.now
	}
	p.seen++
	if s.took > p.shed.Over {
		p.slow++
	}
	if s.overloaded {
		p.failed++
	}
	age := s.now.Sub(p.began)
	if age < paceWindow || p.seen < paceSamples && age < paceWindows*paceWindow {
		return limit
	}
	return p.judge(limit, most, s.now)
}

// judge ends the window. More than one in a hundred above the bound is the same as a 99th percentile above it.
func (p *pace) judge(limit, most int, now time.Time) int {
	slow := p.slow*100 > p.seen
	failing := p.failed*10 > p.seen
	switch {
	case !slow:
		p.slowSince = time.Time{}
	case p.slowSince.IsZero():
		p.slowSince = p.began
	}
	lasting := slow && now.Sub(p.slowSince) >= p.shed.For
	switch {
	case lasting, failing:
		limit = max(1, min(limit-1, limit*9/10))
	case !slow:
		limit = min(limit+1, most)
	}
	p.began, p.seen, p.slow, p.failed = now, 0, 0, 0
	return limit
}
