package router

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// The differential tests run statements on one database that holds all rows,
// and by their plans on four that hold the shards' rows. The answers must be
// equal; a refusal is allowed, a wrong answer is not.

const tablesSQL = `
CREATE TABLE customers (id bigint PRIMARY KEY, name text, email text, code text COLLATE "C", balance numeric, score double precision, country text, created timestamptz);
CREATE TABLE orders (id bigint, user_id bigint, total numeric, status text, created timestamptz, product_id int, PRIMARY KEY (user_id, id));
CREATE TABLE order_items (order_id bigint, user_id int, product_id int, qty int);
CREATE TABLE loose (user_id bigint, token text UNIQUE);
CREATE TABLE accounts (name text PRIMARY KEY, balance bigint);
CREATE TABLE handles (handle varchar(10), owner bigint);
CREATE TABLE docs (id uuid PRIMARY KEY, body jsonb, owner bigint);
CREATE TABLE amounts (n numeric, label text);
CREATE TABLE stamps (at timestamp, v int);
CREATE TABLE zoned (at timestamptz, v int);
CREATE TABLE solo_events (id bigint, kind text);
CREATE SCHEMA "Mixed"; CREATE TABLE "Mixed"."Case Table" ("Key" bigint, key bigint, value text);
CREATE SCHEMA other; CREATE TABLE other.orders (id bigint, user_id bigint);
CREATE TABLE products (id int, name text, price numeric, added timestamptz DEFAULT now());
CREATE TABLE countries (code text, name text);
CREATE TABLE settings (id int, v text, user_id bigint);
CREATE TABLE logs (id bigint, message text);
CREATE TABLE faraway (id int, v text);
CREATE VIEW settings_view AS SELECT id FROM settings;
CREATE VIEW countries_view AS SELECT code FROM countries;
CREATE VIEW orders_view AS SELECT id, user_id FROM orders;
CREATE TABLE prices (n numeric(10,2), label text); CREATE TABLE rounded (n numeric(3,-2), label text);
CREATE TABLE seconds (at timestamp(3), v int);
CREATE TABLE defaults (id int UNIQUE, kind text DEFAULT 'k', at timestamptz DEFAULT now());
CREATE FUNCTION plain_fn() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION orders_left() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.orders';
CREATE FUNCTION orders_deep() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN orders_left() + CASE WHEN false THEN orders_deep() ELSE 0 END; END';
CREATE FUNCTION events_left() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM solo_events';
CREATE FUNCTION codes_left() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM countries, settings';
CREATE PROCEDURE archive() LANGUAGE sql AS 'DELETE FROM orders';
CREATE VIEW calling_view AS SELECT orders_deep() AS n FROM settings;
CREATE SEQUENCE seq; CREATE SEQUENCE s;`

// lab is a cluster of databases on one server.
type lab struct {
	t      testing.TB
	whole  *pgconn.PgConn
	shards map[ring.ShardID]*pgconn.PgConn
	snap   *topology.Snapshot
	router *Router

	answers map[string]int // statements by plan kind, and "error" for those with which PostgreSQL was not content
}

func newLab(t *testing.T) *lab {
	server := pgtest.Start(t, 1)[0]
	l := &lab{t: t, shards: map[ring.ShardID]*pgconn.PgConn{}, snap: newShop().snapshot(1), router: New(Config{}),
		answers: map[string]int{}}
	open := func(db string) *pgconn.PgConn {
		server.Exec(t, "CREATE DATABASE "+db)
		conn, err := pgconn.Connect(context.Background(), server.DSN("postgres", db))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		l.must(conn, tablesSQL)
		return conn
	}
	l.whole = open("everything")
	for _, id := range []ring.ShardID{"s1", "s2", "s3", "s4"} {
		l.shards[id] = open(string(id))
	}
	l.fill()
	return l
}

func (l *lab) must(conn *pgconn.PgConn, sql string) {
	l.t.Helper()
	if _, err := conn.Exec(context.Background(), sql).ReadAll(); err != nil {
		l.t.Fatalf("%s: %v", sql, err)
	}
}

