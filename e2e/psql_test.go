package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

func TestPsql(t *testing.T) {
	c := start(t, layout{})
	t.Run("10,000 INSERTs land on the shards that the ring names", c.insertTenThousand)
	t.Run("the console names the same shards", c.askRoutes)
	t.Run("backslash commands describe the tables", c.describeTables)
	t.Run("copy both ways", c.copyBothWays)
	t.Run("dump and restore a home table", c.dumpAndRestore)
	t.Run("single transaction", c.singleTransaction)
	t.Run("Ctrl-C cancels and the session goes on", c.interrupt)
}

const manyCustomers = 10_000

func (c *cluster) insertTenThousand(t *testing.T) {
	var script strings.Builder
	for id := 1; id <= manyCustomers; id++ {
		fmt.Fprintf(&script, "INSERT INTO customers (id, name) VALUES (%d, 'customer %d');\n", id, id)
	}
	file := filepath.Join(t.TempDir(), "insert.sql")
	must(t, os.WriteFile(file, []byte(script.String()), 0o600))
	if out := c.psql(t, "-q", "-f", file); out != "" {
		t.Errorf("psql writes %q", lastBytes(out, 500))
	}
	if got := c.psql(t, "-At", "-c", "SELECT count(*) FROM customers"); got != "10000\n" {
		t.Errorf("count(*) is %q", got)
	}
	placement := c.slotMap(t)
	total := 0
	for i := range c.servers {
		total += c.checkPlacement(t, i, placement)
	}
	if total != manyCustomers {
		t.Errorf("the shards have %d customers, want %d", total, manyCustomers)
	}
}

// checkPlacement compares each row of a shard with the ring, once by Go's hash and once by PostgreSQL's, and counts the rows.
func (c *cluster) checkPlacement(t *testing.T, server int, placement *ring.Map) int {
	conn := c.servers[server].ConnectAs(t, appLogin, database)
	rows, err := conn.Query(t.Context(), "SELECT id, (hashint8extended(id, 0) >> 50) & 16383 FROM customers")
	must(t, err)
	var id, slot int64
	n, wrong := 0, 0
	_, err = pgx.ForEachRow(rows, []any{&id, &slot}, func() error {
		n++
		key, err := ring.ParseKey(ring.KeyInt, []byte(strconv.FormatInt(id, 10)))
		if err != nil {
			return err
		}
		if at := placement.Locate(key); string(at.Shard) != shardName(server) || int64(at.Slot) != slot {
			wrong++
		}
		return nil
	})
	must(t, err)
	if wrong > 0 || n == 0 {
		t.Errorf("%s has %d customers, %d of them belong elsewhere", shardName(server), n, wrong)
	}
	return n
}

func (c *cluster) askRoutes(t *testing.T) {
	console := c.console(t)
	for id := int64(1); id <= manyCustomers; id += 499 {
		rows, err := console.Query(t.Context(), fmt.Sprintf("ROUTE SELECT * FROM customers WHERE id = %d", id))
		must(t, err)
		steps, err := pgx.CollectRows(rows, pgx.RowToMap)
		must(t, err)
		if want := shardName(c.owner(t, id)); len(steps) != 1 || steps[0]["shard"] != want {
			t.Errorf("customer %d is on %s, but ROUTE says %v", id, want, steps)
		}
	}
}

func (c *cluster) describeTables(t *testing.T) {
	if out := c.psql(t, "-c", `\dt`); !hasAll(out, "customers", "orders", "countries", "notes", "(4 rows)") {
		t.Errorf("\\dt prints\n%s", out)
	}
	if out := c.psql(t, "-c", `\d orders`); !hasAll(out, "customer_id", "bigint", "orders_pkey", `REFERENCES customers(id)`) {
		t.Errorf("\\d orders prints\n%s", out)
	}
	for _, command := range []string{`\d`, `\d+ customers`, `\di+`, `\l`, `\dn`, `\df pg_sleep`, `\du`, `\dT bigint`, `\conninfo`, `\sf pg_sleep`} {
		out := c.psql(t, "-v", "ON_ERROR_STOP=1", "-c", command)
		if strings.Contains(out, "ERROR") || out == "" {
			t.Errorf("%s prints %q", command, out)
		}
	}
}

func hasAll(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}

// dumpAndRestore has pg_dump write a home table, and psql make it again from that.
func (c *cluster) dumpAndRestore(t *testing.T) {
	c.psql(t, "-c", "INSERT INTO notes VALUES (-1, NULL), (-2, E'tab\\tand \\\\ backslash')")
	const checksum = "SELECT count(*), sum(hashtext(n::text)) FROM notes n"
	before := c.psql(t, "-At", "-c", checksum)
	dump := c.run(t, tool{name: "pg_dump", args: []string{"--table", "notes", "--clean"}})
	if !hasAll(dump, "DROP TABLE", "CREATE TABLE public.notes", "COPY public.notes", "notes_pkey") {
		t.Fatalf("pg_dump writes\n%s", lastBytes(dump, 2000))
	}
	c.psql(t, "-c", "DELETE FROM notes")
	file := filepath.Join(t.TempDir(), "dump.sql")
	must(t, os.WriteFile(file, []byte(dump), 0o600))
	c.psql(t, "-q", "-v", "ON_ERROR_STOP=1", "-f", file)
	if after := c.psql(t, "-At", "-c", checksum); after != before {
		t.Errorf("the table has %q after the restore, %q before the dump", after, before)
	}
}

