package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// QueuesConfig is what NewQueues needs.
type QueuesConfig struct {
	Dir      string       // a folder in which each table's log has one of its own
	Kafka    *KafkaConfig // where records are instead; logs that are left in Dir are still applied. nil: in Dir
	Topology *topology.Topology
	// Dial connects to a shard with the operator's login.
	Dial func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error)
	// Login connects to a shard with the login of a client's user.
	Login  func(ctx context.Context, shard ring.ShardID, user string) (*pgx.Conn, error)
	Forget time.Duration        // between two times that shards forget what is done; 0: a minute
	Wait   func() time.Duration // how long Append waits for a queue that is too far behind; nil: a second
	Log    *slog.Logger         // nil discards
}

// Queues are the asynchronous writes of this process: a queue for each table that has them.
type Queues struct {
	cfg     QueuesConfig
	applies sync.Mutex // one Apply at a time
	queues  atomic.Pointer[map[queueKey]*Queue]
	changed chan struct{} // tells Run that there are more; capacity 1
}

// queueKey tells the queues of a table apart: one in a log of this proxy's own may be left from before.
type queueKey struct {
	table  topology.Name
	shared bool
}

// NewQueues checks the configuration. It opens nothing.
func NewQueues(cfg QueuesConfig) (*Queues, error) {
	if cfg.Topology == nil || cfg.Dial == nil || cfg.Login == nil {
		return nil, errors.New("asynchronous writes need the topology and ways to connect to shards")
	}
	if cfg.Wait == nil {
		cfg.Wait = func() time.Duration { return time.Second }
	}
	if cfg.Forget <= 0 {
		cfg.Forget = forgetEvery
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	qs := &Queues{cfg: cfg, changed: make(chan struct{}, 1)}
	qs.queues.Store(&map[queueKey]*Queue{})
	return qs, nil
}

// Apply says which tables have asynchronous writes. Their logs are opened, and so are those that are left of other tables: what is in
// them is still applied. A log that cannot be used is logged, and its table's writes are refused. Size of a log that is open already
// stays as it is.
func (qs *Queues) Apply(rules map[topology.Name]Rule) {
	qs.applies.Lock()
	defer qs.applies.Unlock()
	all := maps.Clone(*qs.queues.Load())
	for key, q := range all {
		if _, goesOn := rules[key.table]; !goesOn {
			q.rule.Store(nil)
		}
	}
	for _, name := range qs.left() {
		if key := (queueKey{table: name}); all[key] == nil {
			all[key] = newQueue(&qs.cfg, name, qs.folder(name))
		}
	}
	for name, rule := range rules {
		key := qs.key(name)
		if all[key] == nil {
			all[key] = newQueue(&qs.cfg, name, qs.folder(name))
			all[key].shared = key.shared
		}
		all[key].rule.Store(&rule)
	}
	for _, q := range all {
		if log, problem := q.usable(); log == nil && problem == nil && !q.shared {
			q.open()
		}
	}
	qs.queues.Store(&all)
	select {
	case qs.changed <- struct{}{}:
	default:
	}
}

// key is that of the queue that takes a table's writes.
func (qs *Queues) key(table topology.Name) queueKey {
	return queueKey{table: table, shared: qs.cfg.Kafka != nil}
}

const logSuffix = ".log"

// folder is where a table's log is.
func (qs *Queues) folder(table topology.Name) string {
	escape := func(part string) string { return strings.ReplaceAll(url.PathEscape(part), ".", "%2E") }
	return filepath.Join(qs.cfg.Dir, escape(table.Schema)+"."+escape(table.Table)+logSuffix)
}

// left lists the tables of which there is a log.
func (qs *Queues) left() []topology.Name {
	if qs.cfg.Dir == "" {
		return nil
	}
	entries, err := os.ReadDir(qs.cfg.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		qs.cfg.Log.Error("look for logs of asynchronous writes", "error", err)
	}
	var names []topology.Name
	for _, e := range entries {
		schema, table, ok := strings.Cut(strings.TrimSuffix(e.Name(), logSuffix), ".")
		name := topology.Name{}
		var errs [2]error
		name.Schema, errs[0] = url.PathUnescape(schema)
		name.Table, errs[1] = url.PathUnescape(table)
		if ok && errors.Join(errs[:]...) == nil && filepath.Base(qs.folder(name)) == e.Name() {
			names = append(names, name)
		}
	}
	return names
}

// Of returns the queue of a table whose writes are asynchronous; nil: they are not.
func (qs *Queues) Of(table topology.Name) *Queue {
	if q := (*qs.queues.Load())[qs.key(table)]; q != nil && q.rule.Load() != nil {
		return q
	}
	return nil
}

// Run applies what is in the queues until ctx ends. It always returns nil.
func (qs *Queues) Run(ctx context.Context) error {
	var group sync.WaitGroup
	running := map[*Queue]bool{}
	for ctx.Err() == nil {
		for _, q := range *qs.queues.Load() {
			if !running[q] {
				running[q] = true
				// owner: Run, which waits; ends when ctx does.
				group.Go(func() { q.run(ctx) })
			}
		}
		select {
		case <-ctx.Done():
		case <-qs.changed:
		}
	}
	group.Wait()
	return nil
}

// LaneStatus is how one lane is.
type LaneStatus struct {
	Table    topology.Name
	Shard    ring.ShardID  // empty: the queue has no lanes at present
	Applied  uint64        // every record of the lane up to this one is done
	Accepted uint64        // the last record of the queue
	Lag      time.Duration // since the oldest record that is not done was accepted
	LogSize  int64         // of the queue, in bytes
	Problem  string        // why it does not get on; empty: it does
	Stuck    uint64        // the record that it waits for, whose statement fails over and over; 0: none
	Open     bool          // new writes are accepted
	Shared   bool          // the log is a topic of Kafka, which all proxies read
	Applies  bool          // this proxy applies the lane's records
}

// QueueCounts count the records of one table since the start of the process.
type QueueCounts struct {
	Table    topology.Name
	Accepted int64 // acknowledged to clients
	Applied  int64 // written to a shard
	Buried   int64 // became a dead letter, again perhaps
	Repeated int64 // were found to be applied already, after a crash or a lost connection
}

// Lanes lists all lanes by table and shard.
func (qs *Queues) Lanes() []LaneStatus {
	var all []LaneStatus
	for _, q := range *qs.queues.Load() {
		all = append(all, q.status()...)
	}
	slices.SortFunc(all, func(a, b LaneStatus) int {
		return cmp.Or(cmp.Compare(a.Table.String(), b.Table.String()), cmp.Compare(a.Shard, b.Shard))
	})
	return all
}

// Counts lists the counts of all queues by table.
func (qs *Queues) Counts() []QueueCounts {
	var all []QueueCounts
	for _, q := range *qs.queues.Load() {
		c := &q.counts
		all = append(all, QueueCounts{Table: q.table, Accepted: c.accepted.Load(), Applied: c.applied.Load(), Buried: c.buried.Load(), Repeated: c.repeated.Load()})
	}
	slices.SortFunc(all, func(a, b QueueCounts) int { return cmp.Compare(a.Table.String(), b.Table.String()) })
	return all
}

// status tells how the lanes of the queue are.
func (q *Queue) status() []LaneStatus {
	q.watched.Lock()
	defer q.watched.Unlock()
	whole := LaneStatus{Table: q.table, Open: q.rule.Load() != nil && q.problem == nil && q.shut == nil && q.away == nil, Shared: q.shared}
	if q.log != nil {
		whole.Accepted, whole.LogSize = q.log.Last(), q.log.Size()
	}
	for _, l := range q.lanes {
		whole.Accepted = max(whole.Accepted, l.next-1) // its topic may be away
	}
	if why := cmp.Or(q.problem, q.shut, q.away); why != nil {
		whole.Problem = why.Error()
	}
	var all []LaneStatus
	for _, l := range q.lanes {
		one := whole
		one.Shard, one.Applied, one.Applies = l.shard, l.next-1, l.applying
		if !l.at.IsZero() {
			one.Lag = time.Since(l.at)
		}
		if l.stuck != nil {
			one.Stuck = l.stuck.index
		}
		if one.Problem == "" {
			one.Problem = l.problem
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		whole.Applied = max(q.low, 1) - 1
		all = append(all, whole)
	}
	return all
}

// with runs do with a connection of the operator's to a shard.
func (qs *Queues) with(ctx context.Context, shard topology.Shard, do func(*pgx.Conn) error) error {
	conn, err := qs.cfg.Dial(ctx, shard)
	if err != nil {
		return fmt.Errorf("shard %s: %w", shard.ID, err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing) // nothing depends on it
	}()
	if err := do(conn); err != nil {
		return fmt.Errorf("shard %s: %w", shard.ID, err)
	}
	return nil
}
