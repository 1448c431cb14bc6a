package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// logins is how many clients log in at a time.
const logins = 8

// Idle is what clients that do nothing cost a proxy.
type Idle struct {
	Name    string `json:"name"`
	Clients int    `json:"clients"`
	// BytesPerClient is by how much the process' resident memory grew, divided by the clients.
	BytesPerClient int64 `json:"bytes_per_client"`
}

func (i Idle) String() string {
	return fmt.Sprintf("%s: %.1f KB per client with %d clients.", i.Name, float64(i.BytesPerClient)/1024, i.Clients)
}

// measureIdle opens the idle clients of each proxy in turn.
func (l *lab) measureIdle(ctx context.Context) ([]Idle, error) {
	var found []Idle
	for _, c := range l.contenders {
		if c.process == nil || c.parts != nil || l.options.Idle == 0 {
			continue
		}
		l.options.say("%d clients log in to %s and do nothing", l.options.Idle, c.name)
		bytes, err := growth(ctx, c, l.options.Idle)
		if err != nil {
			return nil, fmt.Errorf("measure idle clients of %s: %w%s", c.name, err, c.log())
		}
		found = append(found, Idle{Name: c.name, Clients: l.options.Idle, BytesPerClient: bytes / int64(l.options.Idle)})
	}
	return found, nil
}

// growth is by how much a proxy's memory grows with so many clients, which are gone when it returns.
func growth(ctx context.Context, c contender, clients int) (bytes int64, err error) {
	before, err := resident(c.process.pid())
	if err != nil {
		return 0, err
	}
	var mu sync.Mutex
	var open []*pgconn.PgConn
	defer func() {
		for _, conn := range open {
			err = errors.Join(err, conn.Close(ctx))
		}
	}()
	group, together := errgroup.WithContext(ctx)
	group.SetLimit(logins)
	for range clients {
		// owner: growth; ends when the client has its answer, or ctx does
		group.Go(func() error {
			conn, err := pgconn.Connect(together, c.dsn())
			if err != nil {
				return err
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			_, err = conn.Exec(together, "SELECT 1").ReadAll()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	after, err := resident(c.process.pid())
	return after - before, err
}

// raiseFileLimit lets this program and the ones that it starts open as many files as the system's administrator allows. Go does that
// at the start for the program itself, and takes it back for its children unless the limit is set by hand.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}
