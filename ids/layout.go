package ids

import "time"

const (
	// TimeBits is the width of the time in an id: enough for 69 years after Epoch.
	TimeBits = 41
	// WorkerBits is the width of the worker's number in an id.
	WorkerBits = 10
	// SequenceBits is the width of the counter within one millisecond.
	SequenceBits = 12

	// ProxyWorkers is how many workers are proxies: those with the numbers below it.
	ProxyWorkers = 512
	// FirstShardWorker is the worker that stands for the shard with number 0; the others follow by number.
	FirstShardWorker = ProxyWorkers

	// EpochMillis is Epoch in milliseconds since 1970, as SQL computes with it.
	EpochMillis = 1704067200000

	maxSequence = 1<<SequenceBits - 1
	maxMillis   = 1<<TimeBits - 1
)

// Epoch is the moment that the time in ids counts from: 2024-01-01 in UTC. It is the same in all clusters for ever, because
// the functions on the shards have it built in, and ids made with another one could meet those that exist.
func Epoch() time.Time { return time.UnixMilli(EpochMillis) }

// Compose puts an id together. The parts must be in their ranges.
func Compose(millis int64, worker, sequence int) int64 {
	return millis<<(WorkerBits+SequenceBits) | int64(worker)<<SequenceBits | int64(sequence)
}

// Parts are what an id is made of.
type Parts struct {
	Time     time.Time // with the precision of a millisecond
	Worker   int
	Sequence int
}

// Split takes an id apart.
func Split(id int64) Parts {
	return Parts{
		Time:     time.UnixMilli(EpochMillis + id>>(WorkerBits+SequenceBits)),
		Worker:   int(id >> SequenceBits & (1<<WorkerBits - 1)),
		Sequence: int(id & maxSequence),
	}
}

// sinceEpoch is a moment as ids count it.
func sinceEpoch(t time.Time) int64 { return t.UnixMilli() - EpochMillis }
