package partition_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgring/pgring/internal/pgserver"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
	"github.com/pgring/pgring/topology/partition"
)

// shared is the one server of all tests; its databases play the shards.
var shared struct {
	server *pgserver.Server
	number atomic.Int64
}

func TestMain(m *testing.M) {
	var err error
	if shared.server, err = pgserver.Start(context.Background(), pgserver.Config{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := shared.server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "end the shared server:", err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// rig is some shards with table events.
type rig struct {
	shards []string // databases
	topo   *topology.Topology
	rule   partition.Rule
}

const events = `CREATE TABLE events (id bigint, at timestamptz, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)`

func newRig(t *testing.T, ddl string, shards ...string) *rig {
	t.Helper()
	n := shared.number.Add(1)
	r := &rig{rule: partition.Rule{Table: topology.ParseName("events"), Column: "at",
		Every: partition.Period{Time: 24 * time.Hour}, Ahead: partition.Period{Time: 72 * time.Hour}, Keep: partition.Period{Time: 30 * 24 * time.Hour}, Drop: true}}
	w := topology.Wish{Tables: []topology.TableWish{{Name: r.rule.Table, Kind: topology.Sharded, Key: []string{"id"}},
		{Name: topology.ParseName("visits"), Kind: topology.Sharded, Key: []string{"id"}}}}
	for _, shard := range shards {
		name := fmt.Sprint(shard, n)
		exec(t, "postgres", "CREATE DATABASE "+name)
		exec(t, name, ddl)
		r.shards = append(r.shards, name)
		w.Shards = append(w.Shards, topology.Shard{ID: ring.ShardID(shard), Host: name})
	}
	topo, err := topology.New(topology.Config{Dial: dial, Control: func(ctx context.Context) (*pgx.Conn, error) { return dial(ctx, w.Shards[0]) }, Wish: w})
	must(t, err)
	_, err = topo.Start(t.Context())
	must(t, err)
	r.topo = topo
	return r
}

func dial(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
	return pgx.Connect(ctx, shared.server.SocketDSN(pgtest.Superuser, shard.Host))
}

func (r *rig) keeper(t *testing.T, change func(*partition.Config)) *partition.Keeper {
	t.Helper()
	cfg := partition.Config{Topology: r.topo, Dial: dial, Rules: func() []partition.Rule { return []partition.Rule{r.rule} }}
	if change != nil {
		change(&cfg)
	}
	k, err := partition.New(cfg)
	must(t, err)
	return k
}

// round runs one round, which must find nothing wrong.
func (r *rig) round(t *testing.T) {
	t.Helper()
	k := r.keeper(t, nil)
	k.Round(t.Context())
	for _, s := range k.Stats().Tables {
		if s.Problem != "" {
			t.Errorf("shard %s: %s", s.Shard, s.Problem)
		}
	}
}

// problem runs one round, and gives what is wrong on the first shard.
func problem(t *testing.T, k *partition.Keeper) string {
	t.Helper()
	k.Round(t.Context())
	all := k.Stats().Tables
	if len(all) == 0 {
		t.Fatal("nothing was seen to")
	}
	return all[0].Problem
}

// holds makes sure that there is exactly one partition for the beginning and the end of each day from now on, and some others.
func (r *rig) holds(t *testing.T, days, others int) {
	t.Helper()
	for _, db := range r.shards {
		exec(t, db, fmt.Sprintf("INSERT INTO events SELECT 1, m, 'probe' FROM generate_series(%s, %s, interval '1 day') d, LATERAL (VALUES (d), (d + interval '1 day - 1 us')) v (m)",
			day(0), day(days-1)))
		exec(t, db, "DELETE FROM events WHERE note = 'probe'")
		if n := one[int](t, db, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass AND NOT inhdetachpending"); n != days+others {
			t.Errorf("%s: %d partitions instead of %d", db, n, days+others)
		}
		if n := one[int](t, db, "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname LIKE 'events%'"); n != days+others {
			t.Errorf("%s: %d tables instead of %d", db, n, days+others)
		}
	}
}

// day writes the midnight, of UTC, some days from now.
func day(n int) string {
	return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, n).Format("timestamptz '2006-01-02 15:04:05+00'")
}

func TestPartitionsAreMadeAheadAndDroppedWhenTheirTimeIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, events, "a", "b")
	for _, db := range r.shards {
		exec(t, db, fmt.Sprintf("CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (%s) TO (%s); CREATE TABLE events_kept PARTITION OF events FOR VALUES FROM (%[2]s) TO (%[3]s)",
			day(-40), day(-30), day(-29)))
		exec(t, db, fmt.Sprintf("INSERT INTO events VALUES (1, %s - interval '1 us', 'old'), (1, %[1]s, 'kept')", day(-30)))
	}
	schema := r.topo.Current().Schema
	for range 2 {
		r.round(t)
		for _, db := range r.shards {
			if notes := one[string](t, db, "SELECT string_agg(note, ' ') FROM events"); notes != "kept" {
				t.Errorf("%s has rows: %s", db, notes)
			}
		}
		r.holds(t, 4, 1)
	}
	if now := r.topo.Current(); now.Schema == schema {
		t.Error("the new partitions are not known")
	}
}

