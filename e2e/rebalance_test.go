package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
)

const ledgerCustomers = 300

// ledgerPace is how long its clients wait between two rounds. PGRING_LEDGER_PACE=0 has them go as fast as they can, which is for a
// machine that has nothing else to do: two cores are kept busy by these clients alone, and every step of a move waits for them.
func ledgerPace(t testing.TB) time.Duration {
	t.Helper()
	return given(t, "PGRING_LEDGER_PACE", "", 5*time.Millisecond)
}

// rest is what a client does between two rounds.
func rest(ctx context.Context, pace time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pace):
	}
}

// ledger writes orders with unique ids, adds to balances and counts customers, through several proxies, and keeps what was
// acknowledged and what may have happened.
type ledger struct {
	pace    time.Duration
	proxies []*pgring
	next    atomic.Int64
	stopped context.CancelFunc
	group   sync.WaitGroup

	mu       sync.Mutex
	acked    map[int64]int64 // customer by order
	unknown  map[int64]bool  // orders whose client got no answer
	balance  int64           // added and acknowledged
	doubtful int64           // added without an answer
	errors   []clientError   // of clients whose proxy was not killed
	counts   int
	slowest  time.Duration
	killed   map[*pgring]bool
	faulty   bool                      // servers are killed, so that clients may get errors, but no wrong answer
	open     map[*pgring]*sync.RWMutex // held for reading while a transaction is open in a proxy
	stalled  map[*pgring]bool          // what was on its way in them when they stood still may have to be repeated
}

// clientError is what no client should have got.
type clientError struct {
	proxy  *pgring
	repeat bool // the transaction is to be repeated
	text   string
}

// excused reports whether the proxy stood still by itself, as it does on a machine that is overrun, so that a move did not wait for it.
func (e *clientError) excused() bool {
	return e.repeat && strings.Contains(e.proxy.log.String(), "without a lease")
}

