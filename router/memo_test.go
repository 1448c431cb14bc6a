package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgring/pgring/topology"
)

// What a session is told that remembers its statements must be what one is told that never sent any: the same plans with the same
// values, whatever it sent before, and whatever was done to a text between two times.
func FuzzMemoSaysWhatTheCacheSays(f *testing.F) {
	texts := goldenTexts(f)
	for i, text := range texts {
		f.Add(text, texts[(i+1)%len(texts)], int64(i*7+1), "x"+strconv.Itoa(i))
	}
	snap, next, env, foreign := newShop().snapshot(1), newShop().snapshot(2), testEnv(), testEnv().WithForeignEncoding(true)
	f.Fuzz(func(t *testing.T, text, other string, n int64, s string) {
		var kept Scratch
		r := New(Config{})
		check := func(text string, snap *topology.Snapshot, env *Env) {
			for range 3 { // analysed, found in the cache, remembered
				remembering, alone := outcomeIn(&kept, r, snap, env, text), outcome(r, snap, env, text)
				if remembering != alone {
					t.Fatalf("a session that remembers its statements is told of %q\n%s\none that does not\n%s", text, remembering, alone)
				}
			}
		}
		check(text, snap, env)
		check(withLiterals(text, n, s), snap, env)
		check(other, snap, env)
		random := rand.New(rand.NewPCG(uint64(n), 1))
		for range 3 {
			check(cut(random, withLiterals(text, n/3, s)), snap, env)
		}
		check(text, next, env)
		check(withLiterals(text, n, s), next, foreign)
	})
}

// cut takes a few bytes out of a text, or doubles them, or puts something in their place.
func cut(random *rand.Rand, text string) string {
	from := random.IntN(len(text) + 1)
	to := min(len(text), from+random.IntN(3))
	puts := []string{"", "", text[from:to] + text[from:to], "-", ";", "'", " ", "0", "/*", "--", ".5", "e1", "\n", "$1", "::text", " /* c */", " -- c\n", "''"}
	return text[:from] + puts[random.IntN(len(puts))] + text[to:]
}

// remembers says whether the session's memory has the statement of a text.
func (s *Scratch) remembers(snap *topology.Snapshot, env *Env, text string) bool {
	return s.recall(snap, env, []byte(text)) != nil
}

func TestMostStatementsAreRemembered(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	remembered, all := 0, 0
	for i, text := range goldenTexts(t) {
		var kept Scratch
		for range 2 {
			outcomeIn(&kept, r, snap, env, text)
		}
		all++
		if kept.remembers(snap, env, text) && kept.remembers(snap, env, " "+text+" /* tag='a' */\n") {
			remembered++
		}
		if other := withLiterals(text, int64(i), "other"); kept.remembers(snap, env, other) && kept.memo.known[0].level == exact && other != text {
			t.Errorf("%q is taken for %q", other, text)
		}
	}
	if remembered < all/2 {
		t.Errorf("of %d statements sessions remember %d", all, remembered)
	}
}

func TestMemoIsOfOneSchemaAndEnv(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	var kept Scratch
	for range 2 {
		outcomeIn(&kept, r, snap, env, pointSelect)
	}
	if !kept.remembers(snap, env, "SELECT abalance FROM customers WHERE id = 7") {
		t.Error("a session does not remember its statement with another literal")
	}
	if kept.remembers(newShop().snapshot(2), env, pointSelect) {
		t.Error("a session remembers the statement for another schema")
	}
	if kept.remembers(snap, testEnv(), pointSelect) {
		t.Error("a session remembers the statement for another Env")
	}
}

func TestMemoForgetsTheOldest(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	var kept Scratch
	text := func(i int) string { return fmt.Sprintf("SELECT a%d FROM customers WHERE id = %d", i, i) }
	for i := range memoSize + 1 {
		outcomeIn(&kept, r, snap, env, text(i))
		outcomeIn(&kept, r, snap, env, text(i))
	}
	for i := range memoSize + 1 {
		if kept.remembers(snap, env, text(i)) != (i > 0) {
			t.Errorf("of %d statements the session has %v remembered the %dth", memoSize+1, i == 0, i)
		}
	}
}

func TestMemoLeavesOutWhatTakesMuchRoom(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	for n, want := range map[int]bool{1: true, memoLiterals: true, memoLiterals + 1: false} {
		var kept Scratch
		text := "SELECT name FROM customers WHERE id IN (1" + strings.Repeat(", 1", n-1) + ")"
		for range 3 {
			outcomeIn(&kept, r, snap, env, text)
		}
		if kept.remembers(snap, env, text) != want {
			t.Errorf("a statement of %d literals is remembered: %v", n, !want)
		}
	}
}

// The statements of a transaction are compared with what came next the last time only.
func TestMemoKnowsWhatComesNext(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	texts := []string{"BEGIN", "UPDATE customers SET name = 'a' WHERE id = 5", "SELECT name FROM customers WHERE id = 5", "COMMIT"}
	var kept Scratch
	for range 3 {
		for _, text := range texts {
			outcomeIn(&kept, r, snap, env, text)
		}
	}
	for i, text := range texts {
		if likely := kept.memo.known[kept.memo.next[kept.memo.last]]; !kept.remembers(snap, env, text) || kept.memo.known[kept.memo.last] != likely {
			t.Errorf("statement %d is not the one that is tried first", i)
		}
	}
}

func TestWhatSessionsRememberIsCountedAndInUse(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	var kept Scratch
	for range 2 {
		outcomeIn(&kept, r, snap, env, pointSelect)
		outcomeIn(&kept, r, snap, env, "BEGIN")
	}
	kept.memo.known[0].used.Store(false) // as the clock's hand does
	before := r.Stats()
	outcomeIn(&kept, r, snap, env, pointSelect)
	outcomeIn(&kept, r, snap, env, "BEGIN")
	after := r.Stats()
	if after.NormalHits != before.NormalHits+1 || after.ExactHits != before.ExactHits+1 || after.Misses != before.Misses {
		t.Errorf("two hits change %+v to %+v", before, after)
	}
	if !kept.memo.known[0].used.Load() {
		t.Error("the cache does not know that a session uses the statement")
	}
}

func TestCacheFindsEachOfItsEntries(t *testing.T) {
	c, env, random := newCache(cacheSegments*4), testEnv(), rand.New(rand.NewPCG(1, 1))
	statements := map[string]*Statement{}
	for range 2000 {
		text := strconv.Itoa(random.IntN(400))
		if e := c.get([]byte(text), env, 1, exact); e != nil {
			if e.st != statements[text] {
				t.Fatalf("%q has the statement of another text", text)
			}
			continue
		}
		statements[text] = &Statement{}
		c.put([]byte(text), env, 1, exact, statements[text])
	}
	for i := range c.segments {
		seg := &c.segments[i]
		listed := 0
		for _, e := range seg.buckets {
			for ; e != nil; e = e.next {
				if listed++; !slices.Contains(seg.clock, e) {
					t.Errorf("%q is in a bucket and not on the clock", e.text)
				}
			}
		}
		if listed != len(seg.clock) || len(seg.clock) > 4 {
			t.Errorf("a segment of 4 lists %d entries and has %d on its clock", listed, len(seg.clock))
		}
	}
}