// TestTwoKeepersAtOnce do what one does.
func TestTwoKeepersAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, events, "a", "b")
	for _, db := range r.shards {
		exec(t, db, fmt.Sprintf("CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO (%s)", day(-31)))
	}
	var group sync.WaitGroup
	keepers := []*partition.Keeper{r.keeper(t, nil), r.keeper(t, nil), r.keeper(t, nil)}
	for _, k := range keepers {
		// owner: the test, which waits; ends with the round.
		group.Go(func() { k.Round(t.Context()) })
	}
	group.Wait()
	var created, dropped int64
	for _, k := range keepers {
		created, dropped = created+k.Stats().Created, dropped+k.Stats().Dropped
	}
	if created != 8 || dropped != 2 {
		t.Errorf("%d were made, and %d dropped", created, dropped)
	}
	r.round(t)
	r.holds(t, 4, 0)
}

// crasher ends a keeper's connection, and its work, before some statement.
type crasher struct {
	left atomic.Int64
	end  context.CancelFunc
}

func (c *crasher) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if c.left.Add(-1) < 0 {
		c.end()
	}
	return ctx
}

func (c *crasher) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestTheNextRoundHealsACrashAtAnyStep stops a keeper after each of its statements, and lets another one go on.
func TestTheNextRoundHealsACrashAtAnyStep(t *testing.T) {
	t.Parallel()
	r := newRig(t, events, "a")
	r.rule.Ahead = partition.Period{}
	for steps := int64(0); ; steps++ {
		exec(t, r.shards[0], fmt.Sprintf(`DROP TABLE events; %s; CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (%s) TO (%s);
CREATE TABLE events_kept PARTITION OF events FOR VALUES FROM (%[3]s) TO (%[4]s); INSERT INTO events VALUES (1, %[2]s, 'old'), (1, %[3]s, 'kept')`, events, day(-31), day(-30), day(-29)))
		ctx, cancel := context.WithCancel(t.Context())
		crash := &crasher{end: cancel}
		crash.left.Store(steps)
		k := r.keeper(t, func(cfg *partition.Config) {
			cfg.Dial = func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
				connect, err := pgx.ParseConfig(shared.server.SocketDSN(pgtest.Superuser, shard.Host))
				if err != nil {
					return nil, err
				}
				if shard.Host == r.shards[0] {
					connect.Tracer = crash
				}
				return pgx.ConnectConfig(ctx, connect)
			}
		})
		k.Round(ctx)
		cancel()
		r.round(t)
		if notes := one[string](t, r.shards[0], "SELECT string_agg(note, ' ') FROM events"); notes != "kept" {
			t.Fatalf("crash after %d statements: rows %s", steps, notes)
		}
		exec(t, r.shards[0], "DROP TABLE events_kept")
		r.holds(t, 1, 0)
		if t.Failed() {
			t.Fatalf("crash after %d statements", steps)
		}
		if crash.left.Load() >= 0 {
			t.Logf("stopped after each of %d statements", steps)
			return
		}
	}
}

