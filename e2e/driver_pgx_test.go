package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

func TestPgx(t *testing.T) {
	t.Parallel()
	c := start(t, layout{})
	for name, mode := range map[string]pgx.QueryExecMode{
		"cache statement": pgx.QueryExecModeCacheStatement,
		"cache describe":  pgx.QueryExecModeCacheDescribe,
		"describe exec":   pgx.QueryExecModeDescribeExec,
		"exec":            pgx.QueryExecModeExec,
		"simple protocol": pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run("mode "+name, func(t *testing.T) {
			c.pgxMode(t, mode)
		})
	}
	for name, test := range map[string]func(*testing.T){
		"batches":                c.pgxBatch,
		"copy to a home table":   c.pgxCopy,
		"listen and notify":      c.pgxListen,
		"a pool of 50":           c.pgxPool,
		"cancel by context":      c.pgxCancel,
		"settings stay with us":  c.pgxSettings,
		"types and large values": c.pgxTypes,
	} {
		t.Run(name, func(t *testing.T) {
			test(t)
		})
	}
}

// pgxMode does what applications do, in one of pgx's ways to send a statement.
func (c *cluster) pgxMode(t *testing.T, mode pgx.QueryExecMode) {
	cfg, err := pgx.ParseConfig(c.dsn(appLogin))
	must(t, err)
	cfg.DefaultQueryExecMode = mode
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	must(t, err)
	defer conn.Close(t.Context())
	from := int64(100_000 * (int(mode) + 1))
	for id := from; id < from+50; id++ {
		tag, err := conn.Exec(t.Context(), "INSERT INTO customers (id, name, balance) VALUES ($1, $2, $3)", id, fmt.Sprint("c", id), id*2)
		must(t, err)
		if tag.String() != "INSERT 0 1" {
			t.Fatalf("command tag %q", tag)
		}
	}
	for id := from; id < from+50; id++ {
		if got := one[int64](t, conn, "SELECT balance FROM customers WHERE id = $1", id); got != id*2 {
			t.Errorf("balance of %d is %d", id, got)
		}
	}
	if got := one[int](t, conn, "SELECT count(*) FROM customers WHERE id >= $1 AND id < $2", from, from+50); got != 50 {
		t.Errorf("%d customers over all shards, want 50", got)
	}
	rows, err := conn.Query(t.Context(), "SELECT id, name FROM customers WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT 10", from, from+50)
	must(t, err)
	type customer struct {
		ID   int64
		Name string
	}
	last, err := pgx.CollectRows(rows, pgx.RowToStructByName[customer])
	must(t, err)
	if len(last) != 10 || last[0].ID != from+49 || last[9].ID != from+40 {
		t.Errorf("the last ten are %v", last)
	}
	_, err = conn.Exec(t.Context(), "INSERT INTO customers (id, name) VALUES ($1, 'again')", from)
	wantError(t, err, "23505")
	must(t, pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		return pgx.BeginFunc(t.Context(), tx, func(nested pgx.Tx) error { // a savepoint
			_, err := nested.Exec(t.Context(), "DELETE FROM customers WHERE id = $1", from)
			return err
		})
	}))
	err = conn.QueryRow(t.Context(), "SELECT id FROM customers WHERE id = $1", from).Scan(new(int64))
	if !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("the deleted customer: %v", err)
	}
}

func (c *cluster) pgxBatch(t *testing.T) {
	conn := c.connect(t)
	var batch pgx.Batch
	for i := range 200 {
		batch.Queue("INSERT INTO customers (id, name) VALUES ($1, 'batch')", 10_000+i)
	}
	for i := range 200 {
		batch.Queue("SELECT id FROM customers WHERE id = $1", 10_000+i).QueryRow(func(row pgx.Row) error {
			var id int
			if err := row.Scan(&id); err != nil || id != 10_000+i {
				return fmt.Errorf("row %d is %d: %w", i, id, err)
			}
			return nil
		})
	}
	// One implicit transaction holds the whole batch, and these keys live on several shards.
	wantError(t, conn.SendBatch(t.Context(), &batch).Close(), "0A000")
	if got := one[int](t, conn, "SELECT count(*) FROM customers WHERE name = 'batch'"); got != 0 {
		t.Errorf("%d rows of a refused batch remain", got)
	}
	ids := c.customersOn(t, 3, 10_000, 100)
	batch = pgx.Batch{}
	for _, id := range ids {
		batch.Queue("INSERT INTO customers (id, name) VALUES ($1, 'batch')", id)
	}
	for _, id := range ids {
		batch.Queue("SELECT name FROM customers WHERE id = $1", id).QueryRow(func(row pgx.Row) error {
			return row.Scan(new(string))
		})
	}
	must(t, conn.SendBatch(t.Context(), &batch).Close())
	if got := one[int](t, conn, "SELECT count(*) FROM customers WHERE name = 'batch'"); got != len(ids) {
		t.Errorf("%d rows of the batch, want %d", got, len(ids))
	}
}

