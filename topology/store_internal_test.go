package topology

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
)

func sampleFacts() *facts {
	text := "m"
	f := &facts{home: "s1", nextNumber: 1}
	f.setShard(Shard{ID: "s1", Host: "a", Port: 1, Weight: 1, State: Active})
	f.setShard(Shard{ID: "s2", Host: "b", Port: 2, Weight: 2, State: ReadOnly})
	f.setGroup(group{name: "g", strategy: Hash, keyType: ring.KeyUUID, slots: ring.Modulo([]ring.ShardID{"s1", "s2"})})
	f.setTable(declaration{Name: Name{"public", "a"}, kind: Sharded, key: []string{"k"}, group: "g"})
	f.setGroup(group{name: "r", strategy: Range, layout: Layout{Ranges: []Bound{{Shard: "s1"}, {From: &text, Shard: "s2"}}}})
	f.setTable(declaration{Name: Name{"public", "b"}, kind: Sharded, key: []string{"k"}, group: "r"})
	f.setTable(declaration{Name: Name{"public", "c"}, kind: Reference, key: []string{}})
	f.setTable(declaration{Name: Name{"public", "d"}, kind: Home, key: []string{}, shard: "s2"})
	return f
}

func TestStore(t *testing.T) {
	server := pgtest.Start(t, 1)[0]
	connect := func(t *testing.T) *pgx.Conn { return server.Connect(t) }
	reset := func(t *testing.T) { server.Exec(t, "DROP SCHEMA IF EXISTS pgring CASCADE") }

	t.Run("concurrent migrations take each step once", func(t *testing.T) {
		reset(t)
		var wg sync.WaitGroup
		for range 6 {
			conn := connect(t)
			// owner: the test; ends with the migration.
			wg.Go(func() {
				if err := migrateAlone(t, conn); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := pgtest.One[int](t, server, "SELECT count(*) FROM pgring.migrations"); n != len(migrations()) {
			t.Errorf("%d steps recorded", n)
		}
	})

	t.Run("what is written is read back, change after change", func(t *testing.T) {
		reset(t)
		conn := connect(t)
		if err := migrateAlone(t, conn); err != nil {
			t.Fatal(err)
		}
		first := sampleFacts()
		mustSwap(t, conn, nil, first)
		mustRead(t, conn, first)

		second := first.clone()
		g, _ := second.group("g")
		g.slots = g.slots.With(ring.Move{From: "s1", To: "s2", Slots: []ring.Slot{0, 2}})
		second.setGroup(g)
		second.setTable(declaration{Name: Name{"public", "b"}, kind: Home, key: []string{}}) // group r goes with it
		second.setTable(declaration{Name: Name{"public", "d"}, kind: Home, key: []string{}})
		second.setShard(Shard{ID: "s3", Host: "c", Port: 3, Weight: 1, State: Joining})
		mustSwap(t, conn, first, second)
		mustRead(t, conn, second)
		if got, _ := second.group("g"); got.epoch != 2 {
			t.Errorf("the changed group is of epoch %d", got.epoch)
		}

		third := second.clone()
		third.dropShard("s3")
		mustSwap(t, conn, second, third)
		fourth := third.clone()
		fourth.setShard(Shard{ID: "s3", Host: "c", Port: 3, Weight: 1, State: Active})
		mustSwap(t, conn, third, fourth)
		mustRead(t, conn, fourth)
		if s, _ := fourth.shard("s3"); s.Number != 4 {
			t.Errorf("the number of a dropped shard was used again: %d", s.Number)
		}
		if got, _ := fourth.group("g"); got.epoch != 2 {
			t.Errorf("an unchanged group went to epoch %d", got.epoch)
		}
	})

	t.Run("of two changes made from one epoch, one conflicts and writes nothing", func(t *testing.T) {
		reset(t)
		a, b := connect(t), connect(t)
		if err := migrateAlone(t, a); err != nil {
			t.Fatal(err)
		}
		base := sampleFacts()
		mustSwap(t, a, nil, base)
		mine, yours := base.clone(), base.clone()
		mine.setShard(Shard{ID: "mine", Host: "m", Port: 1, Weight: 1, State: Active})
		yours.setShard(Shard{ID: "yours", Host: "y", Port: 1, Weight: 1, State: Active})

		txA, err := a.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := compareAndSwap(t.Context(), txA, base, mine); err != nil {
			t.Fatal(err)
		}
		result := make(chan error, 1)
		// owner: the test, which reads result; ends when the other transaction has committed.
		go func() {
			result <- swap(t.Context(), b, base, yours)
		}()
		awaitBlocked(t, server)
		if err := txA.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, ErrConflict) {
			t.Errorf("the slower change got %v", err)
		}
		mustRead(t, a, mine)
		if err := swap(t.Context(), b, nil, sampleFacts()); !errors.Is(err, ErrConflict) {
			t.Errorf("a second cluster got %v", err)
		}
		mustRead(t, a, mine)
	})
}

func migrateAlone(t *testing.T, conn *pgx.Conn) error {
	return inTransaction(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock($1)", advisoryKey); err != nil {
			return err
		}
		return migrate(t.Context(), tx)
	})
}

func mustSwap(t *testing.T, conn *pgx.Conn, old, next *facts) {
	t.Helper()
	if err := swap(t.Context(), conn, old, next); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, conn *pgx.Conn, want *facts) {
	t.Helper()
	got, err := loadFacts(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if got.epoch != want.epoch || !got.sameAs(want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
}

// awaitBlocked returns when some transaction waits for another one.
func awaitBlocked(t *testing.T, server *pgtest.Server) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		if pgtest.One[int](t, server, "SELECT count(*) FROM pg_locks WHERE NOT granted") > 0 {
			return
		}
	}
	t.Fatal("nobody waits")
}
