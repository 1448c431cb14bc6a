package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// rig is a cluster of databases of one server, whose names are the shards' hosts, with queues for table events.
type rig struct {
	t      *testing.T
	server *pgtest.Server
	topo   *topology.Topology
	queues *ingest.Queues
	dir    string
	kafka  *ingest.KafkaConfig // nil: records are in dir
	login  func(ctx context.Context, shard ring.ShardID, user string) (*pgx.Conn, error)
	told   lines
}

// lines is a log that is looked into.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

var events = topology.ParseName("events")

var rule = ingest.Rule{MaxSize: 64 << 20}

func newRig(t *testing.T, shards int, more string) *rig {
	t.Helper()
	r := &rig{t: t, server: pgtest.Start(t, 1)[0], dir: t.TempDir()}
	wish := topology.Wish{Tables: []topology.TableWish{{Name: events, Kind: topology.Sharded, Key: []string{"user_id"}}}}
	for i := range shards {
		name := fmt.Sprintf("s%d", i+1)
		r.server.CreateDatabase(t, name, pgtest.Superuser)
		r.server.ExecIn(t, name, "CREATE TABLE events (user_id bigint, n int CHECK (n >= 0), body text, PRIMARY KEY (user_id, n));"+more)
		wish.Shards = append(wish.Shards, topology.Shard{ID: ring.ShardID(name), Host: name})
	}
	dial := func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
		return pgx.Connect(ctx, r.server.DSN(pgtest.Superuser, shard.Host))
	}
	r.login = func(ctx context.Context, shard ring.ShardID, _ string) (*pgx.Conn, error) {
		return dial(ctx, topology.Shard{Host: string(shard)})
	}
	var err error
	r.topo, err = topology.New(topology.Config{Dial: dial, Wish: wish,
		Control: func(ctx context.Context) (*pgx.Conn, error) { return dial(ctx, topology.Shard{Host: "s1"}) }})
	must(t, err)
	_, err = r.topo.Start(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	// owner: the test, which waits; ends when ctx does. It renews the lease, without which lanes wait for a second each time.
	go func() { ended <- r.topo.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return r
}

// open opens the queues and runs them until the returned function is called.
func (r *rig) open(rule ingest.Rule) (stop func()) {
	r.t.Helper()
	log := slog.New(slog.NewTextHandler(io.MultiWriter(r.t.Output(), &r.told), nil))
	queues, err := ingest.NewQueues(ingest.QueuesConfig{Dir: r.dir, Kafka: r.kafka, Topology: r.topo, Log: log,
		Dial: func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) { return r.login(ctx, shard.ID, "") },
		Login: func(ctx context.Context, shard ring.ShardID, user string) (*pgx.Conn, error) {
			return r.login(ctx, shard, user)
		},
		Forget: 50 * time.Millisecond,
		Wait:   func() time.Duration { return 50 * time.Millisecond }})
	must(r.t, err)
	queues.Apply(map[topology.Name]ingest.Rule{events: rule})
	r.queues = queues
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	// owner: the test, which waits; ends when ctx does.
	go func() { ended <- queues.Run(ctx) }()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-ended }) }
	r.t.Cleanup(stop)
	return stop
}

// event is the record of INSERT INTO events.
func event(user int64, n int, body string) *ingest.Record {
	text := strconv.FormatInt(user, 10)
	key, err := ring.ParseKey(ring.KeyInt, []byte(text))
	if err != nil {
		panic(err)
	}
	return &ingest.Record{Table: events, Group: "public.events", Hash: key.Hash(), ShardKey: key.String(), User: "app",
		SQL: "INSERT INTO events (user_id, n, body) VALUES ($1, $2, $3)", Types: []uint32{20, 23, 25},
		Values: [][]byte{[]byte(text), []byte(strconv.Itoa(n)), []byte(body)}}
}

