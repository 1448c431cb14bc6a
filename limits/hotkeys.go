package limits

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"sync"
	"time"
)

// KeyID names a key of a table: its hash stands for its value.
type KeyID struct {
	Table string
	Hash  uint64
}

// HotKey is one key that is used much.
type HotKey struct {
	KeyID
	Name      string  // what Name has said of it; empty: nothing yet
	PerSecond float64 // how often it is used, over the last few half-lives; never too low
	Error     float64 // how much too high that is at most
}

// HotKeys finds the keys that are used most: Space-Saving (Metwally, Agrawal and El Abbadi, 2005) over counts that decay by half
// in each half-life. Every key used more often than the sum of all uses divided by the capacity is in it, and no rate is
// estimated too low.
type HotKeys struct {
	half time.Duration
	mu   sync.Mutex
	summary
}

// summary keeps counts scaled by 2^(age of origin / half), so that decay changes no order and costs nothing: a use counts the more the
// later it is.
type summary struct {
	capacity int
	origin   time.Time
	entries  counts // a heap, the smallest first
	index    map[KeyID]*count
}

type count struct {
	id     KeyID
	name   string
	weight float64
	error  float64
	uses   int // since it is counted
	at     int // its place in the heap
}

// usesToName is how many uses after the first make a key worth a name.
const usesToName = 3

// NewHotKeys makes a summary of as many keys as capacity says. Half-life 0 means 10 seconds.
func NewHotKeys(capacity int, half time.Duration) *HotKeys {
	if half <= 0 {
		half = 10 * time.Second
	}
	capacity = max(capacity, 1)
	return &HotKeys{half: half, summary: summary{capacity: capacity, index: make(map[KeyID]*count, capacity)}}
}

// Note counts one use of a key. Unnamed says that the key has been used several times and has no name yet: Name should tell it. Keys
// that come and go are not worth one.
func (h *HotKeys) Note(id KeyID) (unnamed bool) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	weight := h.weight(now)
	c := h.index[id]
	if c != nil {
		c.weight += weight
		c.uses++
		unnamed = c.name == "" && c.uses >= usesToName
		h.entries.sink(c) // it is heavier now
		return unnamed
	}
	if len(h.entries) < h.capacity {
		c = &count{id: id, weight: weight, at: len(h.entries)}
		h.index[id] = c
		h.entries = append(h.entries, c)
		heap.Fix(&h.entries, c.at)
		return false
	}
	c = h.entries[0]
	delete(h.index, c.id)
	*c = count{id: id, weight: c.weight + weight, error: c.weight}
	h.index[id] = c
	h.entries.sink(c)
	return false
}

// weight is what a use counts now. Before it becomes too large a number, everything is scaled anew.
func (h *HotKeys) weight(now time.Time) float64 {
	if h.origin.IsZero() {
		h.origin = now
	}
	age := now.Sub(h.origin).Seconds() / h.half.Seconds()
	if age > 500 {
		scale := math.Exp2(-age)
		for _, c := range h.entries {
			c.weight *= scale
			c.error *= scale
		}
		h.origin, age = now, 0
	}
	return math.Exp2(age)
}

// Name tells what to call a key, if it is still counted.
func (h *HotKeys) Name(id KeyID, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.index[id]; c != nil {
		c.name = name
	}
}

// Top returns the n hottest keys, the hottest first.
func (h *HotKeys) Top(n int) []HotKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	// A steady rate r has the decayed count r · half / ln 2.
	scale := 1 / h.weight(time.Now()) * math.Ln2 / h.half.Seconds()
	top := make([]HotKey, 0, len(h.entries))
	for _, c := range h.entries {
		top = append(top, HotKey{KeyID: c.id, Name: c.name, PerSecond: c.weight * scale, Error: c.error * scale})
	}
	slices.SortFunc(top, func(a, b HotKey) int {
		return cmp.Or(cmp.Compare(b.PerSecond, a.PerSecond), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Hash, b.Hash))
	})
	return top[:min(n, len(top))]
}

// counts is a heap; each of them knows its place.
type counts []*count

// Len implements heap.Interface.
func (c *counts) Len() int { return len(*c) }

// Less implements heap.Interface.
func (c *counts) Less(i, j int) bool { return (*c)[i].weight < (*c)[j].weight }

// Swap implements heap.Interface.
func (c *counts) Swap(i, j int) {
	list := *c
	list[i], list[j] = list[j], list[i]
	list[i].at, list[j].at = i, j
}

// Push implements heap.Interface; entries are appended by Note, which knows more.
func (c *counts) Push(any) {}

// Pop implements heap.Interface; entries are replaced, never removed.
func (c *counts) Pop() any { return nil }

// sink moves an entry that has become heavier away from the top, as heap.Fix would with more steps.
func (c counts) sink(heavy *count) {
	i := heavy.at
	for {
		next := 2*i + 1
		if next >= len(c) {
			break
		}
		if other := next + 1; other < len(c) && c[other].weight < c[next].weight {
			next = other
		}
		if heavy.weight <= c[next].weight {
			break
		}
		c[i], c[next].at = c[next], i
		i = next
	}
	c[i], heavy.at = heavy, i
}
