package rebalance_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// stays is a group with a shard key of two columns, of which a move takes slots.
type stays struct {
	*rig
	topo *topology.Topology
	keys []ring.Key // of key i are room i % 7 and guest "guest i"
}

func newStays(t *testing.T) *stays {
	t.Helper()
	s := &stays{rig: newRig(t)}
	s.reversible = time.Hour
	for _, db := range []string{"s1", "s2"} {
		s.exec(t, db, "CREATE TABLE stays (room int, guest text, note text, PRIMARY KEY (guest, room)); CREATE TABLE bills (room int, guest text, n int, PRIMARY KEY (room, guest, n))")
	}
	s.topo = s.rig.topology(t, "s1", "s2")
	for _, name := range []string{"stays", "bills"} {
		w := topology.TableWish{Name: topology.ParseName(name), Kind: topology.Sharded, Key: []string{"room", "guest"}}
		if name == "bills" {
			w.Colocate = "public.stays"
		} else {
			w.Strategy = topology.Hash
		}
		if _, err := s.topo.ShardTable(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the tables are known", func() bool {
		bills := s.topo.Current().Table("public", "bills")
		return bills != nil && bills.KeyType == ring.TupleType(ring.KeyInt, ring.KeyText)
	})
	for i := range 200 {
		room, err := ring.ParseKey(ring.KeyInt, fmt.Appendf(nil, "%d", i%7))
		if err != nil {
			t.Fatal(err)
		}
		guest, err := ring.ParseKey(ring.KeyText, fmt.Appendf(nil, "guest %d", i))
		if err != nil {
			t.Fatal(err)
		}
		s.keys = append(s.keys, ring.Tuple(room, guest))
		s.exec(t, s.owner(i), fmt.Sprintf("INSERT INTO stays VALUES (%d, 'guest %d', 'first'); INSERT INTO bills VALUES (%[1]d, 'guest %[2]d', 1), (%[1]d, 'guest %[2]d', 2)", i%7, i))
	}
	return s
}

func (s *stays) owner(i int) string {
	return string(s.topo.Current().Group("public.stays").Placement.Locate(s.keys[i]).Shard)
}

// write changes what is there of a key, on a shard.
func (s *stays) write(ctx context.Context, db string, i int, note string) error {
	conn, err := s.dial(ctx, topology.Shard{Host: db})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, fmt.Sprintf("UPDATE stays SET note = '%s' WHERE room = %d AND guest = 'guest %d'", note, i%7, i))
	return err
}

func TestKeysOfSeveralColumnsMoveAndComeBack(t *testing.T) {
	t.Parallel()
	s := newStays(t)
	placed := s.topo.Current().Group("public.stays").Placement.(*ring.Map)
	slots := placed.Slots("s1")
	m := topology.Move{Group: "public.stays", From: "s1", To: "s2", Slots: ring.NewSlotSet(slots[:len(slots)/2])}
	moving := -1
	for i, k := range s.keys {
		if m.Slots.HasKey(k) {
			moving = i
		}
	}
	c := s.controller(t, s.topo)
	s.background(t, c.Run)
	if _, err := s.topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
		t.Fatal(err)
	}
	awaitAll(t, s.topo, 1, topology.MoveReversible)
	if at := s.owner(moving); at != "s2" {
		t.Fatalf("its owner is %s", at)
	}
	var refused *pgconn.PgError
	if err := s.write(t.Context(), "s1", moving, "lost"); !errors.As(err, &refused) || refused.Code != "PR001" {
		t.Errorf("a write to the old owner: %v", err)
	}
	if err := s.write(t.Context(), "s2", moving, "second"); err != nil {
		t.Fatal(err)
	}
	verify(t, c)
	if n, err := s.topo.RevertMoves(t.Context(), 0); n != 1 || err != nil {
		t.Fatalf("%d moves: %v", n, err)
	}
	noMoves(t, s.topo)
	verify(t, c)
	if note := pgtest.OneIn[string](t, s.server, "s1", fmt.Sprintf("SELECT note FROM stays WHERE guest = 'guest %d'", moving)); s.owner(moving) != "s1" || note != "second" {
		t.Errorf("back on %s with %q", s.owner(moving), note)
	}

	// One key moves by itself.
	alone, err := rebalance.MoveKey(s.topo.Current(), "public.stays", s.keys[moving], "s2")
	if err != nil || alone == nil {
		t.Fatalf("%v: %v", alone, err)
	}
	if _, err := s.topo.PlanMoves(t.Context(), []topology.Move{*alone}); err != nil {
		t.Fatal(err)
	}
	awaitAll(t, s.topo, 1, topology.MoveReversible)
	if n, err := s.topo.FinishMoves(t.Context(), 0); n != 1 || err != nil {
		t.Fatalf("%d moves: %v", n, err)
	}
	noMoves(t, s.topo)
	verify(t, c)
	total := 0
	for _, db := range []string{"s1", "s2"} {
		here := pgtest.OneIn[int](t, s.server, db, "SELECT (SELECT count(*) FROM stays) + (SELECT count(*) FROM bills)")
		total += here
		if db == "s2" && pgtest.OneIn[int](t, s.server, db, fmt.Sprintf("SELECT count(*) FROM bills WHERE guest = 'guest %d'", moving)) != 2 {
			t.Error("the bills of the key that moved are not on s2")
		}
	}
	if total != 600 {
		t.Errorf("%d rows instead of 600", total)
	}
}
