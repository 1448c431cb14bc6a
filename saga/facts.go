package saga

import (
	"sync"

	"github.com/pgring/pgring/ring"
)

// facts are what this process has learned about the shards. A wrong one costs a failed commit, after which it is forgotten.
type facts struct {
	mu       sync.Mutex
	secrets  map[ring.ShardID][]byte // of the shards that have the tables; see pgring.saga_check
	twoPhase map[ring.ShardID]int64  // epoch of the map under which the shard had max_prepared_transactions > 0
}

func newFacts() *facts {
	return &facts{secrets: map[ring.ShardID][]byte{}, twoPhase: map[ring.ShardID]int64{}}
}

func (f *facts) isInstalled(shard ring.ShardID) bool { return f.secret(shard) != nil }

// secret is nil for a shard that is not known to have the tables.
func (f *facts) secret(shard ring.ShardID) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.secrets[shard]
}

func (f *facts) setInstalled(shard ring.ShardID, secret []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secrets[shard] = secret
}

func (f *facts) forgetInstalled(shard ring.ShardID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.secrets, shard)
}

// canPrepare reports whether the shard is known to support two-phase commit. That it does not is never remembered: the slow
// way asks each time, so that turning it on is noticed.
func (f *facts) canPrepare(shard ring.ShardID, epoch int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.twoPhase[shard]
	return ok && known == epoch
}

func (f *facts) setCanPrepare(shard ring.ShardID, epoch int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.twoPhase[shard] = epoch
}

func (f *facts) forgetCanPrepare(shard ring.ShardID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.twoPhase, shard)
}
