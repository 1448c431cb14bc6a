package backend

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
)

// ErrClosed is returned by Acquire once Run has ended.
var ErrClosed = errors.New("connection pools are closed")

// errRetired tells a waiter that its pool left the configuration while it waited.
var errRetired = errors.New("pool left the configuration")

// ExhaustedError reports that no connection became free within the acquire timeout, with the pool's state at that moment.
type ExhaustedError struct {
	Shard   ring.ShardID
	Size    int           // the most connections the pool may have
	InUse   int           // connections lent out
	Waiting int           // others that wait
	Waited  time.Duration // how long this one did
	Paused  bool          // the operator has paused the shard
}

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("acquire connection to %s: none free after %s (size %d, in use %d, waiting %d, paused %t)",
		e.Shard, e.Waited, e.Size, e.InUse, e.Waiting, e.Paused)
}

// UnavailableError reports that no connection to a shard can be made now.
type UnavailableError struct {
	Shard ring.ShardID
	Since time.Time // when the first connect failed that none has succeeded after
	Err   error     // *pgwire.Error if the server refused, else the network's error
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("connect to %s: %v", e.Shard, e.Err) }

// Unwrap returns the reason.
func (e *UnavailableError) Unwrap() error { return e.Err }

// UnknownShardError reports a shard that the configuration does not have.
type UnknownShardError struct{ Shard ring.ShardID }

func (e *UnknownShardError) Error() string { return fmt.Sprintf("shard %q is not configured", e.Shard) }

// serverError turns a refused log-in into the server's own error; any other error stays as it is.
func serverError(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	return &pgwire.Error{Severity: pg.Severity, Code: pg.Code, Message: pg.Message, Detail: pg.Detail, Hint: pg.Hint}
}

// serverLives reports whether a failed connect was refused by a server that goes on serving its other connections, as opposed
// to one that is gone, starting or stopping (class 57, "operator intervention").
func serverLives(err error) bool {
	var refused *pgwire.Error
	return errors.As(err, &refused) && len(refused.Code) == 5 && refused.Code[:2] != "57"
}
