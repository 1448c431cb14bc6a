package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	bankClients = 16
	bankSavings = 1000 // of each account at the start
)

// bankTime is how long the bank is open; PGRING_BANK_SECONDS makes it longer.
func bankTime(t testing.TB) time.Duration {
	t.Helper()
	return given(t, "PGRING_BANK_SECONDS", "s", 10*time.Second)
}

// bank is clients that move money between accounts on different shards, and what they were told.
type bank struct {
	*cluster
	proxies  []*pgring
	accounts []int64
	begun    time.Time
	numbers  atomic.Int64 // of transfers; each leaves an order of its number with both accounts

	mu        sync.Mutex
	committed []int64
	failed    []int64          // told that nothing remains
	unsettled map[int64]string // told the saga's id
	unknown   int              // the connection broke
	codes     map[string]int
	history   []event
}

func TestBankKeepsItsMoneyWhileProxiesAndShardsDie(t *testing.T) {
	c := start(t, layout{})
	b := &bank{cluster: c, proxies: []*pgring{c.pgring, c.startProxy(t)}, begun: time.Now(), unsettled: map[int64]string{}, codes: map[string]int{}}
	conn := c.connect(t)
	for server := range c.servers {
		b.accounts = append(b.accounts, c.customersOn(t, server, 1, 4)...)
	}
	for _, id := range b.accounts {
		execute(t, conn, "INSERT INTO customers (id, name, balance) VALUES ($1, 'saver', $2)", id, bankSavings)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range bankClients {
		// owner: this test; ends when cancel ends ctx
		clients.Go(func() { b.serve(ctx, b.proxies[i%len(b.proxies)].dsn(appLogin)) })
	}
	kills := b.disturb(t, time.Now().Add(bankTime(t)))
	cancel()
	clients.Wait()
	b.settle(t)
	b.audit(t)
	b.checkHistory(t)
	t.Logf("%d transfers: %d committed, %d without effect, %d unsettled at first, %d of unknown outcome; %d kills; SQLSTATEs %v",
		b.numbers.Load(), len(b.committed), len(b.failed), len(b.unsettled), b.unknown, kills, b.codes)
}

// disturb kills and restarts proxies and shards in turn, by chance, until the time is over.
func (b *bank) disturb(t *testing.T, end time.Time) (kills int) {
	for time.Now().Before(end) {
		b.mu.Lock()
		before := len(b.committed)
		b.mu.Unlock()
		eventually(t, patience, "transfers succeed", func(context.Context) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(b.committed) < before+20 {
				return fmt.Errorf("only %d since the last kill", len(b.committed)-before)
			}
			return nil
		})
		if victim := rand.IntN(len(b.proxies) + len(b.servers)); victim < len(b.proxies) {
			b.proxies[victim].kill9(t)
			b.proxies[victim].start(t)
		} else {
			s := b.servers[victim-len(b.proxies)]
			s.Kill9(t)
			s.Restart(t)
		}
		kills++
	}
	return kills
}

// serve moves money until ctx ends, and connects again whenever the connection is gone.
func (b *bank) serve(ctx context.Context, dsn string) {
	for ctx.Err() == nil {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			continue
		}
		for ctx.Err() == nil && !conn.IsClosed() {
			b.transfer(ctx, conn)
			b.look(ctx, conn)
		}
		_ = conn.Close(context.WithoutCancel(ctx)) // its proxy may be dead
	}
}

// transfer moves money between two accounts and notes what the client is told.
func (b *bank) transfer(ctx context.Context, conn *pgx.Conn) {
	from := b.accounts[rand.IntN(len(b.accounts))]
	to := b.accounts[rand.IntN(len(b.accounts))]
	if from == to {
		return
	}
	number, amount := b.numbers.Add(1), int64(1+rand.IntN(300))
	e := event{number: number, accounts: [2]int64{from, to}, amount: amount, call: b.now()}
	var err error
	e.after, err = move(context.WithoutCancel(ctx), conn, number, from, to, amount)
	e.told = b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() { b.history = append(b.history, e) }()
	var told *pgconn.PgError
	switch {
	case err == nil:
		b.committed = append(b.committed, number)
	case errors.Is(err, errPoor):
		b.failed = append(b.failed, number)
	case !errors.As(err, &told) || told.Severity == "FATAL" || told.Code == "08007":
		b.unknown++
		e.told = never
	case told.Code == "40003":
		b.codes[told.Code]++
		e.told = never
		_, rest, _ := strings.Cut(told.Hint, "'")
		id, _, _ := strings.Cut(rest, "'")
		b.unsettled[number] = id
	default:
		b.codes[told.Code]++
		b.failed = append(b.failed, number)
	}
}

