package router

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/pgring/pgring/router/internal/sql"
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
	buckets []*entry // by hash, a power of two of them
	clock   []*entry
	hand    int
}

// entry is one cached statement. It is immutable, but for used, and for next, which is its segment's.
type entry struct {
	st     *Statement
	shape  sql.Shape // of the texts that it is for, if shaped
	shaped bool
	used   atomic.Bool
	level  level
	schema int64
	env    string
	text   string
	hash   uint64
	next   *entry // in its bucket
}

func newCache(size int) *cache {
	per := max(size/cacheSegments, 1)
	c := &cache{seed: maphash.MakeSeed(), capacity: per * cacheSegments}
	for i := range c.segments {
		c.segments[i].buckets = make([]*entry, 1<<bits.Len(uint(per-1)))
		c.segments[i].clock = make([]*entry, 0, per)
	}
	return c
}

func (c *cache) hash(text []byte, env *Env, schema int64, l level) uint64 {
	h := maphash.Bytes(c.seed, text)
	h ^= uint64(schema)*0x9e3779b97f4a7c15 + uint64(l)<<62 + uint64(len(env.key))
	return h
}

// get returns the entry under text, or nil.
func (c *cache) get(text []byte, env *Env, schema int64, l level) *entry {
	h := c.hash(text, env, schema, l)
	seg := &c.segments[h%cacheSegments]
	seg.mu.Lock() // without defer: this is for each statement, and nothing here panics
	e := *seg.bucket(h)
	for e != nil && !e.is(h, text, env, schema, l) {
		e = e.next
	}
	seg.mu.Unlock()
	if e != nil {
		e.touch()
	}
	return e
}

// bucket is where the list of the entries of a hash begins.
func (s *segment) bucket(hash uint64) **entry {
	return &s.buckets[hash/cacheSegments%uint64(len(s.buckets))]
}

func (e *entry) is(hash uint64, text []byte, env *Env, schema int64, l level) bool {
	return e.hash == hash && e.level == l && e.schema == schema && e.env == env.key && e.text == string(text)
}

// touch tells the clock's hand that the entry is in use.
func (e *entry) touch() {
	if !e.used.Load() { // it is shared between sessions, and nearly always true
		e.used.Store(true)
	}
}

// put caches st. If another session did so meanwhile, the entry found is the first of both, and the other is never used.
func (c *cache) put(text []byte, env *Env, schema int64, l level, st *Statement) {
	e := &entry{st: st, level: l, schema: schema, env: env.key, text: string(text), hash: c.hash(text, env, schema, l)}
	e.shape, e.shaped = shapeOf(e.text, l)
	seg := &c.segments[e.hash%cacheSegments]
	seg.mu.Lock()
	defer seg.mu.Unlock()
	if len(seg.clock) < cap(seg.clock) {
		seg.clock = append(seg.clock, e)
	} else {
		seg.remove(seg.replace(e))
		c.evicted.Add(1)
	}
	first := seg.bucket(e.hash)
	e.next, *first = *first, e
}

// shapeOf returns the shape of the texts that an entry is for; false: there is none.
func shapeOf(text string, l level) (sql.Shape, bool) {
	switch l {
	case exact:
		return sql.Exactly(text)
	case normal:
		return sql.NewShape(text)
	case byRows:
	}
	return sql.Shape{}, false
}

// replace puts e in the place of the first entry that was not used since the
// hand passed it, and returns that one. A segment whose lock is held calls it.
func (s *segment) replace(e *entry) *entry {
	for {
		s.hand = (s.hand + 1) % len(s.clock)
		if old := s.clock[s.hand]; !old.used.Swap(false) {
			s.clock[s.hand] = e
			return old
		}
	}
}

// remove takes an entry out of its bucket. A segment whose lock is held calls it.
func (s *segment) remove(e *entry) {
	at := s.bucket(e.hash)
	for *at != e {
		at = &(*at).next
	}
	*at, e.next = e.next, nil // a session that remembers e keeps no other entry with it
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
