package proxy_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// randomCopies is how many COPYs a test run makes; PGRING_COPIES=10m goes on for that long instead.
const randomCopies = 40

// COPYs with random options and data, well-formed or damaged, leave the same rows or end in the same error, with the same line, as on one
// PostgreSQL; or pgring refuses them.
func TestRandomCopiesAnswerAsPostgres(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("PGRING_SEED"); text != "" {
		_, err := fmt.Sscan(text, &seed)
		must(t, err)
	}
	var until time.Time
	if text := os.Getenv("PGRING_COPIES"); text != "" {
		long, err := time.ParseDuration(text)
		must(t, err)
		until = time.Now().Add(long)
	}
	t.Logf("PGRING_SEED=%d", seed)
	w := startTwin(t, options{})
	w.reset(t)
	sides := [2]*pgx.Conn{w.plain.Connect(t), w.connect()}
	refusedOnes, wrong, n := 0, 0, 0
	for ; n < randomCopies || time.Now().Before(until); n++ {
		c := newRandomCopy(rand.New(rand.NewPCG(seed, uint64(n))), n)
		var got [2]string
		for i, conn := range sides {
			got[i] = c.run(t, conn)
		}
		switch {
		case got[0] == got[1]:
		case strings.HasPrefix(got[0], "ERROR | 22021") && strings.HasPrefix(got[1], "ERROR"):
			// PostgreSQL looks at the encoding of all the data that have come before it looks at their lines.
		case strings.HasPrefix(got[1], "ERROR | 0A000"):
			if refusedOnes++; !strings.HasPrefix(got[0], "ERROR") {
				w.reset(t) // PostgreSQL has rows that pgring has not
			}
		default:
			wrong++
			t.Errorf("case %d: %s\n%q\nPostgreSQL: %s\n    pgring: %s", n, c.sql, c.data, got[0], got[1])
		}
		if wrong > 5 {
			t.Fatal("and so on")
		}
	}
	if refusedOnes > n/5 {
		t.Errorf("%d of %d were refused", refusedOnes, n)
	}
	t.Logf("%d COPYs, %d refused", n, refusedOnes)
}

// randomCopy is one COPY. Its rows have keys of their own, unless damage changes them.
type randomCopy struct {
	r     *rand.Rand
	base  int
	sql   string
	data  []byte
	csv   bool
	delim string
	quote string
	esc   string
	null  string
	end   string // of a line
}

