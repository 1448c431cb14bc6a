package router

import (
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

const (
	memoSize     = 8  // statements that a session remembers; bounds what comparing a text with all of them costs
	memoLiterals = 64 // of a statement; with more it is not remembered, so that a session with little to do takes little room
)

// memo has the statements that a session sent last, and which one came after which: applications send the same few again and again,
// with other literals. Comparing a text with what it is likely to be is much less work than cutting it into words and looking its
// normal form up. What it has are entries of the cache, so it says what the cache would say. The zero value is empty.
type memo struct {
	env    *Env  // the entries are for this one
	schema int64 // and for this schema version
	known  [memoSize]*entry
	next   [memoSize]uint8 // what came after each of them the last time
	last   uint8           // the one that came last
	oldest uint8           // the one that is forgotten next

	literals []sql.Literal // of the text compared last; there is room for those of each entry
}

// find returns the entry that a text is for, or nil, and notes the text's literals.
func (m *memo) find(text []byte) *entry {
	likely := m.next[m.last]
	for n := range uint8(memoSize) {
		i := (likely + n) % memoSize
		if e := m.known[i]; e != nil && e.shape.Match(text, m.literals) {
			m.next[m.last], m.last = i, i
			return e
		}
	}
	return nil
}

// add remembers an entry in the place of the oldest.
func (m *memo) add(e *entry) {
	i := m.oldest
	m.known[i] = e
	m.next[m.last], m.last = i, i
	m.oldest = (i + 1) % memoSize
}

// recall binds the statement of a text if the session sent it before, perhaps with other literals. Nil: it is to be looked up.
func (s *Scratch) recall(snap *topology.Snapshot, env *Env, text []byte) *entry {
	if s.memo.env != env || s.memo.schema != snap.Schema || len(text) > maxCachedText {
		return nil
	}
	e := s.memo.find(text)
	if e == nil {
		return nil
	}
	e.touch()
	bound := &s.recalled[0]
	bound.Statement, bound.Text, bound.recalled = e.st, text, true
	if e.level == exact {
		bound.Values = noValues{}
		return e
	}
	s.own.text, s.own.list = text, s.memo.literals[:e.shape.Literals()]
	bound.Values = &s.own
	return e
}

// learn remembers the entry that the cache has for a text, if the text can be told by it: its literals are simple, and comments are at
// its end only.
func (s *Scratch) learn(e *entry, snap *topology.Snapshot, env *Env, text []byte) {
	m, n := &s.memo, e.shape.Literals()
	if !e.shaped || n > memoLiterals || len(text) > maxCachedText {
		return
	}
	if n > len(m.literals) {
		m.literals = make([]sql.Literal, n)
	}
	if !e.shape.Match(text, m.literals) {
		return
	}
	if m.env != env || m.schema != snap.Schema {
		*m = memo{env: env, schema: snap.Schema, literals: m.literals}
	}
	m.add(e)
}
