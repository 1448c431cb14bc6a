package router

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// param is one parameter as a driver binds it.
type param struct{ v Value }

func (p *param) Value(i int) (Value, bool) { return p.v, i == 0 }

const pointSelect = "SELECT abalance FROM customers WHERE id = 12345;"

func TestHitWithLiteralDoesNotAllocate(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	var scratch Scratch
	text := []byte(pointSelect)
	run := func() {
		bounds, err := r.Query(snap, env, text, &scratch)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := bounds[0].Plan(snap, bounds[0].Values); err != nil || p.Kind != One {
			t.Fatal(p, err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPlanWithParameterDoesNotAllocate(t *testing.T) {
	r, snap := New(Config{}), newShop().snapshot(1)
	for _, v := range []Value{{Data: []byte("12345")}, {Data: binary.BigEndian.AppendUint64(nil, 12345), Binary: true, OID: oidInt8}} {
		st, err := r.Parse(snap, testEnv(), []byte("UPDATE customers SET name = 'x' WHERE id = $1"))
		if err != nil {
			t.Fatal(err)
		}
		values := &param{v}
		run := func() {
			if p, err := st.Plan(snap, values); err != nil || p.Kind != One {
				t.Fatal(p, err)
			}
		}
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func TestOtherHitsDoNotAllocate(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	for _, text := range []string{
		"BEGIN", "COMMIT;", "SELECT 1", "SELECT * FROM settings WHERE id = 5", "SELECT * FROM countries WHERE code = 'de'",
		"INSERT INTO orders (user_id, id, status) VALUES (42, 7, 'new')", "SELECT * FROM docs WHERE id = '00000000-0000-0000-0000-000000000001'",
		"BEGIN; UPDATE customers SET name = 'x' WHERE id = 42; COMMIT",
	} {
		var scratch Scratch
		message := []byte(text)
		run := func() {
			bounds, err := r.Query(snap, env, message, &scratch)
			if err != nil {
				t.Fatal(text, err)
			}
			for i := range bounds {
				if _, err := bounds[i].Plan(snap, bounds[i].Values); err != nil {
					t.Fatal(text, err)
				}
			}
		}
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func TestRowsGoWhereTheRingSays(t *testing.T) {
	shop := newShop()
	r, snap, env := New(Config{}), shop.snapshot(1), testEnv()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Int64().Draw(t, "id")
		key, err := ring.ParseKey(ring.KeyInt, strconv.AppendInt(nil, id, 10))
		if err != nil {
			t.Fatal(err)
		}
		want := shop.users.Placement.Locate(key).Shard
		var scratch Scratch
		for _, text := range []string{
			"SELECT * FROM customers WHERE id = %d", "SELECT * FROM customers WHERE '%d' = id", "DELETE FROM orders WHERE user_id IN (%d)",
			"INSERT INTO orders (id, user_id) VALUES (1, %d)", "SELECT * FROM orders o JOIN customers c ON c.id = o.user_id WHERE c.id = %d",
			"SELECT * FROM customers WHERE id = ANY ('{%d}')", "SELECT * FROM customers WHERE id = '%d'::bigint",
		} {
			bounds, err := r.Query(snap, env, fmt.Appendf(nil, text, id), &scratch)
			if err != nil {
				t.Fatal(err)
			}
			p, err := bounds[0].Plan(snap, bounds[0].Values)
			if err != nil || p.Kind != One || p.Shard != want || p.At.Slot != key.Slot() || p.At.Group != "users" {
				t.Fatalf("%s with %d: %+v, %v; the ring says %s", text, id, p, err, want)
			}
		}
		st, err := r.Parse(snap, env, []byte("UPDATE orders SET status = $2 WHERE user_id = $1"))
		if err != nil {
			t.Fatal(err)
		}
		values := []Value{{Data: strconv.AppendInt(nil, id, 10)}, {Data: binary.BigEndian.AppendUint64(nil, uint64(id)), Binary: true}}
		if int64(int32(id)) == id {
			values = append(values, Value{Data: binary.BigEndian.AppendUint32(nil, uint32(id)), Binary: true, OID: oidInt4})
		}
		for _, v := range values {
			if p, err := st.Plan(snap, &param{v}); err != nil || p.Kind != One || p.Shard != want {
				t.Fatalf("parameter %v: %+v, %v; the ring says %s", v, p, err, want)
			}
		}
	})
}

func TestBinaryArraysAreRead(t *testing.T) {
	r, snap := New(Config{}), newShop().snapshot(1)
	st, err := r.Parse(snap, testEnv(), []byte("SELECT name FROM customers WHERE id = ANY ($1)"))
	if err != nil {
		t.Fatal(err)
	}
	array := func(element uint32, ids ...int64) []byte {
		b := binary.BigEndian.AppendUint32(nil, 1)
		b = binary.BigEndian.AppendUint32(b, 0)
		b = binary.BigEndian.AppendUint32(b, element)
		b = binary.BigEndian.AppendUint32(b, uint32(len(ids)))
		b = binary.BigEndian.AppendUint32(b, 1)
		for _, id := range ids {
			b = binary.BigEndian.AppendUint32(b, 8)
			b = binary.BigEndian.AppendUint64(b, uint64(id))
		}
		return b
	}
	p, err := st.Plan(snap, &param{Value{Data: array(oidInt8, 42), Binary: true, OID: oidArrayI8}})
	if err != nil || p.Kind != One || p.Shard != "s3" {
		t.Errorf("one element: %+v, %v", p, err)
	}
	p, err = st.Plan(snap, &param{Value{Data: array(oidInt8, 1, 42), Binary: true}})
	if err != nil || p.Kind != Gather || !reflect.DeepEqual(p.Shards, []ring.ShardID{"s3", "s4"}) {
		t.Errorf("two elements: %+v, %v", p, err)
	}
	empty := make([]byte, 12)
	binary.BigEndian.PutUint32(empty[8:], oidInt8)
	if p, err = st.Plan(snap, &param{Value{Data: empty, Binary: true}}); err != nil || p.Kind != One {
		t.Errorf("no element: %+v, %v", p, err)
	}
	for _, bad := range [][]byte{array(oidFloat8, 42), array(oidInt8, 42)[:20], {1, 2, 3}} {
		if p, err := st.Plan(snap, &param{Value{Data: bad, Binary: true}}); err == nil && p.Kind != Gather {
			t.Errorf("array %x: %+v", bad, p)
		}
	}
}

func TestCachedPlansFollowTheSnapshot(t *testing.T) {
	shop := newShop()
	r, env := New(Config{}), testEnv()
	before := shop.snapshot(1)
	_, p, err := plan(t, r, before, env, "SELECT * FROM customers WHERE id = 42")
	if err != nil || p.Shard != "s3" {
		t.Fatal(p, err)
	}
	moved := newShop()
	moved.users.Placement = ring.Modulo([]ring.ShardID{"s2"})
	_, p, err = plan(t, r, moved.snapshot(1), env, "SELECT * FROM customers WHERE id = 43")
	if err != nil || p.Shard != "s2" || r.Stats().Misses != 1 {
		t.Errorf("after a move: %+v, %v, %+v", p, err, r.Stats())
	}
	// Another schema version: the table is a home table now.
	home := topology.NewSnapshot(topology.Contents{Schema: 2, Home: "s1", Shards: before.Shards,
		Tables: []topology.Table{other("customers", topology.KindUnset, columns("id", oidInt8))}})
	_, p, err = plan(t, r, home, env, "SELECT * FROM customers WHERE id = 42")
	if err != nil || p.Kind != Home || p.Shard != "s1" {
		t.Errorf("after a change of the schema: %+v, %v", p, err)
	}
}

func TestSearchPathChangesTheMeaning(t *testing.T) {
	r, snap := New(Config{}), newShop().snapshot(1)
	text := "SELECT total FROM orders WHERE user_id = 42"
	if st, _, err := plan(t, r, snap, testEnv(), text); err != nil || st.Tables[0].Schema != "public" {
		t.Error(st, err)
	}
	if st, _, err := plan(t, r, snap, NewEnv([]string{"other", "public"}), text); err != nil || st.Tables[0].Schema != "other" {
		t.Error(st, err)
	}
	if _, p, err := plan(t, r, snap, testEnv().WithTempTables([]string{"orders"}), text); err != nil || p.Kind != Home {
		t.Error(p, err)
	}
	if _, p, err := plan(t, r, snap, NewEnv([]string{"elsewhere"}), text); err != nil || p.Kind != Home {
		t.Error(p, err)
	}
}

func TestForeignEncodingLeavesKeysUnread(t *testing.T) {
	r, snap := New(Config{}), newShop().snapshot(1)
	foreign := testEnv().WithForeignEncoding(true)
	if _, p, err := plan(t, r, snap, testEnv(), "UPDATE accounts SET balance = 1 WHERE name = 'grün'"); err != nil || p.Kind != One {
		t.Error(p, err)
	}
	if _, p, err := plan(t, r, snap, foreign, "UPDATE accounts SET balance = 1 WHERE name = 'grün'"); err != nil || len(p.Shards) != 4 {
		t.Error(p, err) // any shard may have the row
	}
	if _, p, err := plan(t, r, snap, foreign, "INSERT INTO accounts VALUES ('grün', 1), ('gruen', 2)"); err == nil {
		t.Error(p)
	}
	if _, p, err := plan(t, r, snap, foreign, "UPDATE accounts SET balance = 1 WHERE name = 'gruen'"); err != nil || p.Kind != One {
		t.Error(p, err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	r, snap, env := New(Config{CacheSize: 128}), newShop().snapshot(1), testEnv()
	for i := range 1000 {
		if _, _, err := plan(t, r, snap, env, "SELECT a"+strconv.Itoa(i)+" FROM customers WHERE id = 42"); err != nil {
			t.Fatal(err)
		}
	}
	stats := r.Stats()
	if stats.Entries > 128 || stats.Capacity != 128 || stats.Evicted < 800 || stats.Misses != 1000 {
		t.Errorf("%+v", stats)
	}
	long := "SELECT " + strings.Repeat("name, ", 4000) + "id FROM customers WHERE id = 42"
	for range 2 {
		if _, _, err := plan(t, r, snap, env, long); err != nil {
			t.Fatal(err)
		}
	}
	if again := r.Stats(); again.Misses != 1002 || again.Entries > stats.Capacity {
		t.Errorf("a huge text was cached: %+v", again)
	}
}

func TestSessionsShareTheCache(t *testing.T) {
	r, snap := New(Config{CacheSize: 256}), newShop().snapshot(1)
	var wg sync.WaitGroup
	for session := range 8 {
		wg.Add(1)
		go func() { // owner: this test; ends after its statements
			defer wg.Done()
			var scratch Scratch
			env := testEnv()
			for i := range 300 {
				text := fmt.Appendf(nil, "SELECT c%d FROM customers WHERE id = %d AND name = 'x''%d'", i%40, i, session)
				bounds, err := r.Query(snap, env, text, &scratch)
				if err != nil {
					t.Error(err)
					return
				}
				if p, err := bounds[0].Plan(snap, bounds[0].Values); err != nil || p.Kind != One {
					t.Error(p, err)
				}
				if s := r.Stats(); s.Capacity != 256 { // as /metrics asks, at any time
					t.Errorf("%+v", s)
				}
			}
		}()
	}
	wg.Wait()
	if s := r.Stats(); s.NormalHits < 1500 {
		t.Errorf("%+v", s)
	}
}

func TestOneMessageManyStatements(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	var scratch Scratch
	text := "BEGIN; INSERT INTO orders (user_id, id) VALUES (42, 1) /* x */; UPDATE customers SET name = 'ü' WHERE id = 7;SELECT id FROM orders LIMIT 1 FOR UPDATE; COMMIT"
	bounds, err := r.Query(snap, env, []byte(text), &scratch)
	if err != nil || len(bounds) != 5 {
		t.Fatal(len(bounds), err)
	}
	for i, want := range []string{"BEGIN", "INSERT INTO orders (user_id, id) VALUES (42, 1) /* x */", "UPDATE customers SET name = 'ü' WHERE id = 7",
		"SELECT id FROM orders LIMIT 1 FOR UPDATE", "COMMIT"} {
		b := &bounds[i]
		if string(b.Text) != want || !strings.HasPrefix(text[b.Offset:], want) {
			t.Errorf("statement %d is %q at %d", i, b.Text, b.Offset)
		}
		_, err := b.Plan(snap, b.Values)
		if (err != nil) != (i == 3) {
			t.Errorf("statement %d: %v", i, err)
		}
	}
	_, err = r.Query(snap, env, []byte("SELECT 'ü'; SELEC"), &scratch)
	if refusal, ok := err.(*Refusal); !ok || refusal.Reason != SyntaxError || refusal.Position != 13 {
		t.Errorf("%+v", err)
	}
	if _, err = r.Parse(snap, env, []byte("SELECT 1; SELECT 2")); err == nil || err.(*Refusal).Reason != MultipleStatements {
		t.Error(err)
	}
	if st, err := r.Parse(snap, env, []byte("")); err != nil || st.Verb != Empty {
		t.Error(st, err)
	}
	if _, err = r.Query(snap, env, []byte("SELECT '\x00'"), &scratch); err == nil {
		t.Error("a zero byte was accepted")
	}
}

func TestParsedTextKeepsItsLiterals(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	for id, shard := range map[string]ring.ShardID{"42": "s3", "1": "s4", "5": "s4", "'42'": "s3"} {
		st, err := r.Parse(snap, env, []byte("SELECT * FROM customers WHERE name = $1 AND id = "+id))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := st.Plan(snap, &param{Value{Data: []byte("x")}}); err != nil || p.Shard != shard {
			t.Errorf("id %s: %+v, %v", id, p, err)
		}
	}
}

func TestReadOnlyShardTakesNoWrites(t *testing.T) {
	shop := newShop()
	snap := shop.snapshot(1)
	shards := append([]topology.Shard{}, snap.Shards...)
	shards[2].State = topology.ReadOnly
	snap = topology.NewSnapshot(topology.Contents{Schema: 1, Shards: shards, Home: "s1", Tables: shop.tables(),
		Groups: []*topology.Group{shop.users, shop.docs, shop.names, shop.amounts, shop.stamps, shop.zoned, shop.solo}})
	r := New(Config{})
	if _, _, err := plan(t, r, snap, testEnv(), "SELECT * FROM customers WHERE id = 42"); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"DELETE FROM customers WHERE id = 42", "TRUNCATE customers", "INSERT INTO countries VALUES ('a', 'b')"} {
		if _, _, err := plan(t, r, snap, testEnv(), text); err == nil || err.(*Refusal).Reason != ReadOnlyShard {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// On one shard every statement is answered: there is nothing to be wrong about.
func TestOneShardAnswersEverything(t *testing.T) {
	snap, r := oneShard(), New(Config{})
	own := map[Reason]bool{SyntaxError: true, NullKey: true, InvalidKey: true, KeyOutOfRange: true, UndefinedParameter: true}
	for _, file := range []string{"select_key", "select_join", "select_adversarial", "gather", "write", "home"} {
		text, err := os.ReadFile(filepath.Join(goldenDir, file+".sql"))
		if err != nil {
			t.Fatal(err)
		}
		cases, _ := readGolden(t, string(text))
		for _, c := range cases {
			st, values, err := goldenStatement(r, snap, testEnv(), c)
			if err == nil {
				_, err = st.Plan(snap, values)
			}
			if refusal, ok := err.(*Refusal); ok && !own[refusal.Reason] && refusal.Reason != InvalidDefinition {
				t.Errorf("%s:%d: %s: %s (%s)", file, c.line, c.text, refusal.Message, refusal.Detail)
			}
		}
	}
}

func TestExplainSaysWhy(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	var scratch Scratch
	for text, want := range map[string]string{
		"EXPLAIN ROUTE SELECT * FROM orders WHERE user_id = 42":                     "1 one orders 42 s3 | orders.user_id = 42 → slot 7114 → s3 | SELECT * FROM orders WHERE user_id = 42",
		"EXPLAIN ROUTE SELECT * FROM settings":                                      "1 home settings  s1 | home tables are on s1 | SELECT * FROM settings",
		"EXPLAIN ROUTE SELECT 1":                                                    "1 home   s1 | needs no table: any shard answers | SELECT 1",
		"EXPLAIN ROUTE SELECT * FROM countries":                                     "1 reference countries  s1 | reference tables are on every shard | SELECT * FROM countries",
		"EXPLAIN ROUTE SELECT name FROM customers LIMIT 1 FOR UPDATE":               "1 refused customers   | statement cannot be answered from several shards: Row locks over several shards are not supported. | ",
		"EXPLAIN ROUTE SELECT count(DISTINCT name) FROM customers":                  "1 pull customers  s1 | customers has no key condition: all 4 owners; rows are copied to s3, which answers: Aggregate count with these arguments cannot be combined from the shards' parts. | SELECT 0::pg_catalog.int2, \"name\" FROM \"public\".\"customers\"",
		"EXPLAIN ROUTE SELECT id FROM customers WHERE id IN (1, 42) ORDER BY score": "1 gather customers 1, 42 s3 | customers.id = 1 → slot 13123 → s4; customers.id = 42 → slot 7114 → s3; rows are merged from 2 shards | SELECT id, score AS pgring_sort_1 FROM customers WHERE id IN (1, 42) ORDER BY score",
		"EXPLAIN ROUTE DELETE FROM solo_events":                                     "1 one solo_events  s2 | all rows of solo_events are on s2 | DELETE FROM solo_events",
		"EXPLAIN ROUTE TRUNCATE customers, settings":                                "1 broadcast customers, settings  s1 | runs on every shard that has the tables | TRUNCATE customers, settings",
	} {
		bounds, err := r.Query(snap, env, []byte(text), &scratch)
		if err != nil || bounds[0].Verb != ExplainRoute {
			t.Fatal(text, err)
		}
		steps, err := bounds[0].Inner.Explain(snap, bounds[0].Values)
		if err != nil {
			t.Fatal(text, err)
		}
		s := steps[0]
		got := fmt.Sprintf("%d %s %s %s %s | %s | %s", s.Step, s.Kind, s.Table, s.Key, s.Shard, s.Reason, s.SQLSent)
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	for _, text := range []string{
		"SELECT " + strings.Repeat("(", 20000) + "1" + strings.Repeat(")", 20000),
		"SELECT " + strings.Repeat("- ", 20000) + "1",
		"SELECT * FROM customers WHERE id = 1" + strings.Repeat(" OR id = 1", 20000),
		"SELECT " + strings.Repeat("(SELECT ", 3000) + "1" + strings.Repeat(")", 3000),
	} {
		_, _, err := plan(t, r, snap, env, text)
		if refusal, ok := err.(*Refusal); err != nil && !ok {
			t.Errorf("%T", err)
		} else if ok && refusal.Reason != TooComplex && refusal.Reason != SyntaxError {
			t.Errorf("%.40s: %+v", text, refusal)
		}
	}
}

func FuzzQueryNeverPanics(f *testing.F) {
	for _, text := range goldenTexts(f) {
		f.Add(text)
	}
	snap, env := newShop().snapshot(1), testEnv()
	r := New(Config{CacheSize: 64})
	f.Fuzz(func(t *testing.T, text string) {
		var scratch Scratch
		bounds, err := r.Query(snap, env, []byte(text), &scratch)
		if _, ok := err.(*Refusal); err != nil && !ok {
			t.Fatalf("%T: %v", err, err)
		}
		for i := range bounds {
			_, err := bounds[i].Plan(snap, bounds[i].Values)
			if _, ok := err.(*Refusal); err != nil && !ok {
				t.Fatalf("%T: %v", err, err)
			}
			if _, err := bounds[i].Explain(snap, bounds[i].Values); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What the cache gives for a statement must be what analysing it alone gives,
// though the cache met the same statement with other literals before.
func FuzzCachedPlanIsTheStatementsOwn(f *testing.F) {
	for i, text := range goldenTexts(f) {
		f.Add(text, int64(i*7+1), "x"+strconv.Itoa(i))
	}
	snap, env := newShop().snapshot(1), testEnv()
	f.Fuzz(func(t *testing.T, text string, n int64, s string) {
		other := withLiterals(text, n, s)
		warm := New(Config{CacheSize: 64})
		outcome(warm, snap, env, text)
		cached, fresh := outcome(warm, snap, env, other), outcome(New(Config{CacheSize: 64}), snap, env, other)
		if cached != fresh {
			t.Fatalf("after %q the plan of %q is\n%s\nalone it is\n%s", text, other, cached, fresh)
		}
	})
}

func goldenTexts(t testing.TB) []string {
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	var texts []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(data), "\n") {
			if line != "" && !strings.HasPrefix(line, "--") {
				texts = append(texts, line)
			}
		}
	}
	return texts
}

// withLiterals writes other literals into a text.
func withLiterals(text string, n int64, s string) string {
	var splitter sql.Splitter
	var st sql.Statement
	var out strings.Builder
	from := 0
	splitter.Reset([]byte(text))
	for splitter.Next(&st) {
		for i, lit := range st.Literals {
			out.WriteString(text[from:lit.Start])
			switch lit.Kind {
			case sql.Integer:
				out.WriteString(strconv.FormatUint(uint64(n)>>(i%60), 10))
			case sql.Float:
				out.WriteString("1." + strconv.FormatUint(uint64(n)%10, 10))
			default:
				out.WriteString("'" + strings.ReplaceAll(s, "'", "''") + "'")
			}
			from = lit.End
		}
	}
	return out.String() + text[from:]
}

// outcome writes all that a session sees of a text's plans which sends nothing else.
func outcome(r *Router, snap *topology.Snapshot, env *Env, text string) string {
	return outcomeIn(new(Scratch), r, snap, env, text)
}

func outcomeIn(scratch *Scratch, r *Router, snap *topology.Snapshot, env *Env, text string) string {
	bounds, err := r.Query(snap, env, []byte(text), scratch)
	if err != nil {
		return strings.Join(describeError(err), "\n")
	}
	var b bytes.Buffer
	for i := range bounds {
		p, err := bounds[i].Plan(snap, bounds[i].Values)
		fmt.Fprintln(&b, describeStatement(bounds[i].Statement), bounds[i].Tables, bounds[i].Params)
		if err != nil {
			fmt.Fprintln(&b, describeError(err))
			continue
		}
		fmt.Fprintln(&b, describePlan(p), p.SQL, describeMerge(p.Merge), p.At, p.Also, p.AllSlots)
		for _, part := range p.Parts {
			fmt.Fprintln(&b, part.Shard, part.SQL, part.Rows())
		}
	}
	return b.String()
}

// BenchmarkHitLiteral is a statement that the session sends again and again with other literals.
func BenchmarkHitLiteral(b *testing.B) { benchmarkLiteral(b, func(*Scratch) {}) }

// BenchmarkHitCache is the same statement, of which the session remembers nothing.
func BenchmarkHitCache(b *testing.B) {
	benchmarkLiteral(b, func(s *Scratch) { s.memo = memo{literals: s.memo.literals} })
}

func benchmarkLiteral(b *testing.B, prepare func(*Scratch)) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	var scratch Scratch
	text := []byte(pointSelect)
	digit := bytes.IndexByte(text, '5')
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		text[digit] = '0' + byte(i%10)
		prepare(&scratch)
		bounds, err := r.Query(snap, env, text, &scratch)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := bounds[0].Plan(snap, bounds[0].Values); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHitParse(b *testing.B) {
	r, snap, env := New(Config{}), newShop().snapshot(1), testEnv()
	text := []byte("SELECT abalance FROM customers WHERE id = $1")
	values := &param{Value{Data: []byte("12345")}}
	b.ReportAllocs()
	for b.Loop() {
		st, err := r.Parse(snap, env, text)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := st.Plan(snap, values); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPlanParameter(b *testing.B) {
	r, snap := New(Config{}), newShop().snapshot(1)
	st, err := r.Parse(snap, testEnv(), []byte("SELECT abalance FROM customers WHERE id = $1"))
	if err != nil {
		b.Fatal(err)
	}
	values := &param{Value{Data: []byte("12345")}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := st.Plan(snap, values); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMiss(b *testing.B) {
	snap, env := newShop().snapshot(1), testEnv()
	r := New(Config{CacheSize: 64})
	var scratch Scratch
	for i := 0; b.Loop(); i++ {
		text := fmt.Appendf(nil, "SELECT abalance AS a%d FROM customers WHERE id = 42", i)
		if _, err := r.Query(snap, env, text, &scratch); err != nil {
			b.Fatal(err)
		}
	}
}
