package backend

import (
	"time"

	"github.com/pgring/pgring/ring"
)

// PoolStats is the state of one pool, as SHOW POOLS and SHOW STATS tell it.
type PoolStats struct {
	Shard    ring.ShardID
	User     string // the login's user on the shard
	Database string
	Size     int
	Paused   bool

	Waiting int           // sessions that wait for a connection
	Active  int           // connections lent out
	Idle    int           // connections free and used a moment ago
	Used    int           // connections free for so long that they are checked before they are lent out
	Login   int           // connections being opened
	MaxWait time.Duration // how long the first of the waiting ones has waited

	// Totals since the pool exists.
	Acquires      int64
	Waits         int64         // acquires that found no idle connection
	WaitTime      time.Duration // all waits together
	Connects      int64
	ConnectErrors int64

	Health Health
}

// Health says whether a shard's server takes connections, as seen by one pool.
type Health struct {
	Shard     ring.ShardID
	Healthy   bool          // no connect has failed since the last one that succeeded
	Since     time.Time     // when that began; zero before anything was tried
	LastError error         // of the last failed connect; nil: none has failed
	Latency   time.Duration // of the last log-in that succeeded
}

// State is what a server connection is used for.
type State string

// The states of server connections.
const (
	StateActive State = "active" // lent out
	StateIdle   State = "idle"   // in the pool
	StateLogin  State = "login"  // being opened
)

// ServerStats is one server connection, as SHOW SERVERS tells it.
type ServerStats struct {
	Shard    ring.ShardID
	User     string
	Database string
	State    State
	PID      uint32    // zero during log-in
	Local    string    // address
	Remote   string    // address
	Opened   time.Time // when the log-in succeeded; during log-in: began
	Request  time.Time // when it was last lent out; zero: never
	Prepared int       // statements prepared on it
	TLS      string    // protocol version; empty: none
}
