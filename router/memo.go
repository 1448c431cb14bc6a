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
}

// find returns the entry that a text is for, or nil, and the text's literals in the place of found.
func (m *memo) find(text []byte, found []sql.Literal) (*entry, []sql.Literal) {
	likely := m.next[m.last]
	for n := range uint8(memoSize) {
		i := (likely + n) % memoSize
		e := m.known[i]
		if e == nil {
			continue
		}
		var matches bool
		if found, matches = e.shape.Match(text, found[:0]); matches {
			m.next[m.last], m.last = i, i
			return e, found
		}
	}
	return nil, found
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
	var e *entry
	if e, s.simple = s.memo.find(text, s.simple); e == nil {
		return nil
	}
	e.touch()
	bound := Bound{Statement: e.st, Text: text, Values: noValues{}}
	if e.level == normal {
		s.literals = append(s.literals, literals{text: text, list: s.simple})
		bound.Values = &s.literals[0]
	}
	s.bounds = append(s.bounds, bound)
	return e
}

// learn remembers the entry that the cache has for a text, if the text can be told by it.
func (s *Scratch) learn(e *entry, snap *topology.Snapshot, env *Env, text []byte) {
	if !e.shaped || len(text) > maxCachedText {
		return
	}
	var matches bool
	if s.simple, matches = e.shape.Match(text, s.simple[:0]); !matches {
		return // it has a comment, or a literal that is not simple
	}
	if s.memo.env != env || s.memo.schema != snap.Schema {
		s.memo = memo{env: env, schema: snap.Schema}
	}
	s.memo.add(e)
}
