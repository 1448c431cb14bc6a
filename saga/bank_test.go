package saga_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/saga"
)

const (
	bankClients  = 16
	bankAccounts = 8 // on each shard
	bankBalance  = 1000
	bankDeaths   = 300 // one of so many messages is a proxy's last one
)

// bank is a run of transfers between shards, with two proxies that die at random messages and shards that are killed.
type bank struct {
	*cluster
	coordinators []*saga.Coordinator

	mu       sync.Mutex
	outcomes map[int64]outcome // by transfer
	deaths   int
}

// outcome is what a client was told; neither if its proxy died.
type outcome struct {
	committed, aborted bool
	unsettled          string // the saga
}

// Money moves between shards while proxies and shards die. Whatever happens: the total stays, no balance is negative, what was
// acknowledged has happened exactly once, what was refused has not, and what was left open ends as its status says.
func TestBank(t *testing.T) {
	b := &bank{cluster: newBank(t, pgtest.Start(t, 3)...), outcomes: map[int64]outcome{}}
	for i, s := range b.servers {
		s.Exec(t, `CREATE TABLE account (id int PRIMARY KEY, balance bigint CHECK (balance >= 0)); CREATE TABLE entry (transfer bigint PRIMARY KEY);
			GRANT ALL ON account, entry TO client`)
		s.Exec(t, "INSERT INTO account SELECT $1::int + generate_series(0, $2::int - 1), $3", i*bankAccounts, bankAccounts, bankBalance)
	}
	for range 2 {
		b.coordinators = append(b.coordinators, b.coordinator(t, b.dying(), func(cfg *saga.Config) {
			cfg.SetLease(200 * time.Millisecond)
			cfg.SetLocks(200 * time.Millisecond)
			cfg.SetPatience(200 * time.Millisecond)
		}))
	}
	duration := 4 * time.Second
	if text := os.Getenv("PGRING_BANK"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	kills := b.run(t, duration)
	b.awaitQuiet(t)
	b.recoverAll(t)
	b.check(t, kills)
}

func (b *bank) dying() option {
	return hook(func(p saga.Point) {
		// A janitor that died would have to be started again; its deaths are in crashes_test.go.
		if rand.N(bankDeaths) == 0 && (p.Message() == "begin" || p.Message() == "mark") {
			b.mu.Lock()
			b.deaths++
			b.mu.Unlock()
			runtime.Goexit()
		}
	})
}

// run has the clients transfer for a while, and kills shards meanwhile.
func (b *bank) run(t *testing.T, d time.Duration) (kills int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	running, stop := context.WithCancel(t.Context())
	var clients, janitors sync.WaitGroup
	for _, c := range b.coordinators {
		janitors.Go(func() {
			if err := c.Run(running); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	for i := range bankClients {
		clients.Go(func() {
			for ctx.Err() == nil {
				var one sync.WaitGroup
				one.Go(func() { b.transfer(ctx, b.coordinators[i%2]) }) // may end in Goexit
				one.Wait()
			}
		})
	}
	for ctx.Err() == nil {
		victim := b.servers[rand.N(len(b.servers))]
		victim.Kill9(t)
		victim.Restart(t)
		kills++
		before := b.acknowledged()
		await(t, "some transfers", func() bool { return ctx.Err() != nil || b.acknowledged() > before+50 })
	}
	clients.Wait()
	stop()
	janitors.Wait()
	return kills
}

func (b *bank) acknowledged() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.outcomes {
		if o.committed {
			n++
		}
	}
	return n
}

// transfer moves 1 between accounts on two shards, and writes an entry on both.
func (b *bank) transfer(ctx context.Context, coordinator *saga.Coordinator) {
	key := b.keys.Add(1)
	from := rand.N(len(b.servers))
	to := (from + 1 + rand.N(len(b.servers)-1)) % len(b.servers)
	s := saga.Saga{User: client, Timeout: time.Second}
	defer func() { // also at the proxy's death: connections end with it
		for _, step := range s.Steps {
			step.Conn.Discard()
		}
	}()
	for i, shard := range []int{from, to} {
		conn, err := b.pools.Acquire(ctx, b.shards[shard], client)
		if err != nil {
			return
		}
		s.Steps = append(s.Steps, b.move(conn, key, shard*bankAccounts+rand.N(bankAccounts), 2*i-1))
		if !runStep(conn, key, s.Steps[i]) {
			return
		}
	}
	id, err := coordinator.CommitSaga(ctx, s)
	o := outcome{committed: err == nil}
	var unsettled *saga.UnsettledError
	if errors.As(err, &unsettled) {
		o.unsettled = id
	}
	var aborted *saga.AbortedError
	o.aborted = errors.As(err, &aborted)
	b.mu.Lock()
	b.outcomes[key] = o
	b.mu.Unlock()
}

// move is a step that changes an account by one.
func (b *bank) move(conn *backend.Conn, key int64, account, by int) saga.Step {
	return saga.Step{Conn: conn, Undo: []saga.Statement{
		{SQL: fmt.Sprintf("UPDATE account SET balance = balance - (%d) WHERE id = %d", by, account), Rows: 1},
		{SQL: fmt.Sprintf("DELETE FROM entry WHERE transfer = %d", key), Rows: 1},
	}, Redo: []saga.Statement{{SQL: fmt.Sprintf("UPDATE account SET balance = balance + (%d) WHERE id = %d", by, account)}}}
}

// runStep does at once what the step is about; false if it could not.
func runStep(conn *backend.Conn, key int64, step saga.Step) bool {
	for _, sql := range []string{"BEGIN", "SET LOCAL lock_timeout = '300ms'", step.Redo[0].SQL, fmt.Sprintf("INSERT INTO entry VALUES (%d)", key)} {
		if run(conn, sql) != nil {
			return false
		}
	}
	return true
}

func (b *bank) check(t *testing.T, kills int) {
	t.Helper()
	total, counts := 0, map[string]int{}
	entries := map[int64]int{}
	for i, s := range b.servers {
		total += b.count(t, i, "SELECT sum(balance) FROM account")
		for _, key := range pgtest.One[[]int64](t, s, "SELECT coalesce(array_agg(transfer), '{}') FROM entry") {
			entries[key]++
		}
	}
	if want := 3 * bankAccounts * bankBalance; total != want {
		t.Errorf("the total is %d, want %d", total, want)
	}
	status := b.coordinator(t)
	for key := range b.keys.Load() + 1 {
		n, o := entries[key], b.outcomes[key]
		if o.unsettled != "" {
			got, err := status.Status(t.Context(), o.unsettled)
			if err != nil || !got.State.Settled() || (got.State == saga.Committed) != (n == 2) {
				t.Errorf("transfer %d is on %d shards, its status %+v, %v", key, n, got, err)
			}
			counts["unsettled"]++
		}
		if n != 0 && n != 2 || o.committed && n != 2 || o.aborted && n != 0 {
			t.Errorf("transfer %d is on %d shards, but the client was told %+v", key, n, o)
		}
		if o.committed {
			counts["committed"]++
		} else if o.aborted {
			counts["aborted"]++
		}
	}
	if report, err := status.Verify(t.Context()); err != nil || len(report.Problems) > 0 {
		t.Errorf("verify: %+v, %v", report, err)
	}
	if counts["committed"] == 0 || kills == 0 {
		t.Errorf("%d committed, %d kills", counts["committed"], kills)
	}
	recovered := int64(0)
	for _, c := range b.coordinators {
		recovered += c.Stats().Recovered
	}
	t.Logf("transfers: %v; %d deaths of proxies, %d kills of shards, %d sagas recovered; total %d", counts, b.deaths, kills, recovered, total)
}
