package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/topology"
)

func TestRowsOfALedgerStayAsTheyAre(t *testing.T) {
	t.Parallel()
	book := topology.Name{Schema: "public", Table: "book"}
	o := options{tables: []topology.TableWish{{Name: book, Kind: topology.Sharded, Key: []string{"user_id"}, Colocate: "users"}}, setup: `
CREATE TABLE book (user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE, n int NOT NULL, amount int, PRIMARY KEY (user_id, n)) PARTITION BY RANGE (n);
CREATE TABLE book_1 PARTITION OF book FOR VALUES FROM (0) TO (1000);
CREATE FUNCTION cheat(who bigint) RETURNS void LANGUAGE sql AS 'UPDATE book SET amount = 0 WHERE user_id = who';`}
	o.policy.AppendOnly = map[topology.Name]bool{book: true}
	c := start(t, o)
	for _, s := range c.servers {
		for range 2 {
			must(t, topology.EnsureAppendOnly(t.Context(), s.Connect(t), []topology.Name{book, {Schema: "public", Table: "not there"}}))
		}
	}
	conn := c.connect()
	keys := c.keys(2)
	for _, key := range keys {
		run(t, conn, fmt.Sprintf("INSERT INTO users VALUES (%d, 'ada', 0)", key))
		run(t, conn, fmt.Sprintf("INSERT INTO book VALUES (%d, 1, 10), (%d, 2, 20)", key, key))
		run(t, conn, fmt.Sprintf("INSERT INTO book VALUES (%d, 1, 99) ON CONFLICT DO NOTHING", key))
	}
	_, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader(fmt.Sprintf("%d\t3\t30\n%d\t3\t30\n", keys[0], keys[1])), "COPY book FROM STDIN")
	must(t, err)
	contents := "SELECT sum(hashint8(user_id * 1000003 + n * 1009 + amount)::bigint) FROM book"
	before := value(t, conn, contents)
	for _, sql := range []string{
		"UPDATE book SET amount = 0", "UPDATE book SET amount = 0 WHERE user_id = %d", "UPDATE book_1 SET amount = 0 WHERE user_id = %d", "DELETE FROM book WHERE user_id = %d AND n = 1",
		"DELETE FROM book_1", "TRUNCATE book", "TRUNCATE book_1", "TRUNCATE users CASCADE", "INSERT INTO book VALUES (%d, 1, 0) ON CONFLICT (user_id, n) DO UPDATE SET amount = 0",
		"INSERT INTO book VALUES (%d, 9, 0) ON CONFLICT (user_id, n) DO UPDATE SET amount = 0",
		"MERGE INTO book USING (VALUES (1)) v (k) ON user_id = %d WHEN MATCHED THEN DELETE", "WITH x AS (DELETE FROM book WHERE user_id = %d RETURNING n) SELECT * FROM x",
		"EXPLAIN ANALYZE DELETE FROM book WHERE user_id = %d", "DELETE FROM users WHERE id = %d", // by its foreign key
		"ALTER TABLE book ALTER COLUMN amount TYPE numeric USING amount * 2", "ALTER TABLE book DROP COLUMN amount", "ALTER TABLE book_1 SET UNLOGGED",
		"ALTER TABLE book DISABLE TRIGGER ALL", "ALTER TABLE book_1 DISABLE TRIGGER USER", "ALTER TABLE book ENABLE REPLICA TRIGGER pgring_append_only",
		"DROP TRIGGER pgring_append_only ON book", "ALTER TRIGGER pgring_append_only ON book RENAME TO other",
	} {
		if strings.Contains(sql, "%d") {
			sql = fmt.Sprintf(sql, keys[0])
		}
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if e := wantCode(t, err, "PR105"); e.Detail == "" || e.Hint == "" {
			t.Errorf("%s: %+v", sql, e)
		}
	}
	// Past pgring, and where it does not look.
	owner := c.shardOf(keys[0])
	direct := owner.Connect(t)
	for _, sql := range []string{fmt.Sprintf("SELECT cheat(%d)", keys[0]), "UPDATE book SET amount = 0", "DELETE FROM book_1", "TRUNCATE book", "TRUNCATE users CASCADE"} {
		_, err := direct.Exec(t.Context(), sql)
		wantCode(t, err, "PR105")
	}
	// A saga reverses its rows, as it is told, and takes none away.
	saga := func(comment string) error {
		run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = 'saga'")
		_, err := conn.Exec(t.Context(), fmt.Sprintf("%s INSERT INTO book VALUES (%d, 7, 70)", comment, keys[0]), pgx.QueryExecModeSimpleProtocol)
		if err == nil {
			_, err = conn.Exec(t.Context(), fmt.Sprintf("/* compensate: none */ UPDATE users SET age = 1 / 0 WHERE id = %d", keys[1]), pgx.QueryExecModeSimpleProtocol)
		}
		run(t, conn, "ROLLBACK")
		return err
	}
	wantCode(t, saga("/* compensate: auto */"), "0A000")
	e := wantCode(t, saga(fmt.Sprintf("/* compensate: DELETE FROM book WHERE user_id = %d AND n = 7 */", keys[0])), "PR105")
	if !strings.HasPrefix(e.Message, "compensation: ") {
		t.Errorf("%+v", e)
	}
	wantCode(t, saga(fmt.Sprintf("/* compensate: INSERT INTO book VALUES (%d, 8, -70) */", keys[0])), "22012")
	wantValue(t, conn, contents, before)
	// Without the rule the triggers stay.
	c.apply(func(p *proxy.Policy) { p.AppendOnly = nil })
	_, err = conn.Exec(t.Context(), fmt.Sprintf("UPDATE book SET amount = 0 WHERE user_id = %d", keys[0]))
	wantCode(t, err, "PR105")
	wantValue(t, conn, contents, before)
}