var errPoor = errors.New("not enough money")

// move is one transfer, and returns the balances that it has seen. Each account gets a row of its number too, which stays without
// an item if it is undone.
func move(ctx context.Context, conn *pgx.Conn, number, from, to, amount int64) (after [2]balance, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return after, err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "SET LOCAL pgring.cross_shard = 'saga'"); err != nil {
		return after, err
	}
	const (
		take = "UPDATE customers SET balance = balance - $2 WHERE id = $1 AND balance >= $2 RETURNING balance" +
			" /* compensate: UPDATE customers SET balance = balance + $2 WHERE id = $1 */"
		give = "UPDATE customers SET balance = balance + $2 WHERE id = $1 RETURNING balance" +
			" /* compensate: UPDATE customers SET balance = balance - $2 WHERE id = $1 */"
		book = "INSERT INTO orders (customer_id, id, item) VALUES ($1, $2, $3)" +
			" /* compensate: UPDATE orders SET item = NULL WHERE customer_id = $1 AND id = $2 */"
	)
	err = tx.QueryRow(ctx, take, from, amount).Scan(&after[0].is)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return after, errPoor
	case err != nil:
		return after, err
	}
	after[0].known = true
	if _, err := tx.Exec(ctx, book, from, number, fmt.Sprintf("-%d", amount)); err != nil {
		return after, err
	}
	if err := tx.QueryRow(ctx, give, to, amount).Scan(&after[1].is); err != nil {
		return after, err
	}
	after[1].known = true
	if _, err := tx.Exec(ctx, book, to, number, fmt.Sprintf("+%d", amount)); err != nil {
		return after, err
	}
	return after, tx.Commit(ctx)
}

// settle waits until no saga is under way and nothing of dead processes is left.
func (b *bank) settle(t *testing.T) {
	t.Helper()
	for i, s := range b.servers {
		conn := s.ConnectAs(t, "postgres", database)
		eventually(t, patience, "sagas are settled on "+shardName(i), func(context.Context) error {
			if open := one[int](t, conn, "SELECT count(*) FROM pgring.saga WHERE finished IS NULL"); open > 0 {
				return fmt.Errorf("%d sagas are not settled", open)
			}
			if busy := one[int](t, conn, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND state LIKE 'idle in transaction%'"); busy > 0 {
				return fmt.Errorf("%d transactions are open", busy)
			}
			return nil
		})
	}
}

// audit holds the books against what the clients were told.
func (b *bank) audit(t *testing.T) {
	t.Helper()
	total, sides := int64(0), map[int64]int{}
	for i, s := range b.servers {
		conn := s.ConnectAs(t, "postgres", database)
		total += one[int64](t, conn, "SELECT coalesce(sum(balance), 0)::bigint FROM customers")
		if poor := one[int](t, conn, "SELECT count(*) FROM customers WHERE balance < 0"); poor > 0 {
			t.Errorf("%s: %d accounts are negative", shardName(i), poor)
		}
		if wrong := one[int](t, conn, fmt.Sprintf("SELECT count(*) FROM customers c WHERE balance <> %d + "+
			"(SELECT coalesce(sum(item::bigint), 0) FROM orders o WHERE o.customer_id = c.id)", bankSavings)); wrong > 0 {
			t.Errorf("%s: %d accounts differ from their transfers", shardName(i), wrong)
		}
		rows, err := conn.Query(t.Context(), "SELECT id FROM orders WHERE item IS NOT NULL")
		must(t, err)
		numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		must(t, err)
		for _, n := range numbers {
			sides[n]++
		}
	}
	if want := int64(len(b.accounts) * bankSavings); total != want {
		t.Errorf("the bank has %d, want %d", total, want)
	}
	for n, count := range sides {
		if count != 2 {
			t.Errorf("transfer %d has %d of 2 sides", n, count)
		}
	}
	for _, n := range b.committed {
		if sides[n] == 0 {
			t.Errorf("transfer %d was acknowledged and is lost", n)
		}
	}
	for _, n := range b.failed {
		if sides[n] != 0 {
			t.Errorf("transfer %d was refused and is there", n)
		}
	}
	conn := b.connect(t)
	for n, id := range b.unsettled {
		status := one[string](t, conn, "SELECT pgring.saga_status($1)", id)
		if (status == "COMMITTED") != (sides[n] == 2) {
			t.Errorf("transfer %d: saga %s is %s, and the books have %d sides", n, id, status, sides[n])
		}
	}
}
