package proxy

import (
	"time"
)

// CommitMode says what becomes of a transaction, or of a statement, that writes to more than one shard.
type CommitMode uint8

// The modes. CommitAuto is for statements only.
const (
	CommitUnset    CommitMode = iota // CommitReject for transactions, CommitAuto for statements
	CommitReject                     // it is refused
	CommitSaga                       // each shard commits; those that did are undone if another cannot
	CommitTwoPhase                   // all shards prepare, then all commit
	CommitAuto                       // CommitTwoPhase where all shards can, else CommitSaga
)

// String gives the word that the configuration and SET use.
func (m CommitMode) String() string {
	switch m {
	case CommitUnset:
		return "unset"
	case CommitReject:
		return "reject"
	case CommitSaga:
		return "saga"
	case CommitTwoPhase:
		return "2pc"
	case CommitAuto:
		return "auto"
	}
	return "unknown"
}

// defaultCommitTimeout is CrossShard.CommitTimeout when it is zero.
const defaultCommitTimeout = 10 * time.Second

// CrossShard is what a session begins with, as far as writes to several shards are concerned; SET changes all but Statements.
type CrossShard struct {
	Transactions  CommitMode    // pgring.cross_shard: BEGIN … COMMIT; not CommitAuto
	Statements    CommitMode    // one INSERT, UPDATE or DELETE outside of a transaction block; definitions and TRUNCATE are always let through
	Derive        bool          // pgring.compensation = auto: writes without a directive are undone by rules
	CommitTimeout time.Duration // pgring.saga_commit_timeout; zero means 10 s
}