// TestADetachThatWasInterruptedIsFinished: who has open transactions that used the table is waited for, and a keeper may die meanwhile.
func TestADetachThatWasInterruptedIsFinished(t *testing.T) {
	t.Parallel()
	r := newRig(t, events, "a")
	exec(t, r.shards[0], fmt.Sprintf("CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (%s) TO (%s); INSERT INTO events VALUES (1, %[1]s, 'old')", day(-40), day(-31)))
	const pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"
	keeper := r.keeper(t, nil)
	state := func() (states string) {
		for _, p := range keeper.Look(t.Context()) {
			states += string(p.State) + " "
		}
		return states
	}
	session(t, r.shards[0], func(ctx context.Context, reader *pgx.Conn) error {
		if _, err := reader.PgConn().Exec(ctx, "BEGIN; SELECT * FROM events").ReadAll(); err != nil {
			return err
		}
		done := make(chan struct{})
		// owner: the test, which waits; ends with the round, whose connection is ended.
		go func() { defer close(done); r.keeper(t, nil).Round(ctx) }()
		await(t, "the partition to be on its way", func() bool { return one[int](t, r.shards[0], pending) == 1 })
		if ended := one[int](t, r.shards[0], "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE%CONCURRENTLY' AND datname = current_database()"); ended != 1 {
			t.Errorf("%d connections were ended", ended)
		}
		<-done
		if got := state(); got != "detaching current ahead ahead ahead " {
			t.Errorf("partitions are %s", got)
		}
		_, err := reader.Exec(ctx, "COMMIT")
		return err
	})
	r.round(t)
	r.holds(t, 4, 0)

	// What a person takes off is his.
	exec(t, r.shards[0], fmt.Sprintf("CREATE TABLE events_his PARTITION OF events FOR VALUES FROM (%s) TO (%s)", day(-40), day(-31)))
	session(t, r.shards[0], func(ctx context.Context, reader *pgx.Conn) error {
		_, err := reader.PgConn().Exec(ctx, "BEGIN; SELECT * FROM events").ReadAll()
		if err != nil {
			return err
		}
		session(t, r.shards[0], func(ctx context.Context, person *pgx.Conn) error {
			_, err := person.Exec(ctx, "SET lock_timeout = '50ms'")
			if _, interrupted := person.Exec(ctx, "ALTER TABLE events DETACH PARTITION events_his CONCURRENTLY"); interrupted == nil {
				t.Error("nobody was waited for")
			}
			return err
		})
		_, err = reader.Exec(ctx, "COMMIT")
		return err
	})
	r.round(t)
	if got := state(); got != "detaching current ahead ahead ahead " {
		t.Errorf("partitions are %s", got)
	}
	exec(t, r.shards[0], "ALTER TABLE events DETACH PARTITION events_his FINALIZE")
	r.round(t)
	if n := one[int](t, r.shards[0], "SELECT count(*) FROM events_his"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// TestNothingIsForced: what is in the way is shown, and is there afterwards.
func TestNothingIsForced(t *testing.T) {
	t.Parallel()
	r := newRig(t, "CREATE TABLE events (id bigint PRIMARY KEY)", "a")
	k := r.keeper(t, nil)
	again := func(ddl string) string { return "DROP TABLE events; " + ddl }
	for _, c := range []struct{ ddl, problem string }{
		{"ALTER TABLE events RENAME TO other", "the table is not there"},
		{"ALTER TABLE other RENAME TO events", "the table is not partitioned: make it PARTITION BY RANGE (\"at\")"},
		{again("CREATE TABLE events (id bigint, at date) PARTITION BY RANGE (id)"), "the table is partitioned otherwise: it must be PARTITION BY RANGE (\"at\")"},
		{again("CREATE TABLE events (id bigint, at date) PARTITION BY RANGE (at, id)"), "the table is partitioned otherwise: it must be PARTITION BY RANGE (\"at\")"},
		{again("CREATE TABLE events (id bigint, at date) PARTITION BY LIST (at)"), "the table is partitioned otherwise: it must be PARTITION BY RANGE (\"at\")"},
		{again("CREATE TABLE events (id bigint, at text) PARTITION BY RANGE (at)"), "column at is of type text: it must be timestamptz, timestamp or date"},
		{again(fmt.Sprintf("%s; CREATE TABLE events_d PARTITION OF events DEFAULT; INSERT INTO events VALUES (1, %s, 'tomorrow')", events, day(1))),
			"DEFAULT partition \"public\".\"events_d\" has rows of that time"},
		{again(fmt.Sprintf("%s; CREATE TABLE events_w PARTITION OF events FOR VALUES FROM (%s - interval '1 hour') TO (%s + interval '1 hour')", events, day(1), day(2))), "cannot be made: it overlaps"},
		{again(fmt.Sprintf("%s; CREATE TABLE events_v PARTITION OF events FOR VALUES FROM (%s) TO (%s); CREATE VIEW v AS SELECT * FROM events_v", events, day(-40), day(-35))),
			"cannot drop table public.events_v because other objects depend on it"},
		{"", "cannot drop table public.events_v because other objects depend on it"},
		{"DROP VIEW v; ALTER TABLE events_v DROP CONSTRAINT events_v_at_check; INSERT INTO events_v VALUES (1, now(), 'put there')", "somebody has put newer rows into it"},
	} {
		session(t, r.shards[0], func(ctx context.Context, conn *pgx.Conn) error {
			if _, err := conn.PgConn().Exec(ctx, c.ddl).ReadAll(); err != nil {
				return err
			}
			if got := problem(t, k); !strings.Contains(got, c.problem) {
				t.Errorf("after %s: %q", c.ddl, got)
			}
			return nil
		})
	}
	var states string
	for _, p := range k.Look(t.Context()) {
		states += string(p.State) + " "
		if p.Problem == "" || p.Bytes == 0 || p.Rows != -1 || p.Shard != "a" || p.Name.Table == "" {
			t.Errorf("%+v", p)
		}
	}
	if states != "current ahead ahead ahead detached " {
		t.Errorf("partitions are %s", states)
	}
	// Dates are fine, if the periods are days; beside a DEFAULT partition another way is gone.
	exec(t, r.shards[0], again(fmt.Sprintf("DROP TABLE events_v; CREATE TABLE events (id bigint, at date, note text) PARTITION BY RANGE (at); CREATE TABLE events_d PARTITION OF events DEFAULT; "+
		"CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('1999-01-01') TO ('1999-02-01'); INSERT INTO events VALUES (1, '1999-01-20', 'old'), (1, '1999-02-01', 'kept')")))
	if got := problem(t, k); got != "" {
		t.Error(got)
	}
	if notes := one[string](t, r.shards[0], "SELECT string_agg(note, ' ') FROM events"); notes != "kept" {
		t.Errorf("rows %s", notes)
	}
	r.rule.Every = partition.Period{Time: time.Hour}
	if got := problem(t, k); got != "column at is a date: every must be whole days, and not 1h" {
		t.Error(got)
	}
}

// TestAPartitionThatCannotBeTakenOffIsItsOwnersStill: who takes it off himself, later, keeps it.
func TestAPartitionThatCannotBeTakenOffIsItsOwnersStill(t *testing.T) {
	t.Parallel()
	r := newRig(t, "CREATE TABLE events (id bigint, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)", "a")
	exec(t, r.shards[0], fmt.Sprintf(`CREATE TABLE old PARTITION OF events FOR VALUES FROM (%[1]s) TO (%[2]s); CREATE TABLE odd PARTITION OF events FOR VALUES FROM ('infinity') TO (MAXVALUE);
INSERT INTO events VALUES (1, %[1]s); CREATE TABLE notes (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES events); INSERT INTO notes SELECT * FROM events`, day(-40), day(-39)))
	k := r.keeper(t, nil)
	if got := problem(t, k); !strings.Contains(got, "violates foreign key constraint") {
		t.Errorf("problem %q", got)
	}
	exec(t, r.shards[0], "DELETE FROM notes; ALTER TABLE events DETACH PARTITION old")
	if got := problem(t, k); got != "" {
		t.Errorf("problem %q", got)
	}
	if n := one[int64](t, r.shards[0], "SELECT count(*) FROM old"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// TestAClockThatJumpsDropsNothing: neither the proxy's nor the shard's alone.
func TestAClockThatJumpsDropsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, events, "a")
	exec(t, r.shards[0], fmt.Sprintf("CREATE TABLE events_kept PARTITION OF events FOR VALUES FROM (%s) TO (now() - interval '30 days' + interval '5 minutes')", day(-40)))
	for _, skew := range []time.Duration{8 * time.Minute, 48 * time.Hour, -48 * time.Hour, 0} {
		k := r.keeper(t, func(cfg *partition.Config) { cfg.Now = func() time.Time { return time.Now().Add(skew) } })
		got := problem(t, k)
		if wrong := skew.Abs() > 10*time.Minute; wrong != strings.Contains(got, "nothing is dropped") || !wrong && got != "" {
			t.Errorf("with a skew of %s: %q", skew, got)
		}
		r.holds(t, 4, 1)
	}
}

// twoTables are the rules of the rig's table and of another one, in this order.
func (r *rig) twoTables() func(*partition.Config) {
	other := r.rule
	other.Table = topology.ParseName("visits")
	return func(cfg *partition.Config) {
		cfg.Rules = func() []partition.Rule { return []partition.Rule{r.rule, other} }
	}
}

const visits = `; CREATE TABLE visits (id bigint, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)`

func TestALockOnATableKeepsUpNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, events+visits, "a")
	k := r.keeper(t, r.twoTables())
	seen := func() (tables string) {
		for _, s := range k.Stats().Tables {
			tables += s.Table.String() + " "
		}
		return tables
	}
	session(t, r.shards[0], func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		var round sync.WaitGroup
		round.Go(func() { k.Round(t.Context()) })
		await(t, "the other table was seen to", func() bool { return seen() == "public.visits " })
		_, err := conn.Exec(ctx, "ROLLBACK")
		round.Wait()
		return err
	})
	if got := seen(); got != "public.events public.visits " {
		t.Errorf("seen to: %s", got)
	}
	// What is locked has no sizes, and says so.
	session(t, r.shards[0], func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, 1500*time.Millisecond) // as the console has
		defer cancel()
		for _, p := range k.Look(limited) {
			locked := p.Table.Table == "events"
			if locked != (p.Bytes < 0) || locked != strings.HasPrefix(p.Problem, "somebody has locked the table, or a partition of it") || locked != (p.Name.Table == "") {
				t.Errorf("%s %s: %s %d %q", p.Table, p.Span, p.Name, p.Bytes, p.Problem)
			}
		}
		return nil
	})
}