// fill loads rows with duplicates, NULLs, and keys that are on one side only.
func (l *lab) fill() {
	random := rand.New(rand.NewPCG(1, 2))
	null := func(v string) string {
		if random.IntN(5) == 0 {
			return "NULL"
		}
		return v
	}
	number := func(n int) string { return strconv.Itoa(random.IntN(n)) }
	for id := 1; id <= 24; id++ {
		l.row("customers", "id", strconv.Itoa(id), fmt.Sprintf("%d, %s, NULL, %s, %s, %s, %s, '2024-01-01 00:00+00'", id, null("'n"+number(5)+"'"),
			null("'c"+number(4)+"'"), null(number(50)), null(number(6)), null("'"+[]string{"de", "fr", "it"}[random.IntN(3)]+"'")))
	}
	for id := range 60 {
		user := strconv.Itoa(random.IntN(30))
		l.row("orders", "user_id", user, fmt.Sprintf("%d, %s, %s, %s, '2024-01-0%d', %s", id, user, null(number(9)), null("'s"+number(3)+"'"),
			1+random.IntN(9), null(number(5))))
		user = strconv.Itoa(random.IntN(30))
		l.row("order_items", "user_id", user, fmt.Sprintf("%s, %s, %s, %s", null(number(60)), user, number(5), null(number(4))))
	}
	for i := range 8 {
		l.row("loose", "user_id", strconv.Itoa(i), fmt.Sprintf("%d, 't%d'", i, i))
		l.row("accounts", "name", "a"+strconv.Itoa(i), fmt.Sprintf("'a%d', %d", i, i))
		l.row("solo_events", "id", strconv.Itoa(i), fmt.Sprintf("%d, 'k'", i))
		l.row("products", "", "", fmt.Sprintf("%d, 'n%d', %d, NULL", i, i%5, i))
		l.row("settings", "home", "s1", fmt.Sprintf("%d, 'v', %d", i, i))
		l.row("faraway", "home", "s3", fmt.Sprintf("%d, 'v'", i))
	}
	for _, code := range []string{"de", "fr", "es"} {
		l.row("countries", "", "", "'"+code+"', 'the "+code+"'")
	}
}

// row writes a row everywhere it belongs.
func (l *lab) row(table, key, value, row string) {
	sql := "INSERT INTO " + table + " VALUES (" + row + ")"
	l.must(l.whole, sql)
	switch key {
	case "":
		for _, conn := range l.shards {
			l.must(conn, sql)
		}
		return
	case "home":
		l.must(l.shards[ring.ShardID(value)], sql)
		return
	}
	t := l.snap.Table("public", table)
	k, err := ring.ParseKey(t.KeyType, []byte(value))
	if err != nil {
		l.t.Fatal(err)
	}
	l.must(l.shards[t.Group.Placement.Locate(k).Shard], sql)
}

// answer is what a statement answers.
type answer struct {
	rows []string // as a sorted multiset
	tag  string
	code string // SQLSTATE of its error
}

func ask(conn *pgconn.PgConn, sql string) ([][][]byte, string, string) {
	results, err := conn.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		code := "?"
		if e, ok := err.(*pgconn.PgError); ok {
			code = e.Code
		}
		return nil, "", code
	}
	last := results[len(results)-1]
	return last.Rows, last.CommandTag.String(), ""
}

