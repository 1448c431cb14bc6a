package router

import (
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// memoSize is how many statements a session remembers. It bounds what comparing a text that is none of them costs.
const memoSize = 8

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

	literals []sql.Literal // of the text compared last
}

// find returns the entry that a text is for, or nil, and notes the text's literals.
func (m *memo) find(text []byte) *entry {
	likely := m.next[m.last]
	for n := range uint8(memoSize) {
		i := (likely + n) % memoSize
		if e := m.known[i]; e != nil && m.matches(e, text) {
			m.next[m.last], m.last = i, i
			return e
		}
	}
	return nil
}

// matches says whether a text has the shape of an entry's, and notes its literals.
func (m *memo) matches(e *entry, text []byte) (ok bool) {
	m.literals, ok = e.shape.Match(text, m.literals[:0])
	return ok
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
	bound.Statement, bound.Text, bound.Values = e.st, text, noValues{}
	if e.level == normal {
		s.own = literals{text: text, list: s.memo.literals}
		bound.Values = &s.own
	}
	return e
}

// learn remembers the entry that the cache has for a text, if the text can be told by it: it has no comment, and simple literals only.
func (s *Scratch) learn(e *entry, snap *topology.Snapshot, env *Env, text []byte) {
	if !e.shaped || len(text) > maxCachedText || !s.memo.matches(e, text) {
		return
	}
	if s.memo.env != env || s.memo.schema != snap.Schema {
		s.memo = memo{env: env, schema: snap.Schema, literals: s.memo.literals}
	}
	s.memo.add(e)
}
