package proxy_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
)

// Clusters that a test leaves as it found them, but for rows of the test tables, are lent to the next test that wants the same:
// to start four servers and a proxy takes longer than what most tests do with them.
var parked struct {
	sync.Mutex
	twins map[string][]*twin // by options.key
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, twins := range parked.twins {
		for _, w := range twins {
			w.owner.end()
		}
	}
	os.Exit(code)
}

// key names what a cluster is like; own is true when the test wants one that nobody has another of.
func (o options) key(withPlain bool) (key string, own bool) {
	own = o.own || o.noTable || len(o.async) > 0 || o.setup != "" || len(o.tables) > 0 || len(o.server) > 0 ||
		!reflect.ValueOf(o.policy).IsZero() || !reflect.DeepEqual(o.pool, backend.Config{Size: o.pool.Size})
	return fmt.Sprint(withPlain, o.shards, o.pool.Size, o.bank, o.locale), own
}

// owner stands in for the test that a cluster's parts belong to: the one that has it now, and it ends when the last one is over.
type owner struct {
	testing.TB

	mu   sync.Mutex
	ends []func()
	log  io.Writer
}

func (o *owner) Cleanup(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ends = append(o.ends, f)
}

func (o *owner) Output() io.Writer { return o }

func (o *owner) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(b)
}

func (o *owner) lend(t testing.TB) {
	o.TB = t
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = t.Output()
}

// silence is for what the parts say when no test runs that it could be shown with.
func (o *owner) silence() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = io.Discard
}

func (o *owner) end() {
	o.mu.Lock()
	ends := o.ends
	o.mu.Unlock()
	for _, end := range slices.Backward(ends) {
		end()
	}
}

// lend returns a cluster that the test may write to until its end.
func lend(t testing.TB, o options, withPlain bool) *twin {
	t.Helper()
	key, own := o.key(withPlain)
	if own {
		return build(t, o, withPlain)
	}
	w := unpark(key)
	if w == nil {
		at := &owner{}
		at.lend(t)
		t.Cleanup(func() { // also if a part does not start
			if w == nil {
				at.end()
			}
		})
		w = build(at, o, withPlain)
		w.owner = at
		w.found = w.left(t)
	}
	w.owner.lend(t)
	w.t, w.spoiled = t, false
	t.Cleanup(func() { w.giveBack(t, key) })
	return w
}

func unpark(key string) *twin {
	parked.Lock()
	defer parked.Unlock()
	twins := parked.twins[key]
	if len(twins) == 0 {
		return nil
	}
	w := twins[len(twins)-1]
	parked.twins[key] = twins[:len(twins)-1]
	return w
}

// giveBack parks the cluster, or ends it if it is not as it was.
func (w *twin) giveBack(t testing.TB, key string) {
	if t.Failed() || w.spoiled || w.found == "" || !w.idle() || w.left(t) != w.found {
		w.owner.end()
		return
	}
	w.direct, w.behind = nil, nil
	w.owner.silence()
	parked.Lock()
	defer parked.Unlock()
	if parked.twins == nil {
		parked.twins = map[string][]*twin{}
	}
	parked.twins[key] = append(parked.twins[key], w)
}

// idle waits until no session is left.
func (w *twin) idle() bool {
	deadline := time.Now().Add(5 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for w.server.Stats().Sessions > 0 {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}

// left empties the test tables, and tells everything else that a test can have left on the servers.
func (w *twin) left(t testing.TB) string {
	servers := w.servers
	if w.plain != nil {
		servers = append(slices.Clone(servers), w.plain)
	}
	var all string
	for _, s := range servers {
		one, err := leftOn(s)
		if err != nil {
			t.Logf("not lent again: %v", err)
			return ""
		}
		all += one + "\n"
	}
	return all
}

const leftSQL = `SET lock_timeout = '2s'; SET jit = off; DELETE FROM users; DELETE FROM notes; DELETE FROM countries;
DO $$ BEGIN IF to_regclass('public.things') IS NOT NULL THEN DELETE FROM things; END IF; END $$;
WITH ours AS (SELECT oid, nspname, nspacl FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$|^pgring$') -- pgring makes its own tables when it needs them
SELECT concat_ws(' | ', pg_postmaster_start_time(),
	(SELECT string_agg(concat(nspname, nspacl), ',' ORDER BY nspname) FROM ours),
	(SELECT md5(string_agg(concat(c.oid, relname, relkind, relacl, reloptions, relrowsecurity, relhastriggers, relowner), ',' ORDER BY c.oid)) FROM pg_class c JOIN ours ON ours.oid = relnamespace),
	(SELECT md5(string_agg(concat(attrelid, attname, atttypid, attnotnull, atthasdef, attisdropped, attacl), ',' ORDER BY attrelid, attnum)) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN ours ON ours.oid = relnamespace),
	(SELECT md5(string_agg(concat(p.oid, p.xmin), ',' ORDER BY p.oid)) FROM pg_proc p JOIN ours ON ours.oid = pronamespace),
	(SELECT md5(string_agg(concat(y.oid, y.xmin), ',' ORDER BY y.oid)) FROM pg_type y JOIN ours ON ours.oid = typnamespace),
	(SELECT md5(string_agg(concat(k.oid, k.xmin), ',' ORDER BY k.oid)) FROM pg_constraint k JOIN ours ON ours.oid = connamespace),
	(SELECT md5(string_agg(concat(g.oid, g.xmin), ',' ORDER BY g.oid)) FROM pg_trigger g JOIN pg_class c ON c.oid = tgrelid JOIN ours ON ours.oid = relnamespace),
	(SELECT md5(string_agg(concat(r.rolname, r.xmin), ',' ORDER BY r.rolname)) FROM pg_authid r),
	(SELECT md5(string_agg(concat(d.oid, d.datname, d.xmin), ',' ORDER BY d.oid)) FROM pg_database d),
	(SELECT count(*) FROM pg_auth_members), (SELECT string_agg(setconfig::text, ',') FROM pg_db_role_setting), (SELECT count(*) FROM pg_policy),
	(SELECT count(*) FROM pg_prepared_xacts), (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_largeobject_metadata),
	(SELECT count(*) FROM pg_extension), (SELECT count(*) FROM pg_publication), (SELECT md5(string_agg(concat(name, setting), ',' ORDER BY name)) FROM pg_file_settings),
	CASE WHEN to_regclass('pgring.cluster') IS NOT NULL THEN query_to_xml('SELECT epoch, (SELECT count(*) FROM pgring.moves) FROM pgring.cluster', true, true, '')::text END,
	CASE WHEN to_regclass('pgring.saga') IS NULL THEN '' ELSE query_to_xml('SELECT id FROM pgring.saga WHERE state IN (''COMPENSATING'', ''FORWARDING'', ''STUCK'')', false, true, '')::text END)`

func leftOn(s *pgtest.Server) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN(pgtest.Superuser, "postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, leftSQL).ReadAll()
	if err != nil {
		return "", err
	}
	return string(results[len(results)-1].Rows[0][0]), nil
}
