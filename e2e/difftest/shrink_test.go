package difftest

import (
	"math/rand/v2"
	"time"
)

// attempt is a random case: statements of one session, and how they are sent.
type attempt struct {
	steps    []*tree
	wholes   []*tree // of each step: the query that its rows must be rows of, or nil
	mode     mode
	bindSeed uint64 // decides which literals become parameters
	begun    bool   // the steps run in a transaction block
	explain  bool   // EXPLAIN of the only step comes first
}

// session writes an attempt as a case.
func (a *attempt) session() testCase {
	asParam := func(*literal) bool { return false }
	if a.mode != simple && a.bindSeed != 0 {
		r := rand.New(rand.NewPCG(a.bindSeed, 3))
		asParam = func(*literal) bool { return r.IntN(2) == 0 }
	}
	var c testCase
	if a.begun {
		c.steps = append(c.steps, step{statement: statement{text: "SET pgring.cross_shard = '2pc'"}}, step{statement: statement{text: "BEGIN"}})
	}
	for i, t := range a.steps {
		s := step{statement: t.statement(asParam), explain: a.explain}
		if whole := a.wholes[i]; whole != nil {
			s.within, s.params = whole.String(), nil
			s.text = t.String()
		}
		c.steps = append(c.steps, s)
	}
	if a.begun {
		c.steps = append(c.steps, step{statement: statement{text: "COMMIT"}})
	}
	return c
}

// run runs an attempt; the worst judgement counts.
func (l *lab) run(a *attempt) judgement {
	worst := judgement{verdict: equal}
	for _, j := range l.runCase(a.session(), a.mode) {
		if severity(j.verdict) > severity(worst.verdict) || j.code != "" && worst.verdict == equal {
			worst = j
		}
	}
	return worst
}

// shrink makes a wrong attempt as small as it can within the time, and returns what is wrong with the smallest.
func (l *lab) shrink(a *attempt, limit time.Duration) judgement {
	last := l.run(a)
	deadline := time.Now().Add(limit)
	wrongStill := func() bool {
		if time.Now().After(deadline) {
			return false
		}
		j := l.run(a)
		if j.verdict == wrong {
			last = j
		}
		return j.verdict == wrong
	}
	for l.smaller(a, wrongStill) && time.Now().Before(deadline) {
	}
	return last
}

// smaller makes one step of an attempt smaller, or the attempt itself.
func (l *lab) smaller(a *attempt, wrongStill func() bool) bool {
	before := *a
	for i := range a.steps {
		if len(a.steps) > 1 {
			a.steps, a.wholes = without(before.steps, i), without(before.wholes, i)
			if wrongStill() {
				return true
			}
			*a = before
		}
	}
	for _, simpler := range []func(){func() { a.begun = false }, func() { a.bindSeed = 0 }, func() { a.mode = simple }} {
		if simpler(); *a.plain() != *before.plain() && wrongStill() {
			return true
		}
		*a = before
	}
	for i, t := range a.steps {
		if a.wholes[i] == nil && t.smaller(wrongStill) {
			return true
		}
	}
	return false
}

// plain is the part of an attempt that can be compared.
func (a *attempt) plain() *struct {
	mode     mode
	bindSeed uint64
	begun    bool
} {
	return &struct {
		mode     mode
		bindSeed uint64
		begun    bool
	}{a.mode, a.bindSeed, a.begun}
}

func without[T any](list []T, i int) []T {
	return append(append([]T{}, list[:i]...), list[i+1:]...)
}