// TestNothingIsDroppedWhileSlotsMove: a guard on the shard says so, and the lock of who makes one.
func TestNothingIsDroppedWhileSlotsMove(t *testing.T) {
	t.Parallel()
	r := newRig(t, events, "a", "b")
	r.rule.Ahead = partition.Period{}
	exec(t, r.shards[0], fmt.Sprintf(`CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (%s) TO (%s);
CREATE TABLE events_mine PARTITION OF events FOR VALUES FROM (%s) TO (%s)`, day(-40), day(-31), day(-20), day(-3)))
	session(t, r.shards[0], func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, fmt.Sprintf("BEGIN; SELECT pg_advisory_xact_lock(%d, 0)", partition.DropLock)); err != nil {
			return err
		}
		r.round(t)
		_, err := conn.Exec(ctx, "CREATE TABLE pgring.guards (move bigint PRIMARY KEY, term bigint NOT NULL, state text NOT NULL); INSERT INTO pgring.guards VALUES (1, 1, 'open'); COMMIT")
		return err
	})
	r.round(t)
	if n := one[int](t, r.shards[1], "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass"); n != 1 {
		t.Errorf("%d partitions on the shard that has nothing to do with it", n)
	}
	exec(t, r.shards[1], "CREATE SCHEMA pgring; CREATE TABLE pgring.guards (move bigint PRIMARY KEY, term bigint NOT NULL, state text NOT NULL); INSERT INTO pgring.guards VALUES (1, 1, 'following')")
	r.round(t)
	r.holds(t, 1, 2) // the rows that come need them
	for _, db := range r.shards {
		exec(t, db, "UPDATE pgring.guards SET state = 'over'")
	}
	r.round(t)
	r.holds(t, 1, 1)
}

