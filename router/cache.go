package router

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// level says what a cache key's text is.
type level uint8

const (
	exact  level = iota // the statement's text
	normal              // its normal form: literals stripped
	byRows              // the form of an INSERT of many rows: literals stripped, rows of one shape written once
)

// cache holds analysed statements by text, search path and schema version. It
// is bounded; entries not used for one round of a clock hand go first.
type cache struct {
	seed     maphash.Seed
	capacity int // of all segments
	segments [cacheSegments]segment
	hits     [2]atomic.Int64 // by level
	misses   atomic.Int64
	evicted  atomic.Int64
}

const cacheSegments = 64

// segment is one part of the cache with a lock of its own.
type segment struct {
	mu      sync.Mutex
	entries map[uint64]*entry
	clock   []*entry
	hand    int
	_       [24]byte // keeps neighbours off this one's cache line
}

type entry struct {
	hash   uint64
	text   string
	env    string
	schema int64
	level  level
	used   bool
	st     *Statement
}

func newCache(size int) *cache {
	per := max(size/cacheSegments, 1)
	c := &cache{seed: maphash.MakeSeed(), capacity: per * cacheSegments}
	for i := range c.segments {
		c.segments[i].entries = make(map[uint64]*entry, per)
		c.segments[i].clock = make([]*entry, 0, per)
	}
	return c
}

func (c *cache) hash(text []byte, env *Env, schema int64, l level) uint64 {
	h := maphash.Bytes(c.seed, text)
	h ^= uint64(schema)*0x9e3779b97f4a7c15 + uint64(l)<<62 + uint64(len(env.key))
	return h
}

// get returns the statement cached under text, or nil.
func (c *cache) get(text []byte, env *Env, schema int64, l level) *Statement {
	h := c.hash(text, env, schema, l)
	seg := &c.segments[h%cacheSegments]
	seg.mu.Lock()
	defer seg.mu.Unlock()
	e := seg.entries[h]
	if e == nil || !e.matches(text, env, schema, l) {
		return nil
	}
	e.used = true
	return e.st
}

func (e *entry) matches(text []byte, env *Env, schema int64, l level) bool {
	return e.level == l && e.schema == schema && e.env == env.key && e.text == string(text)
}

// put caches st; what was cached under the same hash goes.
func (c *cache) put(text []byte, env *Env, schema int64, l level, st *Statement) {
	e := &entry{text: string(text), env: env.key, schema: schema, level: l, st: st}
	e.hash = c.hash(text, env, schema, l)
	seg := &c.segments[e.hash%cacheSegments]
	seg.mu.Lock()
	defer seg.mu.Unlock()
	if old := seg.entries[e.hash]; old != nil {
		*old = *e
		return
	}
	seg.entries[e.hash] = e
	if len(seg.clock) < cap(seg.clock) {
		seg.clock = append(seg.clock, e)
		return
	}
	delete(seg.entries, seg.replace(e).hash)
	c.evicted.Add(1)
}

// replace puts e in the place of the first entry that was not used since the
// hand passed it, and returns that one. A segment whose lock is held calls it.
func (s *segment) replace(e *entry) *entry {
	for {
		s.hand = (s.hand + 1) % len(s.clock)
		if old := s.clock[s.hand]; !old.used {
			s.clock[s.hand] = e
			return old
		}
		s.clock[s.hand].used = false
	}
}

func (c *cache) entries() int {
	n := 0
	for i := range c.segments {
		seg := &c.segments[i]
		seg.mu.Lock()
		n += len(seg.clock)
		seg.mu.Unlock()
	}
	return n
}
