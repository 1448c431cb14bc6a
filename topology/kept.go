package topology

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// kept are connections to the control database that stay open while slots move: clients wait for the changes of a cut-over, and
// making a connection takes longer than the change. The zero value is ready.
type kept struct {
	mu    sync.Mutex
	idle  []*pgx.Conn
	used  time.Time // when one was put back last
	ended bool
}

// keptLimit is how many stay open: as many as moves usually run at once, and one.
const keptLimit = 3

// keptWarm is for how long a connection that has just been used need not be asked whether it still answers.
const keptWarm = time.Second

// take gives the connection that was put back last, if there is one, and whether that was a moment ago.
func (k *kept) take() (conn *pgx.Conn, warm bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.idle) == 0 {
		return nil, false
	}
	conn = k.idle[len(k.idle)-1]
	k.idle = k.idle[:len(k.idle)-1]
	warm = time.Since(k.used) < keptWarm
	k.used = time.Time{} // of the others nothing is known
	return conn, warm
}

// put reports whether the connection is kept.
func (k *kept) put(conn *pgx.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended || len(k.idle) >= keptLimit {
		return false
	}
	k.idle, k.used = append(k.idle, conn), time.Now()
	return true
}

// empty hands out all connections, and keeps none from now on if that is the end.
func (k *kept) empty(end bool) []*pgx.Conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := k.idle
	k.idle, k.ended = nil, k.ended || end
	return all
}

// borrow gives a connection to the control database that answers, a kept one if there is any.
func (t *Topology) borrow(ctx context.Context) (*pgx.Conn, error) {
	for {
		conn, warm := t.kept.take()
		switch {
		case conn == nil:
			return t.connect(ctx)
		case warm && !conn.IsClosed(), answers(ctx, conn):
			return conn, nil
		}
		hangUp(ctx, conn)
	}
}

func answers(ctx context.Context, conn *pgx.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return conn.Ping(ctx) == nil
}

// giveBack keeps a borrowed connection while slots move. Without moves all are closed.
func (t *Topology) giveBack(ctx context.Context, conn *pgx.Conn) {
	snap := t.Current()
	moving := snap != nil && len(snap.Moves) > 0
	const idle = 'I' // outside of a transaction
	if conn.IsClosed() || conn.PgConn().TxStatus() != idle || !moving || !t.kept.put(conn) {
		hangUp(ctx, conn)
	}
	if !moving {
		t.closeKept(ctx, false)
	}
}

func (t *Topology) closeKept(ctx context.Context, end bool) {
	for _, conn := range t.kept.empty(end) {
		hangUp(ctx, conn)
	}
}
