package proxy_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/faultnet"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// mover plays the controller of a move, from another process than the proxy's.
type mover struct {
	t    *testing.T
	topo *topology.Topology
}

// newMover plans a move of one key's slot between two shards, neither of them the home shard, which keeps the map.
func newMover(t *testing.T, w *twin) (m *mover, from, to int) {
	t.Helper()
	home := w.servers[0].DSN("postgres", "postgres")
	connect := func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, home) }
	m = &mover{t: t}
	var err error
	m.topo, err = topology.New(topology.Config{Control: connect, Wish: topology.Wish{Shards: w.topology.Current().Shards, Tables: testTables()},
		Dial: func(ctx context.Context, _ topology.Shard) (*pgx.Conn, error) { return connect(ctx) }})
	must(t, err)
	_, err = m.topo.Start(t.Context())
	must(t, err)
	from, to = 1, 2
	id := func(i int) ring.ShardID { return ring.ShardID(fmt.Sprintf("s%d", i+1)) }
	key, err := ring.ParseKey(ring.KeyInt, fmt.Appendf(nil, "%d", w.keyOn(from)))
	must(t, err)
	_, err = m.topo.PlanMoves(t.Context(), []topology.Move{{Group: "public.users", From: id(from), To: id(to), Slots: ring.NewSlotSet([]ring.Slot{key.Slot()})}})
	must(t, err)
	_, err = m.topo.AdoptMove(t.Context(), 1, 1)
	must(t, err)
	return m, from, to
}

// keyOn is the one of w.keys3 that a server owns.
func (w *twin) keyOn(server int) int64 {
	return w.keys3[slices.IndexFunc(w.keys3, func(k int64) bool { return w.shardOf(k) == w.servers[server] })]
}

// advance takes the move on, state after state, up to the last one.
func (m *mover) advance(states ...topology.MoveState) {
	m.t.Helper()
	for _, next := range states {
		_, err := m.topo.AdvanceMove(m.t.Context(), *m.topo.Current().Moves[0], next)
		must(m.t, err)
	}
}

// answers sends each script in a session of its own, and returns what reads the answers.
func (w *twin) answers(t *testing.T, scripts []string) func(i int) string {
	t.Helper()
	sessions := make([]*frames, len(scripts))
	for i := range scripts {
		sessions[i] = w.frames()
		if before, _, found := strings.Cut(scripts[i], " ; "); found {
			sessions[i].ask(before)
		}
	}
	return func(i int) string {
		_, script, found := strings.Cut(scripts[i], " ; ")
		if !found {
			script = scripts[i]
		}
		sessions[i].send(parseScript(t, script)...)
		return strings.Join(sessions[i].until("Z:"), " ")
	}
}

