package proxy_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
)

// BenchmarkManyRows writes rows to one server and over four shards in turn, in pieces, so that both sides meet the same load of the
// machine: INSERTs of 1,000 rows and of 100, and COPYs of 50,000 rows. PGRING_ROWS=1000000 says how many rows each side gets; without it
// there are few.
func BenchmarkManyRows(b *testing.B) {
	rows := 20_000
	if text := os.Getenv("PGRING_ROWS"); text != "" {
		var err error
		rows, err = strconv.Atoi(text)
		must(b, err)
	}
	c := start(b, options{shards: 4})
	plain := pgtest.Start(b, 1)[0]
	plain.Exec(b, testSchema)
	sides := [2]*pgx.Conn{plain.Connect(b), c.connect()}
	for _, way := range []struct {
		name  string
		piece int
		write func(*testing.B, *pgx.Conn, int, int)
	}{{"insert-100", 100, insertUsers}, {"insert-1000", 1000, insertUsers}, {"copy", 50_000, copyUsers}} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				var spent [2]time.Duration
				run(b, sides[0], "TRUNCATE users")
				run(b, sides[1], "TRUNCATE users")
				for from := 0; from < rows; from += way.piece {
					for i := range sides {
						side := (i + from/way.piece) % 2
						begun := time.Now()
						way.write(b, sides[side], from, min(way.piece, rows-from))
						spent[side] += time.Since(begun)
					}
				}
				wantRows(b, sides[1], rows)
				b.ReportMetric(float64(rows)/spent[0].Seconds(), "direct-rows/s")
				b.ReportMetric(float64(rows)/spent[1].Seconds(), "split-rows/s")
				b.ReportMetric(spent[0].Seconds()/spent[1].Seconds(), "ratio")
			}
		})
	}
}

func wantRows(b *testing.B, conn *pgx.Conn, rows int) {
	b.Helper()
	wantValue(b, conn, "SELECT count(*) FROM users", strconv.Itoa(rows))
}

func insertUsers(b *testing.B, conn *pgx.Conn, from, rows int) {
	var text strings.Builder
	text.WriteString("INSERT INTO users (id, name, age) VALUES ")
	for i := range rows {
		fmt.Fprintf(&text, "%s(%d, 'name of the user %d', %d)", []string{"", ","}[min(i, 1)], from+i, i, i%100)
	}
	_, err := conn.PgConn().Exec(background, text.String()).ReadAll()
	must(b, err)
}

func copyUsers(b *testing.B, conn *pgx.Conn, from, rows int) {
	var buf []byte
	for i := range rows {
		buf = fmt.Appendf(buf, "%d\tname of the user %d\t%d\n", from+i, i, i%100)
	}
	_, err := conn.PgConn().CopyFrom(background, strings.NewReader(string(buf)), "COPY users FROM STDIN")
	must(b, err)
}