func (c *cluster) pgxCopy(t *testing.T) {
	conn := c.connect(t)
	rows := make([][]any, 20_000)
	for i := range rows {
		rows[i] = []any{int64(i + 1_000_000), fmt.Sprintf("copied %d", i)}
	}
	n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"notes"}, []string{"id", "body"}, pgx.CopyFromRows(rows))
	must(t, err)
	if n != int64(len(rows)) {
		t.Errorf("%d rows copied, want %d", n, len(rows))
	}
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"notes"}, []string{"id", "body"}, pgx.CopyFromRows(rows[:1]))
	wantError(t, err, "23505")
	if got := one[int](t, conn, "SELECT count(*) FROM notes WHERE id >= 1000000"); got != len(rows) {
		t.Errorf("%d rows, want %d", got, len(rows))
	}
}

func (c *cluster) pgxListen(t *testing.T) {
	listener, speaker := c.connect(t), c.connect(t)
	execute(t, listener, `LISTEN news`)
	for i := range 3 {
		execute(t, speaker, "SELECT pg_notify('news', $1)", fmt.Sprint("item ", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 3 {
		got, err := listener.WaitForNotification(ctx)
		must(t, err)
		if want := fmt.Sprint("item ", i); got.Channel != "news" || got.Payload != want {
			t.Errorf("notification %+v, want %q", got, want)
		}
	}
	execute(t, listener, "INSERT INTO customers (id, name) VALUES (77000, 'a listener writes too')")
	execute(t, listener, "UNLISTEN *")
}

func (c *cluster) pgxPool(t *testing.T) {
	pool := c.poolOf(t, 50)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(50)
	for i := range 3000 {
		id := int64(2_000_000 + i)
		// owner: pgxPool; ends with its statements
		group.Go(func() error {
			if _, err := pool.Exec(ctx, "INSERT INTO customers (id, name) VALUES ($1, 'pool')", id); err != nil {
				return err
			}
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO orders (customer_id, id, item) VALUES ($1, 1, 'x')", id)
				return err
			})
		})
	}
	must(t, group.Wait())
	if got := one[int](t, pool, "SELECT count(*) FROM orders WHERE customer_id >= 2000000 AND customer_id < 3000000"); got != 3000 {
		t.Errorf("%d orders, want 3000", got)
	}
}

func (c *cluster) pgxCancel(t *testing.T) {
	conn := c.connect(t)
	before := conn.PgConn().PID()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := conn.Exec(ctx, "SELECT pg_sleep(60)"); err == nil {
		t.Error("a sleep of a minute ended well")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the cancelled statement took %s", took)
	}
	// A statement's own timeout leaves the session as it was.
	other := c.connect(t)
	if other.PgConn().PID() == before {
		t.Error("two sessions have the same process id")
	}
	execute(t, other, "SET statement_timeout = '50ms'")
	_, err := other.Exec(t.Context(), "SELECT pg_sleep(60)")
	wantError(t, err, "57014")
	execute(t, other, "SELECT 1")
}

// pgxSettings checks that what SET changes follows its session over shards, and reaches no other session.
func (c *cluster) pgxSettings(t *testing.T) {
	ours, theirs := c.connect(t), c.connect(t)
	execute(t, ours, "SET work_mem = '7MB'")
	execute(t, ours, "SET TIME ZONE 'Asia/Tokyo'")
	for _, server := range []int{0, 1, 2, 3} {
		id := c.customersOn(t, server, 950_000, 1)[0]
		for conn, want := range map[*pgx.Conn]string{ours: "7MB", theirs: "4MB"} {
			got := one[string](t, conn, "SELECT current_setting('work_mem') FROM (SELECT count(*) FROM customers WHERE id = $1) AS c", id)
			if got != want {
				t.Errorf("work_mem on %s is %s, want %s", shardName(server), got, want)
			}
		}
	}
	if got := ours.PgConn().ParameterStatus("TimeZone"); got != "Asia/Tokyo" {
		t.Errorf("the driver was told TimeZone %q", got)
	}
	execute(t, ours, "BEGIN")
	execute(t, ours, "SET LOCAL work_mem = '9MB'")
	execute(t, ours, "ROLLBACK")
	if got := one[string](t, ours, "SHOW work_mem"); got != "7MB" {
		t.Errorf("work_mem after ROLLBACK is %s", got)
	}
	// DISCARD ALL drops the statements that the driver believes to have prepared, as on PostgreSQL.
	_, err := ours.Exec(t.Context(), "DISCARD ALL", pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	must(t, ours.DeallocateAll(t.Context()))
	if got := one[string](t, ours, "SHOW work_mem"); got != "4MB" {
		t.Errorf("work_mem after DISCARD ALL is %s", got)
	}
}

func (c *cluster) pgxTypes(t *testing.T) {
	conn := c.connect(t)
	large := make([]byte, 5<<20)
	for i := range large {
		large[i] = 'a' + byte(i%26)
	}
	id := c.customersOn(t, 1, 900_000, 1)[0]
	execute(t, conn, "INSERT INTO customers (id, name) VALUES ($1, $2)", id, string(large))
	if got := one[string](t, conn, "SELECT name FROM customers WHERE id = $1", id); got != string(large) {
		t.Errorf("%d bytes came back of %d, or others", len(got), len(large))
	}
	var (
		when   time.Time
		list   []int32
		number float64
		null   *string
	)
	must(t, conn.QueryRow(t.Context(), "SELECT timestamptz '2025-06-01 12:00+00', ARRAY[1,2,3], 1.5::float8, NULL::text").Scan(&when, &list, &number, &null))
	if when.Unix() != 1748779200 || len(list) != 3 || number != 1.5 || null != nil {
		t.Errorf("values are %v %v %v %v", when, list, number, null)
	}
}
