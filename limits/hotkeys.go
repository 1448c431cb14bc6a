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
	index    map[KeyID]int
}

type count struct {
	id     KeyID
	name   string
	weight float64
	error  float64
	uses   int // since it has its place
}

// usesToName is how many uses after the first make a key worth a name.
const usesToName = 3

// NewHotKeys makes a summary of as many keys as capacity says. Half-life 0 means 10 seconds.
func NewHotKeys(capacity int, half time.Duration) *HotKeys {
	if half <= 0 {
		half = 10 * time.Second
	}
	capacity = max(capacity, 1)
	s := summary{capacity: capacity, index: make(map[KeyID]int, capacity)}
	s.entries.index = s.index
	return &HotKeys{half: half, summary: s}
}

// Note counts one use of a key. Unnamed says that the key has been used several times and has no name yet: Name should tell it. Keys
// that come and go are not worth one.
func (h *HotKeys) Note(id KeyID) (unnamed bool) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	weight := h.weight(now)
	if i, known := h.index[id]; known {
		c := &h.entries.list[i]
		c.weight += weight
		c.uses++
		unnamed = c.name == "" && c.uses >= usesToName
		heap.Fix(&h.entries, i)
		return unnamed
	}
	if len(h.entries.list) < h.capacity {
		h.index[id] = len(h.entries.list)
		h.entries.list = append(h.entries.list, count{id: id, weight: weight})
		heap.Fix(&h.entries, len(h.entries.list)-1)
		return false
	}
	least := &h.entries.list[0]
	delete(h.index, least.id)
	*least = count{id: id, weight: least.weight + weight, error: least.weight}
	h.index[id] = 0
	heap.Fix(&h.entries, 0) // it was the least and is heavier now: it can only sink
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
		for i := range h.entries.list {
			h.entries.list[i].weight *= scale
			h.entries.list[i].error *= scale
		}
		h.origin, age = now, 0
	}
	return math.Exp2(age)
}

// Name tells what to call a key, if it is still counted.
func (h *HotKeys) Name(id KeyID, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i, known := h.index[id]; known {
		h.entries.list[i].name = name
	}
}

// Top returns the n hottest keys, the hottest first.
func (h *HotKeys) Top(n int) []HotKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	// A steady rate r has the decayed count r · half / ln 2.
	scale := 1 / h.weight(time.Now()) * math.Ln2 / h.half.Seconds()
	top := make([]HotKey, 0, len(h.entries.list))
	for _, c := range h.entries.list {
		top = append(top, HotKey{KeyID: c.id, Name: c.name, PerSecond: c.weight * scale, Error: c.error * scale})
	}
	slices.SortFunc(top, func(a, b HotKey) int {
		return cmp.Or(cmp.Compare(b.PerSecond, a.PerSecond), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Hash, b.Hash))
	})
	return top[:min(n, len(top))]
}

// counts is a heap that knows where each key is.
type counts struct {
	list  []count
	index map[KeyID]int
}

func (c *counts) Len() int           { return len(c.list) }
func (c *counts) Less(i, j int) bool { return c.list[i].weight < c.list[j].weight }

func (c *counts) Swap(i, j int) {
	c.list[i], c.list[j] = c.list[j], c.list[i]
	c.index[c.list[i].id], c.index[c.list[j].id] = i, j
}

// Push implements heap.Interface; entries are appended by Note, which knows more.
func (c *counts) Push(any) {}

// Pop implements heap.Interface; entries are replaced, never removed.
func (c *counts) Pop() any { return nil }