func (c *cluster) copyBothWays(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out.csv")
	var text bytes.Buffer
	for i := range 5000 {
		fmt.Fprintf(&text, "%d,\"line %d, with a comma\"\n", i, i)
	}
	must(t, os.WriteFile(in, text.Bytes(), 0o600))
	if got := c.psql(t, "-c", fmt.Sprintf(`\copy notes FROM '%s' CSV`, in)); got != "COPY 5000\n" {
		t.Errorf("\\copy FROM prints %q", got)
	}
	quoted := fmt.Sprintf(`\copy (SELECT * FROM notes ORDER BY id) TO '%s' WITH (FORMAT csv, FORCE_QUOTE (body))`, out)
	if got := c.psql(t, "-c", quoted); got != "COPY 5000\n" {
		t.Errorf("\\copy TO prints %q", got)
	}
	got, err := os.ReadFile(out)
	must(t, err)
	if !bytes.Equal(got, text.Bytes()) {
		t.Errorf("%d bytes came back of %d, or others", len(got), text.Len())
	}
	broken := tool{name: "psql", args: []string{"-X", "-c", `\copy notes FROM STDIN CSV`, "-c", "SELECT count(*) FROM notes"}, stdin: "9000,a\nnonsense,b\n"}
	answer, err := c.try(t, broken)
	if err != nil || !hasAll(answer, "invalid input syntax for type bigint", "COPY notes, line 2", "5000") {
		t.Errorf("a broken COPY: %v\n%s", err, answer)
	}
}

func (c *cluster) singleTransaction(t *testing.T) {
	good := "INSERT INTO notes VALUES (20001, 'one');\nINSERT INTO notes VALUES (20002, 'two');\n"
	c.run(t, tool{name: "psql", args: []string{"-X", "-1", "-v", "ON_ERROR_STOP=1", "-f", "-"}, stdin: good})
	bad := "INSERT INTO notes VALUES (20003, 'three');\nINSERT INTO notes VALUES (20003, 'three');\n"
	if out, err := c.try(t, tool{name: "psql", args: []string{"-X", "-1", "-v", "ON_ERROR_STOP=1", "-f", "-"}, stdin: bad}); err == nil {
		t.Errorf("psql ends well after a duplicate: %s", out)
	}
	if got := c.psql(t, "-At", "-c", "SELECT id FROM notes WHERE id > 20000 ORDER BY id"); got != "20001\n20002\n" {
		t.Errorf("ids are %q", got)
	}
}

// interrupt runs psql on a terminal of its own, since only there Ctrl-C leaves it running.
func (c *cluster) interrupt(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	keyboard, terminal := openTerminal(t)
	command := c.prepare(ctx, tool{name: "psql", args: []string{"-X", "-n", "-q", "-At", "-P", "pager=off"}, env: []string{"TERM=dumb"}})
	command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(t, command.Start())
	_ = terminal.Close()
	var screen logBuffer
	done := make(chan struct{})
	// owner: interrupt; ends when psql has closed the terminal
	go func() {
		defer close(done)
		_, _ = io.Copy(&screen, keyboard) // ends with EIO when psql is gone
	}()
	typed := func(text string) {
		_, err := keyboard.WriteString(text)
		must(t, err)
	}
	typed("SELECT pg_sleep(60);\n")
	c.awaitSleepers(t, 1)
	began := time.Now()
	typed("\x03")
	c.awaitSleepers(t, 0)
	typed("SELECT 6*7 || ' goes on';\n\\q\n")
	must(t, command.Wait())
	_ = keyboard.Close()
	<-done
	if out := screen.String(); !hasAll(out, "canceling statement due to user request", "42 goes on") {
		t.Errorf("psql shows\n%s", out)
	}
	t.Logf("cancelled within %s", time.Since(began))
}

// awaitSleepers waits until exactly n statements sleep on the shards.
func (c *cluster) awaitSleepers(t *testing.T, n int) {
	t.Helper()
	conns := make([]*pgx.Conn, len(c.servers))
	for i, s := range c.servers {
		conns[i] = s.Connect(t)
	}
	eventually(t, 20*time.Second, fmt.Sprintf("%d statements sleep", n), func(ctx context.Context) error {
		sum := 0
		for _, conn := range conns {
			sum += one[int](t, conn, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
		}
		if sum != n {
			return fmt.Errorf("%d do", sum)
		}
		return nil
	})
}

// openTerminal makes a pseudo-terminal; see pty(7).
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { _ = keyboard.Close() })
	control := func(request uintptr, value *uint32) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keyboard.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatalf("set up a terminal: %v", errno)
		}
	}
	var unlock, number uint32
	control(syscall.TIOCSPTLCK, &unlock)
	control(syscall.TIOCGPTN, &number)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	must(t, err)
	return keyboard, terminal
}

// psql runs psql, which must end well, and returns what it printed.
func (c *cluster) psql(t testing.TB, args ...string) string {
	t.Helper()
	return c.run(t, tool{name: "psql", args: append([]string{"-X"}, args...)})
}