// TestPartitionsGetWhatTheTableHas is what PostgreSQL hands down, and what it does not.
func TestPartitionsGetWhatTheTableHas(t *testing.T) {
	t.Parallel()
	r := newRig(t, `CREATE TABLE kinds (kind int PRIMARY KEY); INSERT INTO kinds VALUES (1);
CREATE TABLE events (id bigint NOT NULL, at timestamp NOT NULL, "Kind" int DEFAULT 1 REFERENCES kinds, n int GENERATED ALWAYS AS ("Kind" + 1) STORED CHECK (n > 0), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE UNIQUE INDEX by_kind ON events ("Kind", id, at) INCLUDE (n); ALTER TABLE events ALTER "Kind" SET NOT NULL; ALTER TABLE events REPLICA IDENTITY USING INDEX by_kind;
ALTER TABLE events ENABLE ROW LEVEL SECURITY`, "a", "b")
	r.rule.Ahead = partition.Period{}
	exec(t, r.shards[0], "CREATE ROLE keeper_of_events; GRANT CREATE ON SCHEMA public TO keeper_of_events; ALTER TABLE events OWNER TO keeper_of_events")
	exec(t, r.shards[1], "ALTER TABLE events REPLICA IDENTITY FULL")
	session(t, r.shards[0], func(ctx context.Context, conn *pgx.Conn) error {
		return topology.EnsureAppendOnly(ctx, conn, []topology.Name{r.rule.Table})
	})
	r.round(t)
	for i, want := range []string{"keeper_of_events t i 2 2 2", "t f 2 2 0"} {
		got := one[string](t, r.shards[i], `SELECT concat_ws(' ', CASE WHEN relowner <> 10 THEN pg_get_userbyid(relowner) END, relrowsecurity, relreplident,
	(SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND contype IN ('f', 'c')), (SELECT count(*) FROM pg_index WHERE indrelid = c.oid),
	(SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)) FROM pg_class c WHERE relispartition AND relkind = 'r'`)
		if got != want {
			t.Errorf("%s: %s instead of %s", r.shards[i], got, want)
		}
	}
	exec(t, r.shards[0], "INSERT INTO events VALUES (1, now() AT TIME ZONE 'UTC')")
	name := one[string](t, r.shards[0], "SELECT tableoid::regclass::text FROM events")
	session(t, r.shards[0], func(ctx context.Context, conn *pgx.Conn) error {
		for _, sql := range []string{"TRUNCATE " + name, "DELETE FROM " + name, "TRUNCATE events"} {
			if _, err := conn.Exec(ctx, sql); err == nil || !strings.Contains(err.Error(), topology.AppendOnlyCode) {
				t.Errorf("%s: %v", sql, err)
			}
		}
		// So has one that a person has made, or tampered with, when the keeper of ledgers has looked.
		if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE TABLE by_hand PARTITION OF events FOR VALUES FROM ('1999-01-01') TO ('1999-02-01'); ALTER TABLE %s DISABLE TRIGGER ALL", name)); err != nil {
			return err
		}
		if err := topology.EnsureAppendOnly(ctx, conn, []topology.Name{r.rule.Table}); err != nil {
			return err
		}
		for _, sql := range []string{"TRUNCATE " + name, "DELETE FROM " + name, "TRUNCATE by_hand"} {
			if _, err := conn.Exec(ctx, sql); err == nil || !strings.Contains(err.Error(), topology.AppendOnlyCode) {
				t.Errorf("%s: %v", sql, err)
			}
		}
		return nil
	})
	exec(t, r.shards[0], "DROP OWNED BY keeper_of_events; DROP ROLE keeper_of_events")
}

// await polls until the condition holds.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

func exec(t *testing.T, database, sql string) {
	t.Helper()
	session(t, database, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
		return err
	})
}

func one[T any](t *testing.T, database, sql string) (value T) {
	t.Helper()
	session(t, database, func(ctx context.Context, conn *pgx.Conn) error {
		var found *T
		err := conn.QueryRow(ctx, sql).Scan(&found)
		if found != nil {
			value = *found
		}
		return err
	})
	return value
}

func session(t *testing.T, database string, body func(context.Context, *pgx.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	conn, err := dial(ctx, topology.Shard{Host: database})
	if err == nil {
		defer conn.Close(ctx)
		err = body(ctx, conn)
	}
	if err != nil {
		t.Fatalf("database %s: %v", database, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
