package rebalance_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// verify wants findings that contain these texts, one each, and no other ones.
func verify(t *testing.T, c *rebalance.Controller, want ...string) {
	t.Helper()
	found, err := c.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range found.Findings {
		lines = append(lines, f.String())
	}
	for _, text := range want {
		if n := strings.Count(strings.Join(lines, "\n"), text); n != 1 {
			t.Errorf("%q was found %d times:\n%s", text, n, strings.Join(lines, "\n"))
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d findings instead of %d:\n%s", len(lines), len(want), strings.Join(lines, "\n"))
	}
}

// verifies looks again and again until ctx ends: there is never anything to be found.
func verifies(ctx context.Context, t *testing.T, c *rebalance.Controller) (times int) {
	for ; ctx.Err() == nil; times++ {
		found, err := c.Verify(context.WithoutCancel(ctx))
		if err != nil || len(found.Findings) > 0 {
			t.Errorf("found %v, %v", found, err)
			break
		}
	}
	return times
}

func TestVerifyFindsWhatIsNotInItsPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topo := r.topology(t, "s1", "s2")
	m := small(t, r, topo)
	for _, db := range []string{"s1", "s2"} {
		r.exec(t, db, "CREATE TABLE countries (code text PRIMARY KEY, name text); INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France')")
	}
	if _, err := topo.ReferenceTable(t.Context(), topology.ParseName("countries")); err != nil {
		t.Fatal(err)
	}
	await(t, "the table is known", func() bool {
		table := topo.Current().Table("public", "countries")
		return table != nil && table.Exists && table.Declared
	})
	c := r.controller(t, topo)
	verify(t, c)
	// A key alone, and slots without it, are in their place.
	pinned := int64(1)
	for ; !m.Slots.Has(slotOf(t, pinned)); pinned++ {
	}
	moveKey(t, topo, pinned, "s2")
	r.background(t, c.Run)
	noMoves(t, topo)
	verify(t, c)

	mine, theirs := int64(0), int64(0) // keys of either shard
	for user := int64(smallUsers); user > 0; user-- {
		switch {
		case ownerOf(t, topo, user) == "s1":
			mine = user
		case user != pinned:
			theirs = user
		}
	}
	exec := func(db, sql string, args ...any) {
		t.Helper()
		conn, err := r.dial(t.Context(), topology.Shard{ID: ring.ShardID(db), Host: db})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("s1", "INSERT INTO plain VALUES ($1, $1, 'again')", pinned)
	exec("s1", "INSERT INTO parts VALUES ($1, 999, 'astray'), ($1, 1000, 'astray')", theirs)
	exec("s2", "INSERT INTO events VALUES ($1, '{}', 1)", mine)
	exec("s2", "UPDATE countries SET name = 'Deutschland' WHERE code = 'de'")
	exec("s2", "CREATE PUBLICATION pgring_move_77 FOR TABLE plain")
	for _, db := range []string{"s1", "s2"} { // one of the three is in its place, one is of no group that is known
		for i, user := range []int64{mine, theirs, theirs} {
			exec(db, "INSERT INTO pgring.idempotency (placed, hash, shard_key, scope, key, fingerprint, expires_at) VALUES ($1, hashint8extended($2, 0), $2::text, 't', $3, '', 'infinity')",
				[]string{m.Group, m.Group, "elsewhere"}[i], user, fmt.Sprint(i))
		}
	}
	verify(t, c, "stray public.plain on s1: 1 rows", "doubled public.plain on s2: 1 rows", "stray public.parts on s1: 2 rows", "doubled public.parts on s2: 3 rows",
		"stray public.events on s2: 1 rows", "doubled public.events on s1: 3 rows", "differs public.countries on s2: 2 rows, 2 rows here, 2 on shard s1, with other contents",
		"publication pgring_move_77", fmt.Sprintf("stray pgring.idempotency on s1: 1 rows, of group %s, whose key %d belongs", m.Group, theirs),
		fmt.Sprintf("stray pgring.idempotency on s2: 1 rows, of group %s, whose key %d belongs", m.Group, mine))
}
