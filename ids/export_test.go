package ids

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// smallWindow is how many tickets there are.
const smallWindow = 50

// InstallWithClock is Install with an expression for the time, and with so few tickets below each limit that they are always used up.
func InstallWithClock(ctx context.Context, conn *pgx.Conn, number int, clock string) error {
	worker, _ := WorkerOfShard(number)
	return installShard(ctx, conn, shardFunctions(worker, clock, smallWindow))
}
