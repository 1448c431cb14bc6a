package proxy_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
)

// The benchmarks of split writes compare the same statements directly on one server and over four shards, in turn.

func BenchmarkInsertOf100Rows(b *testing.B)  { benchmarkInsert(b, 100) }
func BenchmarkInsertOf1000Rows(b *testing.B) { benchmarkInsert(b, 1000) }

func benchmarkInsert(b *testing.B, rows int) {
	benchmarkWrite(b, rows, func(b *testing.B, conn *pgx.Conn, from int) {
		var text strings.Builder
		text.WriteString("INSERT INTO users (id, name, age) VALUES ")
		for i := range rows {
			fmt.Fprintf(&text, "%s(%d, 'name of the user %d', %d)", []string{"", ","}[min(i, 1)], from+i, i, i%100)
		}
		_, err := conn.PgConn().Exec(background, text.String()).ReadAll()
		must(b, err)
	})
}

func BenchmarkCopyOf100000Rows(b *testing.B) {
	const rows = 100_000
	benchmarkWrite(b, rows, func(b *testing.B, conn *pgx.Conn, from int) {
		r, w := io.Pipe()
		go func() {
			var buf []byte
			for i := range rows {
				buf = fmt.Appendf(buf, "%d\tname of the user %d\t%d\n", from+i, i, i%100)
				if len(buf) > 60<<10 || i == rows-1 {
					_, _ = w.Write(buf)
					buf = buf[:0]
				}
			}
			_ = w.Close()
		}()
		_, err := conn.PgConn().CopyFrom(background, r, "COPY users FROM STDIN")
		must(b, err)
	})
}

func benchmarkWrite(b *testing.B, rows int, write func(*testing.B, *pgx.Conn, int)) {
	c := start(b, options{shards: 4, pool: backend.Config{Size: 4}})
	plain := pgtest.Start(b, 1)[0]
	plain.Exec(b, testSchema)
	for _, side := range []struct {
		name string
		conn *pgx.Conn
	}{{"direct", plain.Connect(b)}, {"split", c.connect()}} {
		b.Run(side.name, func(b *testing.B) {
			run(b, side.conn, "TRUNCATE users")
			from := 0
			for b.Loop() {
				write(b, side.conn, from)
				from += rows
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