func (r *rig) append(records ...*ingest.Record) ingest.Mark {
	r.t.Helper()
	var mark ingest.Mark
	for _, record := range records {
		var err error
		mark, err = r.queues.Of(events).Append(r.t.Context(), record)
		must(r.t, err)
	}
	return mark
}

func (r *rig) wait() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	q := r.queues.Of(events)
	if err := q.Wait(ctx, q.Last()); err != nil {
		r.t.Fatalf("%v; lanes: %+v", err, r.queues.Lanes())
	}
}

// count sums what a query counts on every shard.
func (r *rig) count(query string) (sum int) {
	r.t.Helper()
	for _, shard := range r.topo.Current().Shards {
		sum += pgtest.OneIn[int](r.t, r.server, shard.Host, query)
	}
	return sum
}

func (r *rig) want(query string, want int) {
	r.t.Helper()
	if got := r.count(query); got != want {
		r.t.Errorf("%s: %d, want %d", query, got, want)
	}
}

func TestWhatWasAcceptedIsAppliedOnceOrADeadLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, "")
	stop := r.open(rule)
	var clients sync.WaitGroup
	for user := range int64(20) {
		clients.Go(func() {
			for n := range 50 {
				if _, err := r.queues.Of(events).Append(t.Context(), event(user, n, "x")); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	clients.Wait()
	r.wait()
	r.want("SELECT count(*) FROM events", 1000)
	// A key that is there, a value that a CHECK refuses, one that is no number; and good ones around them.
	r.append(event(1, 100, "good"), event(1, 7, "twice"), event(1, 101, "good"), event(1, -1, "negative"), event(1, 102, "good"))
	bad := event(1, 0, "")
	bad.Values[1] = []byte("seven")
	r.append(bad, event(1, 103, "good"))
	r.wait()
	r.want("SELECT count(*) FROM events", 1004)
	r.want("SELECT count(*) FROM pgring.dead_letter", 3)
	r.want("SELECT count(*) FROM pgring.dead_letter WHERE sqlstate IN ('23505', '23514', '22P02') AND attempts = 1 AND login = 'app'", 3)
	r.want("SELECT count(*) FROM pgring.dead_letter WHERE statement = 'INSERT INTO events (user_id, n, body) VALUES (''1'', ''-1'', ''negative'')'", 1)
	// What is in the log is read again, and not applied again.
	stop()
	stop = r.open(rule)
	r.append(event(1, 104, "good"))
	r.wait()
	r.want("SELECT count(*) FROM events", 1005)
	r.want("SELECT count(*) FROM pgring.dead_letter", 3)
	if c := r.queues.Counts()[0]; c.Applied != 1 || c.Repeated != 1007 || c.Buried != 0 {
		t.Errorf("counted %+v", c)
	}
	if said, err := os.ReadFile(r.server.LogFile()); err != nil || strings.Contains(string(said), "applied already") {
		t.Errorf("the shard was not asked before (%v)", err)
	}
	stop()
	if _, err := r.queues.Of(events).Append(t.Context(), event(1, 105, "")); !errors.As(err, new(*ingest.RefusedError)) {
		t.Errorf("a closed queue said %v", err)
	}
}

// TestTheFirstRecordLeftAfterARestartIsRefused: what stands before it in the log is done already.
func TestTheFirstRecordLeftAfterARestartIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, "")
	stop := r.open(rule)
	r.append(event(1, 1, "good"))
	r.wait()
	shard := r.topo.Current().Shards[0]
	locker := r.server.ConnectAs(t, pgtest.Superuser, shard.Host)
	_, err := locker.Exec(t.Context(), "BEGIN; LOCK TABLE events")
	must(t, err)
	r.append(event(1, -1, "negative"), event(1, 2, "good"))
	stop()
	_, err = locker.Exec(t.Context(), "ROLLBACK")
	must(t, err)
	r.open(rule)
	r.append(event(1, 3, "good"))
	r.wait()
	r.want("SELECT count(*) FROM events", 3)
	r.want("SELECT count(*) FROM pgring.dead_letter", 1)
}