func startLedger(t *testing.T, c *cluster, proxies ...*pgring) *ledger {
	t.Helper()
	l := &ledger{pace: ledgerPace(t), proxies: proxies, acked: map[int64]int64{}, unknown: map[int64]bool{}, killed: map[*pgring]bool{}, stalled: map[*pgring]bool{},
		open: map[*pgring]*sync.RWMutex{}}
	for _, p := range proxies {
		l.open[p] = &sync.RWMutex{}
	}
	filler := proxies[0].connect(t)
	for id := range ledgerCustomers {
		execute(t, filler, "INSERT INTO customers VALUES ($1, 'somebody')", id+1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.stopped = cancel
	for i, p := range proxies {
		for range 2 {
			// owner: the ledger, whose stop waits; ends when ctx does.
			l.group.Go(func() { l.write(ctx, p) })
		}
		// owner: the ledger, whose stop waits; ends when ctx does.
		l.group.Go(func() { l.writeWide(ctx, p, i) })
		// owner: the ledger, whose stop waits; ends when ctx does.
		l.group.Go(func() { l.writeBlocks(ctx, p, len(proxies)) })
		// owner: the ledger, whose stop waits; ends when ctx does.
		l.group.Go(func() { l.count(ctx, p) })
	}
	t.Cleanup(func() {
		if t.Failed() {
			c.look(t)
		}
		l.stop()
	})
	return l
}

// look shows, of a test that has failed, what the proxies say of themselves and what the shards are at.
func (c *cluster) look(t *testing.T) {
	t.Helper()
	for i, s := range c.servers {
		for _, sql := range []string{
			"SELECT string_agg(p::text, E'\\n') FROM pgring.proxies p",
			"SELECT string_agg(format('%s %s %s %s %s: %s', pid, application_name, state, wait_event, now() - xact_start, query), E'\\n') FROM pg_stat_activity WHERE state <> 'idle'",
			"SELECT string_agg(p::text, E'\\n') FROM pg_prepared_xacts p",
			"SELECT string_agg(g::text, E'\\n') FROM pgring.guards g",
		} {
			if strings.Contains(sql, "proxies") && i > 0 {
				continue
			}
			if found := pgtest.OneIn[*string](t, s, database, sql); found != nil {
				t.Logf("%s: %s", shardName(i), *found)
			}
		}
	}
}

func (l *ledger) stop() {
	l.stopped()
	l.group.Wait()
}

// session keeps a connection through a proxy, a new one when it is lost.
func (l *ledger) session(ctx context.Context, p *pgring, body func(context.Context, *pgx.Conn) error) {
	lasting := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		conn, err := pgx.Connect(lasting, p.dsn(appLogin))
		if err != nil {
			continue
		}
		for ctx.Err() == nil && !conn.IsClosed() {
			if err := body(lasting, conn); err != nil {
				l.note(p, err)
			}
			rest(ctx, l.pace)
		}
		_ = conn.Close(lasting)
	}
}

// stall has a proxy stand still. It has no transaction open then: moves wait for what is.
func (l *ledger) stall(t *testing.T, p *pgring) (resume func()) {
	t.Helper()
	l.mu.Lock()
	l.stalled[p] = true
	l.mu.Unlock()
	l.open[p].Lock()
	p.freeze(t)
	resume = sync.OnceFunc(func() {
		must(t, p.command.Process.Signal(syscall.SIGCONT))
		l.open[p].Unlock()
	})
	t.Cleanup(resume)
	return resume
}

func (l *ledger) note(p *pgring, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var refused *pgconn.PgError
	repeat := errors.As(err, &refused) && refused.Code == "40001"
	if repeat {
		err = fmt.Errorf("%w (%s)", err, refused.Detail)
	}
	if !l.faulty && !l.killed[p] && (!l.stalled[p] || !repeat) {
		l.errors = append(l.errors, clientError{proxy: p, repeat: repeat, text: err.Error()})
	}
}

func (l *ledger) write(ctx context.Context, p *pgring) {
	l.session(ctx, p, func(ctx context.Context, conn *pgx.Conn) error {
		order, customer := l.next.Add(1), rand.Int64N(ledgerCustomers)+1
		began := time.Now()
		_, err := conn.Exec(ctx, "INSERT INTO orders VALUES ($1, $2, 'thing')", customer, order)
		l.keep(err, time.Since(began), func(unknown bool) {
			if unknown {
				l.unknown[order] = true
			} else {
				l.acked[order] = customer
			}
		})
		if err != nil {
			return fmt.Errorf("order %d: %w", order, err)
		}
		began = time.Now()
		tag, err := conn.Exec(ctx, "UPDATE customers SET balance = balance + 1 WHERE id = $1", customer)
		if err == nil && tag.RowsAffected() != 1 {
			err = fmt.Errorf("customer %d was not found, after %s, at %s", customer, time.Since(began), time.Now())
		}
		l.keep(err, time.Since(began), func(unknown bool) {
			if unknown {
				l.doubtful++
			} else {
				l.balance++
			}
		})
		if err != nil {
			return fmt.Errorf("balance: %w", err)
		}
		return nil
	})
}

// Whoever has several customers' rows at once has those that nobody else has so, or takes them in one order: nobody would notice two
// sessions that wait for each other on two shards. Of every so many customers the first is for the statements on all shards through the
// first proxy, and so on; the rest are for blocks.
const (
	many  = 15
	every = ledgerCustomers / many
	half  = many / 2 * every
)

// writeBlocks adds to the balances of two customers in blocks that all shards commit or none: by two-phase commit or as a saga.
func (l *ledger) writeBlocks(ctx context.Context, p *pgring, proxies int) {
	modes := []string{"2pc", "saga'; SET LOCAL pgring.compensation = 'auto"}
	i := 0
	l.session(ctx, p, func(ctx context.Context, conn *pgx.Conn) error {
		i++
		l.open[p].RLock()
		defer l.open[p].RUnlock()
		customer := rand.Int64N(half/every)*every + int64(proxies) + rand.Int64N(int64(every-proxies))
		began := time.Now()
		err := func() error {
			tx, err := conn.Begin(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback(ctx) }() // without effect behind COMMIT
			if _, err := tx.Exec(ctx, "SET LOCAL pgring.cross_shard = '"+modes[i%len(modes)]+"'"); err != nil {
				return err
			}
			for _, id := range []int64{customer, customer + half} {
				tag, err := tx.Exec(ctx, "UPDATE customers SET balance = balance + 1 WHERE id = $1", id)
				if err == nil && tag.RowsAffected() != 1 {
					err = fmt.Errorf("customer %d was not found", id)
				}
				if err != nil {
					return err
				}
			}
			return tx.Commit(ctx)
		}()
		l.keep(err, time.Since(began), func(unknown bool) {
			if unknown {
				l.doubtful += 2
			} else {
				l.balance += 2
			}
		})
		if err != nil {
			return fmt.Errorf("block in mode %s: %w", modes[i%len(modes)], err)
		}
		return nil
	})
}

// writeWide writes to all shards at once: orders by COPY, and balances by one UPDATE.
func (l *ledger) writeWide(ctx context.Context, p *pgring, i int) {
	l.session(ctx, p, func(ctx context.Context, conn *pgx.Conn) error {
		l.open[p].RLock()
		defer l.open[p].RUnlock()
		first := l.next.Add(many) - many + 1
		began := time.Now()
		_, err := conn.CopyFrom(ctx, pgx.Identifier{"orders"}, []string{"id", "customer_id", "item"}, pgx.CopyFromSlice(many, func(i int) ([]any, error) {
			return []any{first + int64(i), (first+int64(i)*every)%ledgerCustomers + 1, "copied"}, nil
		}))
		l.keep(err, time.Since(began), func(unknown bool) {
			for id := first; id < first+many; id++ {
				if unknown {
					l.unknown[id] = true
				} else {
					l.acked[id] = 0
				}
			}
		})
		if err != nil {
			return fmt.Errorf("copy: %w", err)
		}
		began = time.Now()
		tag, err := conn.Exec(ctx, "UPDATE customers SET balance = balance + 1 WHERE id % $1 = $2", every, i)
		if err == nil && tag.RowsAffected() != many {
			err = fmt.Errorf("%d customers were found", tag.RowsAffected())
		}
		l.keep(err, time.Since(began), func(unknown bool) {
			if unknown {
				l.doubtful += many
			} else {
				l.balance += many
			}
		})
		if err != nil {
			return fmt.Errorf("balances: %w", err)
		}
		return nil
	})
}

// keep records one write.
func (l *ledger) keep(err error, took time.Duration, do func(unknown bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
	do(err != nil)
}

// count reads all shards at once in every way: the number of customers never changes.
func (l *ledger) count(ctx context.Context, p *pgring) {
	ways := []string{"SELECT count(*) FROM customers", // merged
		"SELECT (avg(id) * 2)::int - 1 FROM customers",                                      // combined
		"SELECT count(DISTINCT id) FROM customers",                                          // pulled
		"SELECT count(*) FROM (SELECT id FROM customers UNION ALL SELECT 0) c WHERE id > 0", // a subquery of it
	}
	i := 0
	l.session(ctx, p, func(ctx context.Context, conn *pgx.Conn) error {
		l.open[p].RLock() // a pull has temporary tables, and so a transaction that writes
		defer l.open[p].RUnlock()
		var n int
		way := ways[i%len(ways)]
		i++
		if err := conn.QueryRow(ctx, way).Scan(&n); err != nil {
			return fmt.Errorf("%s: %w", way, err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.counts++
		if n != ledgerCustomers {
			l.errors = append(l.errors, clientError{proxy: p, text: fmt.Sprintf("%s: %d customers are seen", way, n)})
		}
		return nil
	})
}

// check compares the shards with the ledger: every acknowledged write is there once, and nothing that was not written.
func (l *ledger) check(t *testing.T, c *cluster) {
	t.Helper()
	l.stop()
	for _, e := range l.errors[:min(len(l.errors), 10)] {
		if e.excused() {
			t.Logf("a proxy stood still: %s", e.text)
		} else {
			t.Errorf("client error: %s", e.text)
		}
	}
	found := map[int64]int{}
	var balance int64
	for i, s := range c.servers {
		eventually(t, patience, "what was prepared by the killed is committed", func(context.Context) error {
			if n := c.count(t, i, "SELECT count(*) FROM pg_prepared_xacts"); n > 0 {
				return fmt.Errorf("%d transactions are not", n)
			}
			return nil
		})
		conn := s.ConnectAs(t, pgtest.Superuser, database)
		rows, err := conn.Query(t.Context(), "SELECT id FROM orders")
		must(t, err)
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		must(t, err)
		for _, id := range ids {
			found[id]++
		}
		balance += one[int64](t, conn, "SELECT coalesce(sum(balance), 0)::bigint FROM customers")
	}
	for id := range l.acked {
		if found[id] != 1 {
			t.Errorf("order %d was acknowledged and is there %d times", id, found[id])
		}
	}
	for id, n := range found {
		if _, acked := l.acked[id]; !acked && (!l.unknown[id] || n > 1) {
			t.Errorf("order %d was not written and is there %d times", id, n)
		}
	}
	if balance < l.balance || balance > l.balance+l.doubtful {
		t.Errorf("the balances are %d; %d were acknowledged, %d not answered", balance, l.balance, l.doubtful)
	}
	t.Logf("%d orders acknowledged, %d not answered; %d counts over all shards; slowest write %s", len(l.acked), len(l.unknown), l.counts, l.slowest)
}

// move is a row of SHOW REBALANCE.
func moves(ctx context.Context, console *pgx.Conn) ([]map[string]any, error) {
	rows, err := console.Query(ctx, "SHOW REBALANCE")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToMap)
}

// awaitMoves waits until every move is as wanted.
func awaitMoves(t testing.TB, p *pgring, what string, is func(move map[string]any) bool) {
	t.Helper()
	var console *pgx.Conn
	eventually(t, 2*patience, what, func(ctx context.Context) error {
		if console == nil || console.IsClosed() {
			console = p.console(t)
		}
		all, err := moves(ctx, console)
		if err != nil || len(all) == 0 {
			return errors.Join(err, errors.New("there is no move"))
		}
		for _, m := range all {
			if !is(m) {
				return fmt.Errorf("move %v", m)
			}
		}
		return nil
	})
}

func moveIs(states ...string) func(map[string]any) bool {
	return func(m map[string]any) bool {
		for _, s := range states {
			if m["state"] == s {
				return true
			}
		}
		return false
	}
}

// addSpare adds the fourth server.
func (c *cluster) addSpare(t testing.TB, console *pgx.Conn) {
	t.Helper()
	s := c.servers[len(c.servers)-1]
	execute(t, console, fmt.Sprintf("ADD SHARD %s HOST %s PORT %d", shardName(len(c.servers)-1), s.Host, s.Port))
}

func TestRebalanceUnderALedger(t *testing.T) {
	t.Parallel()
	c := start(t, layout{spare: 1, binary: plainVariable})
	second := c.startProxy(t)
	l := startLedger(t, c, c.pgring, second)
	console := c.console(t)
	c.addSpare(t, console)
	execute(t, console, "REBALANCE START")
	awaitMoves(t, second, "the fourth shard has its share", moveIs("done"))
	all, err := moves(t.Context(), console)
	must(t, err)
	for _, m := range all {
		t.Logf("move %v: %v → %v, %v slots, pause %v ms, %v s", m["move"], m["source"], m["target"], m["slots"], m["pause_ms"], m["seconds"])
	}
	hot := c.isolate(t, console, second)
	// A table that was whole on the home shard is spread, and the second shard gives everything away, while a proxy stands still.
	execute(t, c.connect(t), "INSERT INTO notes SELECT g, 'note' FROM generate_series(1, 500) g")
	for i := range c.servers[1:] {
		c.servers[i+1].ExecIn(t, database, "SET ROLE app; CREATE TABLE notes (id bigint PRIMARY KEY, body text)")
	}
	execute(t, console, "SHARD TABLE notes BY id")
	resume := l.stall(t, second)
	execute(t, console, "DRAIN SHARD s2")
	awaitMoves(t, c.pgring, "all is moved, but for guards against the one that stands still", moveIs("done", "guarding"))
	resume()
	awaitMoves(t, second, "the guards are gone", moveIs("done"))
	if n := one[int64](t, second.connect(t), "SELECT count(*) FROM notes"); n != 500 {
		t.Errorf("%d notes are there", n)
	}
	for _, i := range []int{0, 2} {
		if n := c.count(t, i, "SELECT count(*) FROM notes"); n == 0 {
			t.Errorf("%s has no notes", shardName(i))
		}
	}
	if at := placement(t, console, hot); at != "s4" {
		t.Errorf("the pinned key is on %s", at)
	}
	execute(t, console, fmt.Sprintf("UNPIN KEY %d OF customers", hot))
	awaitMoves(t, second, "the key is back", moveIs("done"))
	if at := placement(t, console, hot); at == "s4" {
		t.Error("the key is pinned still")
	}
	l.check(t, c)
	c.checkNothingLeft(t)
	execute(t, console, "DROP SHARD s2 CONFIRM")
}

// placement says where a customer is.
func placement(t *testing.T, console *pgx.Conn, customer int) string {
	t.Helper()
	rows, err := console.Query(t.Context(), fmt.Sprintf("SHOW PLACEMENT customers %d", customer))
	must(t, err)
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToMap)
	must(t, err)
	return fmt.Sprint(found["shard"])
}

// isolate moves one customer of s3 to the fourth shard, and gives that shard the weight 0, so that no rebalance gives it slots.
func (c *cluster) isolate(t *testing.T, console *pgx.Conn, second *pgring) (customer int) {
	t.Helper()
	for customer = 1; placement(t, console, customer) != "s3"; customer++ {
	}
	execute(t, console, fmt.Sprintf("MOVE KEY %d TO s4", customer))
	awaitMoves(t, second, "the key is moved", moveIs("done"))
	if at := placement(t, console, customer); at != "s4" {
		t.Errorf("the key is on %s", at)
	}
	execute(t, console, "ALTER SHARD s4 WEIGHT 0")
	return customer
}

// checkNothingLeft makes sure that moves have left nothing on the shards.
func (c *cluster) checkNothingLeft(t *testing.T) {
	t.Helper()
	for i := range c.servers {
		if n := c.count(t, i, `SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)
+ (SELECT count(*) FROM pg_trigger WHERE tgname LIKE '%pgring%')`); n != 0 {
			t.Errorf("%s: %d slots, publications and triggers are left", shardName(i), n)
		}
		if pgtest.OneIn[bool](t, c.servers[i], database, "SELECT to_regclass('pgring.guards') IS NULL") {
			continue
		}
		if n := pgtest.OneIn[int](t, c.servers[i], database, "SELECT (SELECT count(*) FROM pgring.guards) + (SELECT count(*) FROM pgring.move_progress)"); n != 0 {
			t.Errorf("%s: %d guards and positions are left", shardName(i), n)
		}
	}
}