// TestWhatAGuardRefusesIsSentAgainWithTheNewMap has a proxy with an old map send statements to the former owner of their slot.
func TestWhatAGuardRefusesIsSentAgainWithTheNewMap(t *testing.T) {
	t.Parallel()
	w, nets := behind(t, 3, backend.Config{Size: 20})
	m, from, to := newMover(t, w)
	source, target := w.servers[from], w.servers[to]
	for _, s := range []*pgtest.Server{source, target} {
		s.Exec(t, "INSERT INTO users VALUES ($1, 'x', 0)", w.keyOn(from))
	}
	source.Exec(t, `CREATE SEQUENCE refusals;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('refusals'); RAISE EXCEPTION 'not here' USING ERRCODE = 'PR001'; END $$;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'told'; RETURN NEW; END $$;
CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON notes FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON notes FOR EACH ROW EXECUTE FUNCTION refuse()`)
	const (
		add     = "UPDATE users SET age = age + 1 WHERE id = "
		refused = "E:40001:could_not_serialize_access_due_to_a_move_of_slots_to_another_shard:0"
	)
	tests := []struct{ script, want string }{
		{"Q " + add + "{k}", "C:UPDATE_1 Z:I"},
		{"Q /* all of it */ " + add + "{k} RETURNING name", "T:name/25/-1/2/0 D:x C:UPDATE_1 Z:I"},
		{"P . " + add + "$1 RETURNING name | B . . {k} | DP . | E . | S", "1 2 T:name/25/-1/2/0 D:x C:UPDATE_1 Z:I"},
		{"P s " + add + "$1 | S ; B . s {k} | DP . | E . | S", "2 n C:UPDATE_1 Z:I"},
		{"P s " + add + "$1 | S ; B p s {k} | E p | S", "2 C:UPDATE_1 Z:I"},
		// The client has heard something, or something else was executed, or may not have been undone.
		{"Q BEGIN ; Q " + add + "{k}", refused + " Z:E"},
		{"Q " + add + "{k}; SELECT 1", refused + " Z:I"},
		{"Q INSERT INTO notes VALUES ({k}, 1, '')", "N:00000 " + refused + " Z:I"},
		{"P s " + add + "$1 | S ; B . s {k} | E . | B . s {k} | E . | S", "2 " + refused + " Z:I"},
		{"P s " + add + "$1 | S ; B . s {k} | E . 1 | S", "2 " + refused + " Z:I"},
		{"P s " + add + "$1 | S ; B . s {k} | E . | CS s | S", "2 " + refused + " Z:I"},
	}
	scripts := make([]string, len(tests))
	for i, test := range tests {
		scripts[i] = strings.ReplaceAll(test.script, "{k}", fmt.Sprint(w.keyOn(from)))
	}
	_, err := w.topology.BumpSchema(t.Context()) // else sessions may ask the home shard, when it cannot answer, for what pgring itself has made there
	must(t, err)
	answer := w.answers(t, scripts)
	nets[0].Hold(faultnet.ToClient) // the proxy hears nothing of the map
	t.Cleanup(func() { nets[0].Release(faultnet.ToClient) })
	m.advance(topology.MovePreparing, topology.MoveCopying, topology.MoveCatchingUp, topology.MoveVerifying, topology.MoveFreezing,
		topology.MoveSwitched, topology.MoveReversible)
	got := make([]chan string, len(tests))
	for i := range tests {
		got[i] = make(chan string, 1)
		// owner: the test, which receives; ends with the answer.
		go func() { got[i] <- answer(i) }()
	}
	waitFor(t, "the guard's refusals", func() bool { return pgtest.One[int](t, source, "SELECT last_value FROM refusals") == len(tests) })
	nets[0].Release(faultnet.ToClient)
	repeated := 0
	for i, test := range tests {
		if answer := <-got[i]; answer != test.want {
			t.Errorf("%s\n got %s\nwant %s", scripts[i], answer, test.want)
		}
		if !strings.Contains(test.want, refused) {
			repeated++
		}
	}
	if n := pgtest.One[int](t, target, "SELECT age FROM users"); n != repeated {
		t.Errorf("the row was changed %d times, want %d", n, repeated)
	}
	if n := w.server.Stats().Repeated; n != int64(repeated) {
		t.Errorf("%d statements were sent again, want %d", n, repeated)
	}
	// A refusal that no newer map explains reaches the client.
	target.Exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nor here' USING ERRCODE = 'PR001'; END $$;
CREATE TRIGGER b BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse()`)
	for _, script := range scripts[:3] {
		if got := w.frames().ask(script); !strings.HasSuffix(got, refused+" Z:I") {
			t.Errorf("%s\n got %s", script, got)
		}
	}
}

// TestWhatAFollowingShardCannotTellAnotherOneDoes has a foreign key to a reference table, of a row that is moving.
func TestWhatAFollowingShardCannotTellAnotherOneDoes(t *testing.T) {
	t.Parallel()
	w, _ := behind(t, 3, backend.Config{Size: 4})
	for _, s := range w.servers {
		s.Exec(t, "INSERT INTO countries VALUES ('a', 'x'), ('b', 'x'), ('c', 'x'), ('d', 'x')")
	}
	m, _, _ := newMover(t, w)
	waitFor(t, "the proxy's map", func() bool { return w.topology.Current().Epoch == m.topo.Current().Epoch })
	refuse := `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.code IN (%s) THEN RAISE EXCEPTION 'refused' USING ERRCODE = '%s'; END IF; RETURN NULL; END $$;
CREATE TRIGGER refuse AFTER UPDATE OR DELETE ON countries FOR EACH ROW EXECUTE FUNCTION refuse()`
	w.servers[0].Exec(t, fmt.Sprintf(refuse, "'a', 'b'", "PR002"))
	w.servers[1].Exec(t, fmt.Sprintf(refuse, "'c'", "PR002"))
	w.servers[2].Exec(t, fmt.Sprintf(refuse, "'b', 'c'", "23503"))
	const behind = "E:40001:could_not_serialize_access_due_to_a_move_of_slots_to_another_shard:0 Z:I"
	for script, want := range map[string]string{
		"Q DELETE FROM countries WHERE code = 'a'":                        behind,
		"Q DELETE FROM countries WHERE code = 'b'":                        "E:23503:refused:0 Z:I",
		"Q DELETE FROM countries WHERE code = 'c'":                        "E:23503:refused:0 Z:I",
		"P . UPDATE countries SET name = $1 | B . . y | E . | S":          "1 2 E:23503:refused:0 Z:I",
		"P . DELETE FROM countries WHERE code = $1 | B . . a | E . | S":   "1 2 " + behind,
		"Q DELETE FROM countries WHERE code = 'd' RETURNING name":         "T:name/25/-1/2/0 D:x C:DELETE_1 Z:I",
		"Q BEGIN; DELETE FROM countries WHERE code = 'a' ; Q ROLLBACK":    "C:ROLLBACK Z:I",
		"Q SELECT count(*) FROM countries WHERE name = 'x' AND code <'d'": "T:count/20/-1/0/0 D:3 C:SELECT_1 Z:I",
	} {
		before, script, found := strings.Cut(script, " ; ")
		f := w.frames()
		got := f.ask(before)
		if found {
			got = f.ask(script)
		}
		if got != want {
			t.Errorf("%s %s\n got %s\nwant %s", before, script, got, want)
		}
	}
}

// TestAStatementThatWaitsForAMoveMeansWhatTheSchemaSaysThen has the columns of a table change places meanwhile, and with them the key.
func TestAStatementThatWaitsForAMoveMeansWhatTheSchemaSaysThen(t *testing.T) {
	t.Parallel()
	w, _ := behind(t, 3, backend.Config{Size: 20})
	m, from, to := newMover(t, w)
	m.advance(topology.MovePreparing)
	waitFor(t, "the proxy's map", func() bool { return w.topology.Current().Epoch == m.topo.Current().Epoch })
	aborted := w.connect() // left open by its client
	run(t, aborted, "BEGIN")
	run(t, aborted, fmt.Sprintf("INSERT INTO notes VALUES (%d, 9, 'x')", w.keyOn(from)))
	own := w.topology.CheckProxies(background, topology.StageWrite, m.topo.Current().Epoch+1) // this proxy is looked at first
	if own == nil {
		t.Fatal("a cut-over would not wait for a transaction that has written")
	}
	_, err := aborted.Exec(background, fmt.Sprintf("INSERT INTO notes VALUES (%d, 9, 'x')", w.keyOn(from)))
	wantCode(t, err, "23505")
	m.advance(topology.MoveCopying, topology.MoveCatchingUp, topology.MoveVerifying, topology.MoveFreezing)
	waitFor(t, "the proxy's map", func() bool { return w.topology.Current().Epoch == m.topo.Current().Epoch })
	if err := w.topology.CheckProxies(background, topology.StageWrite, m.topo.Current().Epoch); err != nil && err.Error() == own.Error() {
		t.Error("a cut-over would wait for a transaction that has failed")
	}
	moving, home, other := w.keyOn(from), w.keyOn(0), w.keyOn(to)
	endsEarly(t, w, fmt.Sprintf("INSERT INTO notes VALUES (%d, 1, 'x')", moving))
	tests := []struct{ script, want string }{
		{fmt.Sprintf("Q INSERT INTO notes VALUES (%d, %d, 'x')", moving, home), "C:INSERT_0_1 Z:I"},
		{fmt.Sprintf("P . INSERT INTO notes VALUES ($1, $2, 'x') | B . . %d,%d | E . | S", moving, other), "1 2 C:INSERT_0_1 Z:I"},
		{fmt.Sprintf("Q BEGIN ; Q INSERT INTO notes VALUES (%d, %d, 'x')", moving, home),
			"E:40001:the_schema_has_changed_while_the_statement_waited_for_a_move_of_its_slots:0 Z:E"},
	}
	scripts := make([]string, len(tests))
	for i, test := range tests {
		scripts[i] = test.script
	}
	answer := w.answers(t, scripts)
	planned := func() int64 {
		s := w.server.Stats().Router
		return s.ExactHits + s.NormalHits + s.Misses
	}
	before := planned()
	got := make([]chan string, len(tests))
	for i := range tests {
		got[i] = make(chan string, 1)
		// owner: the test, which receives; ends with the answer.
		go func() { got[i] <- answer(i) }()
	}
	waitFor(t, "the statements to be looked at", func() bool { return planned() == before+int64(len(tests)) })
	for _, s := range w.servers {
		s.Exec(t, "DROP TABLE notes; CREATE TABLE notes (n int, user_id bigint, body text, PRIMARY KEY (user_id, n))")
	}
	run(t, aborted, "ROLLBACK")
	_, err = w.topology.BumpSchema(t.Context())
	must(t, err)
	_, err = m.topo.CancelMoves(t.Context())
	must(t, err)
	for i, test := range tests {
		if answer := <-got[i]; answer != test.want {
			t.Errorf("%s\n got %s\nwant %s", scripts[i], answer, test.want)
		}
	}
	for i, want := range []int64{1, 0, 1} {
		if n := countOn(t, w.servers[i], fmt.Sprintf("notes WHERE n = %d AND user_id = %d", moving, w.keyOn(i))); n != want {
			t.Errorf("s%d has %d rows, want %d", i+1, n, want)
		}
	}
}

// TestABlockWaitsForSlotsThatWereClosedBeforeItWrote has two moves of one group: the cut-over of one waits for the block, and that of the
// other does not.
func TestABlockWaitsForSlotsThatWereClosedBeforeItWrote(t *testing.T) {
	t.Parallel()
	w, _ := behind(t, 3, backend.Config{Size: 4})
	m, from, to := newMover(t, w)
	open := w.keyOn(from)
	closing := open + 1
	for w.shardOf(closing) != w.servers[from] {
		closing++
	}
	key, err := ring.ParseKey(ring.KeyInt, strconv.AppendInt(nil, closing, 10))
	must(t, err)
	shards := m.topo.Current().Shards
	_, err = m.topo.PlanMoves(t.Context(), []topology.Move{{Group: "public.users", From: shards[from].ID, To: shards[to].ID, Slots: ring.NewSlotSet([]ring.Slot{key.Slot()})}})
	must(t, err)
	_, err = m.topo.AdoptMove(t.Context(), 2, 1)
	must(t, err)
	m.advance(topology.MovePreparing)
	advance := func(states ...topology.MoveState) {
		for _, next := range states {
			_, err := m.topo.AdvanceMove(t.Context(), *m.topo.Current().Moves[1], next)
			must(t, err)
		}
		waitFor(t, "the proxy's map", func() bool { return w.topology.Current().Epoch == m.topo.Current().Epoch })
	}
	advance(topology.MovePreparing, topology.MoveCopying, topology.MoveCatchingUp, topology.MoveVerifying)
	insert := func(key int64, n int) string { return fmt.Sprintf("Q INSERT INTO notes VALUES (%d, %d, 'x')", key, n) }
	before, after := w.frames(), w.frames()
	before.want("Q BEGIN", "C:BEGIN Z:T")
	before.want(insert(open, 1), "C:INSERT_0_1 Z:T")
	advance(topology.MoveFreezing)
	before.want(insert(closing, 1), "C:INSERT_0_1 Z:T")
	after.want("Q BEGIN", "C:BEGIN Z:T")
	after.want(insert(open, 2), "C:INSERT_0_1 Z:T")
	after.want("Q SET LOCAL statement_timeout = '50ms'", "C:SET Z:T")
	after.want(insert(closing, 2), "E:57014:canceling_statement_due_to_statement_timeout:0 Z:E")
	before.want("Q COMMIT", "C:COMMIT Z:I")
	// Nobody turns off what guards the moves.
	for sql, want := range map[string]string{
		"ALTER TABLE notes DISABLE TRIGGER ALL":                                               "E:55006:triggers_of_table_\"notes\"_cannot_be_turned_off_while_slots_are_moved:0 Z:I",
		"ALTER TABLE countries DISABLE TRIGGER USER":                                          "E:55006:triggers_of_table_\"countries\"_cannot_be_turned_off_while_slots_are_moved:0 Z:I",
		"ALTER TABLE users DISABLE TRIGGER zz_pgring_move_1_insert":                           "E:0A000:trigger_\"zz_pgring_move_1_insert\"_is_pgring's_own:0 Z:I",
		"ALTER TRIGGER zz_pgring_move_1_insert ON users RENAME TO mine":                       "E:0A000:trigger_\"zz_pgring_move_1_insert\"_is_pgring's_own:0 Z:I",
		"DROP TRIGGER zz_pgring_move_1_insert ON users":                                       "E:0A000:trigger_\"zz_pgring_move_1_insert\"_is_pgring's_own:0 Z:I",
		"CREATE TABLE alone (n int); ALTER TABLE alone DISABLE TRIGGER ALL; DROP TABLE alone": "C:CREATE_TABLE C:ALTER_TABLE C:DROP_TABLE Z:I",
	} {
		w.frames().want("Q "+sql, want)
	}
}

// endsEarly makes sure that a write which waits for a cut-over ends when the client wants that.
func endsEarly(t *testing.T, w *twin, write string) {
	t.Helper()
	conn := w.connect()
	for _, timeout := range []string{"SET statement_timeout = 50", "SELECT set_config('statement_timeout', '50ms', false)"} {
		run(t, conn, timeout)
		_, err := conn.Exec(background, write)
		wantCode(t, err, "57014")
	}
	run(t, conn, "SET statement_timeout = 0")
	for _, timeout := range []string{"SET LOCAL statement_timeout = '50ms'", "SET statement_timeout = 50"} {
		for _, sql := range []string{"BEGIN", "SELECT 1", timeout} {
			run(t, conn, sql)
		}
		_, err := conn.Exec(background, write)
		wantCode(t, err, "57014")
		run(t, conn, "ROLLBACK")
	}
	ended := make(chan error, 1)
	// owner: endsEarly, which receives; ends with the cancel.
	go func() {
		_, err := conn.Exec(background, write)
		ended <- err
	}()
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		must(t, conn.PgConn().CancelRequest(background)) // one that comes before the statement has no effect
		select {
		case err := <-ended:
			tick.Stop()
			wantCode(t, err, "57014")
			return
		default:
		}
	}
}

// TestStatementsOverShardsAnswerAsPostgresWhileSlotsMove has rows on the shard where they do not count that must not be seen, changed
// or deleted: before the switch on the target, afterwards on the source.
func TestStatementsOverShardsAnswerAsPostgresWhileSlotsMove(t *testing.T) {
	t.Parallel()
	w := startTwin(t, options{pool: backend.Config{Size: 4}, locale: "C"})
	m, from, to := newMover(t, w)
	key, other, hidden := w.keyOn(from), w.keyOn(to), w.servers[to]
	const stale = "INSERT INTO users VALUES (%[1]d, 'stale', 2); INSERT INTO notes SELECT %[1]d, n, 'stale' FROM generate_series(3, 9) n"
	w.behind = func() { hidden.Exec(t, fmt.Sprintf(stale, key)) }
	await := func(states ...topology.MoveState) {
		m.advance(states...)
		waitFor(t, "the proxy's map", func() bool { return w.topology.Current().Epoch == m.topo.Current().Epoch })
	}
	check := func(t *testing.T) {
		for _, script := range movingScripts() {
			w.same(t, script)
			left := "SELECT (SELECT string_agg(u::text, '') FROM users u WHERE id = $1) || (SELECT count(*) FROM notes WHERE user_id = $1 AND body = 'stale')"
			if got := pgtest.One[string](t, hidden, left, key); got != fmt.Sprintf("(%d,stale,2)7", key) {
				t.Fatalf("%s\nhas changed hidden rows: %s", script, got)
			}
		}
	}
	await(topology.MovePreparing, topology.MoveCopying)
	t.Run("copying", check)
	saga := w.connect()
	run(t, saga, "SET pgring.cross_shard = saga")
	for _, undo := range []string{"compensate: UPDATE users SET age = age - 1 WHERE id > 0", "retriable"} {
		tx, err := saga.Begin(background)
		must(t, err)
		if _, err = tx.Exec(background, "/* "+undo+" */ UPDATE users SET age = age + 1 WHERE id > 0"); err == nil || !strings.Contains(err.Error(), "while slots move") {
			t.Errorf("%s: %v", undo, err)
		}
		must(t, tx.Rollback(background))
	}
	await(topology.MoveCatchingUp, topology.MoveVerifying, topology.MoveFreezing, topology.MoveSwitched, topology.MoveReversible)
	hidden = w.servers[from]
	w.behind = func() { // there are rows of two keys now where those of one were before
		hidden.Exec(t, fmt.Sprintf("TRUNCATE users, notes; "+stale, key))
		w.servers[to].Exec(t, "TRUNCATE users, notes"+w.rows(slices.Index(w.keys3, key))+w.rows(slices.Index(w.keys3, other)))
	}
	t.Run("reversible", check)
}

// movingScripts read and write the rows of all shards in every way.
func movingScripts() []string {
	const copied = "Q COPY users FROM STDIN | d {a}	x	1 | d 101	x	1 | d 102	y	2 | d 103	z	3 | c | Q SELECT count(*), sum(age) FROM users"
	return []string{
		"Q SELECT count(*), sum(age), min(name) FROM users | Q SELECT body FROM notes ORDER BY n DESC, user_id LIMIT 4",
		"Q DELETE FROM users WHERE id = {a} | " + copied,
		"Q " + "BEGIN | Q DELETE FROM users WHERE id = {a} | Q COMMIT | Q COPY users (age, id, name) FROM STDIN CSV | d 9,{a},again | d 9,104,more | c | Q COPY users FROM STDIN | d 105	x	wrong | c | Q SELECT sum(age) FROM users",
		copied, // a key that is there
		"Q UPDATE users SET age = age + 10 | Q UPDATE users u SET name = name || 'x' WHERE age > 11 OR name = 'stale' | Q SELECT sum(age) FROM users",
		"P . UPDATE users SET age = age + $1 WHERE age >= $2 | B . . 5,2 | DP . | E . | S | Q SELECT sum(age) FROM users",
		"Q UPDATE users SET age = 1 / (age - 2) | Q SELECT sum(age) FROM users",
		"Q UPDATE users SET age = n FROM notes WHERE user_id = id AND n >= 5 | Q SELECT sum(age) FROM users",
		"Q DELETE FROM notes WHERE n > 3 | Q SELECT count(*), sum(n) FROM notes | Q DELETE FROM notes USING users WHERE id = user_id AND age = 2 | Q DELETE FROM users",
		"Q BEGIN | Q SET LOCAL pgring.cross_shard = '2pc' | Q UPDATE users SET age = 7 | Q DELETE FROM notes WHERE n = 3 | Q SELECT sum(age) FROM users | Q COMMIT",
		"Q BEGIN | Q SET LOCAL pgring.cross_shard = 'saga' | Q SET LOCAL pgring.compensation = 'auto' | Q UPDATE users SET age = 7 | Q DELETE FROM notes WHERE n >= 3 | Q COMMIT | Q SELECT sum(age) FROM users",
		"Q MERGE INTO users u USING notes x ON u.id = x.user_id AND x.n = 4 WHEN MATCHED THEN UPDATE SET age = age + x.n | Q SELECT sum(age) FROM users",
		"Q INSERT INTO notes SELECT id, 50 + age, name FROM users WHERE age > 0 | Q SELECT sum(n) FROM notes | Q INSERT INTO notes SELECT user_id, n, 'again' FROM notes ON CONFLICT DO NOTHING",
		"Q UPDATE users SET age = (SELECT max(n) FROM notes) | Q INSERT INTO things SELECT 10 + count(*), min(name) FROM users | Q SELECT sum(age) FROM users",
		"Q SELECT avg(age), count(DISTINCT name) FROM users | Q SELECT n, count(*), avg(user_id) FROM notes GROUP BY n ORDER BY n | Q SELECT DISTINCT n FROM notes ORDER BY n",
		"Q SELECT u.name, o.name FROM users u FULL JOIN users o ON o.age = u.age + 1 ORDER BY 1, 2 | Q SELECT y, name FROM things LEFT JOIN users ON age = x ORDER BY x",
		"Q SELECT name FROM users u WHERE age >= (SELECT avg(age) FROM users) ORDER BY 1 | Q SELECT name FROM users UNION SELECT body FROM notes ORDER BY 1",
		"Q SELECT * FROM (users u JOIN notes x ON id = user_id) AS j ORDER BY id, n | Q SELECT sum(c) FROM users AS u (a, b, c)",
		"P q SELECT name, sum(age) OVER (ORDER BY age) FROM users WHERE age > $1 ORDER BY age | DS q | B . q 0 | DP . | E . | S | B . q 1 | E . 1 | E . 1 | S",
		"Q BEGIN READ ONLY | Q SELECT avg(age), count(DISTINCT name) FROM users | Q COMMIT | Q BEGIN | Q DECLARE c CURSOR FOR SELECT lower(name) FROM users ORDER BY age | Q FETCH 2 FROM c | Q FETCH 2 FROM c | Q COMMIT",
		"Q COPY (SELECT name, age FROM users ORDER BY age) TO STDOUT | Q COPY (SELECT n, count(*) FROM notes GROUP BY n ORDER BY n) TO STDOUT CSV HEADER | Q COPY (SELECT 1 FROM users) TO STDOUT CSV HEADER",
		"Q COPY (SELECT 'x' FROM notes WHERE n >= 3) TO STDOUT | Q CREATE TABLE made AS SELECT name, age FROM users | Q SELECT * FROM made ORDER BY age | Q DROP TABLE made",
		"Q DELETE FROM users WHERE id <> {a} | Q COPY users TO STDOUT (FORMAT binary) | Q COPY users (name) TO STDOUT CSV HEADER | Q COPY notes (n) TO STDOUT (FORCE_QUOTE (n), FORMAT csv)",
	}
}