func newRandomCopy(r *rand.Rand, n int) *randomCopy {
	c := &randomCopy{r: r, base: 1000 * (n + 1), csv: r.IntN(2) == 0, delim: "\t", quote: `"`, null: `\N`, end: pick(r, "\n", "\n", "\r\n", "\r")}
	var with []string
	option := func(format, value string) {
		with = append(with, fmt.Sprintf(format, strings.ReplaceAll(value, "'", "''")))
	}
	if c.csv {
		c.delim, c.null = ",", ""
		with = append(with, "FORMAT csv")
	}
	if r.IntN(3) == 0 {
		c.delim = pick(r, ",", ";", "|", "~", "\t", ":")
		option("DELIMITER '%s'", c.delim)
	}
	if r.IntN(3) == 0 {
		c.null = pick(r, "nil", "", `\N`, "NULL", "é")
		option("NULL '%s'", c.null)
	}
	if c.csv && r.IntN(3) == 0 {
		c.quote = pick(r, "'", "`", `"`, "$")
		option("QUOTE '%s'", c.quote)
	}
	c.esc = c.quote
	if c.csv && r.IntN(3) == 0 {
		c.esc = pick(r, `\`, "^", `"`)
		option("ESCAPE '%s'", c.esc)
	}
	if c.csv && r.IntN(4) == 0 {
		with = append(with, pick(r, "FORCE_NULL (name)", "FORCE_NULL (id, age)", "FORCE_NOT_NULL (name)", "FORCE_NOT_NULL (name, age, id)"))
	}
	if r.IntN(6) == 0 {
		with = append(with, pick(r, "ENCODING 'LATIN1'", "ENCODING 'UTF8'"))
	}
	columns := []string{"id", "name", "age"}
	r.Shuffle(3, func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
	var lines []string
	if r.IntN(4) == 0 {
		with = append(with, pick(r, "HEADER", "HEADER match"))
		lines = append(lines, strings.Join(columns, c.delim))
	}
	c.sql = fmt.Sprintf("COPY users (%s) FROM STDIN", strings.Join(columns, ", "))
	if len(with) > 0 {
		c.sql += " WITH (" + strings.Join(with, ", ") + ")"
	}
	for i := range r.IntN(12) {
		lines = append(lines, c.row(columns, i))
	}
	if r.IntN(8) == 0 {
		at := r.IntN(len(lines) + 1)
		lines = append(lines[:at:at], append([]string{`\.`}, lines[at:]...)...)
	}
	c.data = []byte(strings.Join(lines, c.end))
	if len(lines) > 0 && r.IntN(5) > 0 {
		c.data = append(c.data, c.end...)
	}
	if r.IntN(3) == 0 {
		c.damage()
	}
	return c
}

func pick(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }

func (c *randomCopy) row(columns []string, i int) string {
	fields := make([]string, len(columns))
	for j, name := range columns {
		switch name {
		case "id":
			fields[j] = fmt.Sprint(c.base + i)
			if c.r.IntN(20) == 0 {
				fields[j] = pick(c.r, " ", "+", "0") + fields[j]
			}
			if c.csv && c.r.IntN(4) == 0 {
				fields[j] = c.quote + fields[j] + c.quote
			}
		case "age":
			if fields[j] = fmt.Sprint(c.r.IntN(99)); c.r.IntN(5) == 0 {
				fields[j] = c.null
			}
		default:
			fields[j] = c.text()
		}
	}
	if c.r.IntN(60) == 0 {
		fields = fields[:2] // a value is missing
	}
	return strings.Join(fields, c.delim)
}

// text is a value of column name as it might be written.
func (c *randomCopy) text() string {
	if c.r.IntN(8) == 0 {
		return c.null
	}
	var b strings.Builder
	for range c.r.IntN(8) {
		switch s := pick(c.r, "a", "b c", "é", "\\", c.quote, c.delim, c.end, "\n", "", "NULL", `\N`, ".", "\t", "ß", "x"); {
		case c.csv && (s == c.quote || s == c.esc):
			b.WriteString(c.esc + s)
		case !c.csv && (s == "\\" || s == c.delim || s == "\n" || s == c.end):
			b.WriteString("\\" + s)
		case !c.csv && s == "x":
			b.WriteString(pick(c.r, `\x41`, `\101`, `\t`, `\r\n`, `\q`))
		default:
			b.WriteString(s)
		}
	}
	if s := b.String(); !c.csv || c.r.IntN(3) == 0 && !strings.ContainsAny(s, c.quote+c.delim+"\r\n") {
		return s
	}
	return c.quote + b.String() + c.quote
}

// damage changes one place.
func (c *randomCopy) damage() {
	if len(c.data) == 0 {
		return
	}
	at := c.r.IntN(len(c.data))
	with := []byte(pick(c.r, "", "", c.quote, c.delim, "\\", "\n", "\r", "x", "\xff", `\.`, c.end+c.end, "7"))
	c.data = bytes.Join([][]byte{c.data[:at], c.data[at+c.r.IntN(2):]}, with)
}

// run says what the COPY has answered and left.
func (c *randomCopy) run(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	tag, err := conn.PgConn().CopyFrom(background, bytes.NewReader(c.data), c.sql)
	if err != nil {
		return errorText(err)
	}
	rows, err := conn.Query(background, "SELECT id, name, age FROM users WHERE id >= $1 AND id < $2 ORDER BY id", c.base, c.base+1000)
	must(t, err)
	left, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var id int64
		var name *string
		var age *int32
		err := row.Scan(&id, &name, &age)
		return fmt.Sprintf("(%d %q %v)", id, orNil(name), orNil(age)), err
	})
	must(t, err)
	return fmt.Sprint(tag, left, value(t, conn, "SELECT count(*) FROM users"))
}

func orNil[T any](v *T) any {
	if v == nil {
		return "NULL!"
	}
	return *v
}