func flat(rows [][][]byte) []string {
	var out []string
	for _, row := range rows {
		var b strings.Builder
		for _, v := range row {
			if v == nil {
				b.WriteString("∅|")
			} else {
				b.WriteString(string(v) + "|")
			}
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out
}

// compare runs a statement both ways inside transactions that are rolled back.
// It returns false if the plan was refused.
func (l *lab) compare(text string) bool {
	l.t.Helper()
	_, p, err := plan(l.t, l.router, l.snap, testEnv(), text)
	if err != nil || p.Kind == Staged { // stages are held against PostgreSQL in e2e/difftest
		return false
	}
	l.everywhere("BEGIN")
	defer l.everywhere("ROLLBACK")
	rows, tag, code := ask(l.whole, text)
	want := answer{flat(rows), tag, code}
	got := l.run(p, text)
	if want.code != "" || got.code != "" {
		l.answers["error"]++
		if (want.code == "") != (got.code == "") {
			l.t.Errorf("%s\n%+v\none database: %v\nshards: %v", text, p, want, got)
		}
		return true
	}
	l.answers[p.Kind.String()]++
	if len(want.rows) > 0 {
		l.answers["with rows"]++
	}
	if !slices.Equal(want.rows, got.rows) || p.Kind != Gather && want.tag != got.tag {
		l.t.Errorf("%s\n%s sends %q\none database: %d %v\nshards:       %d %v", text, describePlan(p), p.SQL, len(want.rows), want.rows, len(got.rows), got.rows)
	}
	if !strings.HasPrefix(want.tag, "SELECT") {
		l.compareTables(text)
	}
	return true
}

func (l *lab) everywhere(sql string) {
	l.must(l.whole, sql)
	for _, conn := range l.shards {
		l.must(conn, sql)
	}
}

// compareTables compares what a write has left.
func (l *lab) compareTables(text string) {
	for _, table := range []string{"customers", "orders", "order_items", "loose", "accounts", "solo_events"} {
		want, _, _ := ask(l.whole, "SELECT * FROM "+table)
		var got [][][]byte
		for _, conn := range l.shards {
			rows, _, _ := ask(conn, "SELECT * FROM "+table)
			got = append(got, rows...)
		}
		if !slices.Equal(flat(want), flat(got)) {
			l.t.Errorf("%s: %s differs:\n%v\n%v", text, table, flat(want), flat(got))
		}
	}
}

// run executes a plan.
func (l *lab) run(p Plan, text string) answer {
	if p.SQL != "" {
		text = p.SQL
	}
	if p.Kind == Broadcast {
		var last answer
		for _, shard := range p.Shards {
			rows, tag, code := ask(l.shards[shard], text)
			last = answer{flat(rows), tag, code}
			if code != "" {
				return last
			}
		}
		return last
	}
	if p.Kind == Pull {
		return l.pull(p)
	}
	if p.Kind == Split {
		return l.split(p, text)
	}
	if p.Kind != Gather {
		rows, tag, code := ask(l.shards[p.Shard], text)
		return answer{flat(rows), tag, code}
	}
	var all [][][]byte
	for _, shard := range p.Shards {
		rows, _, code := ask(l.shards[shard], text)
		if code != "" {
			return answer{code: code}
		}
		if !sortedBy(rows, p.Merge.Order) {
			l.t.Errorf("%s: the rows of %s are not in the order of the merge", text, shard)
		}
		all = append(all, rows...)
	}
	return answer{rows: flat(merged(all, p.Merge))}
}

// pull copies the rows that the parts give and runs the statement over them.
func (l *lab) pull(p Plan) answer {
	ctx, final := context.Background(), l.shards[p.Shard]
	for _, part := range p.Parts {
		if part.Shard == p.Shard {
			l.t.Errorf("%s copies rows from itself", p.Shard)
		}
	}
	if _, _, code := ask(final, p.Copy.Create); code != "" {
		l.t.Errorf("%s: %s", p.Copy.Create, code)
		return answer{code: code}
	}
	for _, part := range p.Parts {
		var rows bytes.Buffer
		if _, err := l.shards[part.Shard].CopyTo(ctx, &rows, "COPY ("+part.SQL+") TO STDOUT (FORMAT binary)"); err != nil {
			l.t.Errorf("%s: %v", part.SQL, err)
			return answer{code: "?"}
		}
		if _, err := final.CopyFrom(ctx, &rows, p.Copy.Into); err != nil {
			l.t.Errorf("%s: %v", p.Copy.Into, err)
			return answer{code: "?"}
		}
	}
	rows, tag, code := ask(final, p.SQL)
	if code == "" {
		l.must(final, p.Copy.Drop)
	}
	return answer{flat(rows), tag, code}
}

// split runs a write on its shards and adds the answers up.
func (l *lab) split(p Plan, text string) answer {
	parts := p.Parts
	for _, shard := range p.Shards {
		parts = append(parts, Part{Shard: shard, SQL: text})
	}
	var all [][][]byte
	verb, count := "", 0
	for _, part := range parts {
		rows, tag, code := ask(l.shards[part.Shard], part.SQL)
		if code != "" {
			return answer{code: code}
		}
		at := strings.LastIndexByte(tag, ' ')
		n, _ := strconv.Atoi(tag[at+1:])
		verb, count = tag[:at], count+n
		all = append(all, rows...)
	}
	return answer{rows: flat(all), tag: verb + " " + strconv.Itoa(count)}
}

// merged is the plainest possible merge.
func merged(all [][][]byte, m *Merge) [][][]byte {
	if len(m.Aggregates) > 0 {
		all = [][][]byte{folded(all, m.Aggregates)}
	}
	slices.SortStableFunc(all, func(x, y [][]byte) int { return compareRows(x, y, m.Order) })
	all = all[min(int(m.Offset), len(all)):]
	if m.Limit >= 0 && m.Limit < int64(len(all)) {
		all = all[:m.Limit]
	}
	for i := range all {
		all[i] = all[i][:len(all[i])-m.Hidden]
	}
	return all
}

func sortedBy(rows [][][]byte, order []SortKey) bool {
	return slices.IsSortedFunc(rows, func(x, y [][]byte) int { return compareRows(x, y, order) })
}

func compareRows(x, y [][]byte, order []SortKey) int {
	for _, k := range order {
		a, b := x[k.Column], y[k.Column]
		if a == nil && b == nil {
			continue
		}
		if a == nil || b == nil {
			if (a == nil) == k.NullsFirst {
				return -1
			}
			return 1
		}
		c := compareValues(a, b)
		if k.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func compareValues(a, b []byte) int {
	x, xerr := strconv.ParseFloat(string(a), 64)
	y, yerr := strconv.ParseFloat(string(b), 64)
	if xerr == nil && yerr == nil {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return strings.Compare(string(a), string(b))
}

func folded(all [][][]byte, aggregates []Aggregate) [][]byte {
	out := make([][]byte, len(aggregates))
	for _, row := range all {
		for i, v := range row {
			switch {
			case v == nil:
			case out[i] == nil:
				out[i] = v
			default:
				out[i] = fold(aggregates[i], out[i], v)
			}
		}
	}
	return out
}

func fold(agg Aggregate, x, y []byte) []byte {
	switch agg {
	case AggCount, AggSum:
		a, _ := strconv.ParseFloat(string(x), 64)
		b, _ := strconv.ParseFloat(string(y), 64)
		return strconv.AppendFloat(nil, a+b, 'f', -1, 64)
	case AggMin:
		if compareValues(y, x) < 0 {
			return y
		}
	case AggMax:
		if compareValues(y, x) > 0 {
			return y
		}
	case AggBoolAnd:
		if string(y) == "f" {
			return y
		}
	case AggBoolOr:
		if string(y) == "t" {
			return y
		}
	}
	return x
}

func TestGoldenStatementsAnswerAsOneDatabase(t *testing.T) {
	l := newLab(t)
	answered := 0
	for _, file := range []string{"select_key", "select_adversarial", "select_join", "gather", "write"} {
		text, err := os.ReadFile(filepath.Join(goldenDir, file+".sql"))
		if err != nil {
			t.Fatal(err)
		}
		cases, _ := readGolden(t, string(text))
		for _, c := range cases {
			statement := strings.TrimSuffix(c.text, ";")
			if c.ext || free(statement) {
				continue
			}
			if l.compare(statement) {
				answered++
			}
		}
	}
	t.Logf("%d statements answered: %v", answered, l.answers)
	if answered < 200 {
		t.Errorf("only %d statements were answered", answered)
	}
}

// free says that a statement has more than one right answer.
func free(text string) bool {
	for _, word := range []string{"random()", "TABLESAMPLE", "EXPLAIN", "now()", "LIMIT 10", "LIMIT 3", "OFFSET", "nextval", "LIMIT 2 + 3",
		"string_agg(name, ',')", "DISTINCT ON (user_id) *", "row_number() OVER (ORDER BY created)", "row_number() OVER (PARTITION BY status)"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return strings.Contains(text, "FETCH FIRST")
}

func TestRandomStatementsAnswerAsOneDatabase(t *testing.T) {
	l := newLab(t)
	seed := uint64(os.Getpid())
	if text := os.Getenv("PGRING_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	count := 500
	if text := os.Getenv("PGRING_STATEMENTS"); text != "" {
		count, _ = strconv.Atoi(text)
	}
	t.Logf("PGRING_SEED=%d", seed)
	g := &generator{rand.New(rand.NewPCG(seed, 7)), 0}
	answered := 0
	for range count {
		if l.compare(g.statement()) {
			answered++
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d of %d random statements answered: %v", answered, count, l.answers)
	if answered < count/5 {
		t.Errorf("only %d of %d statements were answered", answered, count)
	}
}
