package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// copyRun is for the workload copy what pgbenchRun is for the others. The time to connect does not count.
func (l *lab) copyRun(ctx context.Context, t trial) (r runResult, err error) {
	conn, err := pgconn.Connect(ctx, t.c.dsn())
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	rows := copyData(t.seed, l.options.Rows)
	began := time.Now()
	for ; t.length.goesOn(r.transactions, time.Since(began)); r.transactions++ {
		tag, err := conn.CopyFrom(ctx, bytes.NewReader(rows), "COPY pgbench_history (tid, bid, aid, delta, mtime) FROM STDIN")
		if err != nil {
			return r, fmt.Errorf("copy rows: %w", err)
		}
		if tag.RowsAffected() != copyRows {
			return r, fmt.Errorf("copy %d rows: the answer is %q", copyRows, tag)
		}
	}
	took := time.Since(began).Seconds()
	r.TPS, r.LatencyMS = float64(r.transactions)/took, took*1000/float64(r.transactions)
	return r, nil
}

// goesOn reports whether a run has not ended after so many transactions and so long.
func (l length) goesOn(transactions int, elapsed time.Duration) bool {
	if l.transactions > 0 {
		return transactions < l.transactions
	}
	return elapsed < time.Duration(l.seconds)*time.Second
}

// copyData are the lines of one COPY. Nothing in them needs quoting.
func copyData(seed, rows int) []byte {
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	var b bytes.Buffer
	for i := range copyRows {
		fmt.Fprintf(&b, "%d\t1\t%d\t%d\t2026-01-01\n", i%10, 1+random.IntN(rows), i)
	}
	return b.Bytes()
}
