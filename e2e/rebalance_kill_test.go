package e2e

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
)

// kills is a cluster of which moves go there and back while its parts are killed.
type kills struct {
	*cluster
	ledger  *ledger
	proxies []*pgring
}

var leads = regexp.MustCompile(`driving moves.*?term"?[=:](\d+)`)

// leading gives the proxy that drives the moves, and the term, as the logs say.
func (k *kills) leading() (leader *pgring, term int) {
	for _, p := range k.proxies {
		for _, found := range leads.FindAllStringSubmatch(p.log.String(), -1) {
			if n, err := strconv.Atoi(found[1]); err == nil && n > term {
				leader, term = p, n
			}
		}
	}
	return leader, term
}

// order has moves begin or turn, whichever proxy answers, and waits until the last of them is on its way.
func (k *kills) order(t *testing.T, sql string) {
	t.Helper()
	eventually(t, patience, sql, func(ctx context.Context) error {
		_, err := k.console(t).Exec(ctx, sql)
		return err
	})
	eventually(t, patience, "moves are on their way", func(ctx context.Context) error {
		all, err := moves(ctx, k.console(t))
		if err == nil && (len(all) == 0 || moveIs("planned")(all[len(all)-1])) {
			err = fmt.Errorf("moves %v", all)
		}
		return err
	})
}

// proxy kills one that drives the moves, or one that does not, and starts it again. It returns how long nobody drove them.
func (k *kills) proxy(t *testing.T, drives bool) time.Duration {
	t.Helper()
	victim, term := k.leading()
	if !drives {
		victim = map[bool]*pgring{true: k.proxies[1], false: k.proxies[0]}[victim == k.proxies[0]]
	}
	k.ledger.mu.Lock()
	k.ledger.killed[victim] = true
	k.ledger.mu.Unlock()
	victim.kill9(t)
	began := time.Now()
	if drives {
		eventually(t, patience, "another proxy drives the moves", func(context.Context) error {
			if _, now := k.leading(); now == term {
				return errors.New("nobody does")
			}
			return nil
		})
	}
	took := time.Since(began)
	victim.start(t)
	return took
}

// server kills one and starts it again.
func (k *kills) server(t *testing.T, i int) {
	t.Helper()
	k.servers[i].Kill9(t)
	k.servers[i].Restart(t)
}

func TestRebalanceSurvivesEachKill(t *testing.T) {
	t.Parallel()
	c := start(t, layout{spare: 1, keep: "1h"})
	second := c.startProxy(t)
	k := &kills{cluster: c, proxies: []*pgring{c.pgring, second}, ledger: startLedger(t, c, c.pgring, second)}
	k.ledger.faulty = true
	c.addSpare(t, c.console(t))
	const control, source, target = 0, 1, 3
	for _, round := range []struct {
		order, of string
		kill      func()
	}{
		{"REBALANCE START", "a source", func() { k.server(t, source) }},
		{"REBALANCE REVERT", "the shard that serves, on the way back", func() { k.server(t, target) }},
		{"REBALANCE START", "the target", func() { k.server(t, target) }},
		{"REBALANCE REVERT", "the control database", func() { k.server(t, control) }},
		{"REBALANCE START", "the proxy that drives", func() { t.Logf("the moves were driven again after %s", k.proxy(t, true)) }},
		{"REBALANCE REVERT", "the proxy that does not drive", func() { k.proxy(t, false) }},
		{"REBALANCE START", "everything in turn", func() {
			k.proxy(t, true)
			for _, i := range []int{source, target, control} {
				k.server(t, i)
			}
			k.proxy(t, false)
		}},
	} {
		k.order(t, round.order)
		round.kill()
		began := time.Now()
		k.settled(t)
		t.Logf("%s, and %s is killed: all moves were over %s later", round.order, round.of, time.Since(began))
	}
	execute(t, second.console(t), "REBALANCE FINISH")
	awaitMoves(t, second, "all moves are done, but for guards against the killed", moveIs("done", "guarding"))
	c.servers[control].ExecIn(t, database, "DELETE FROM pgring.proxies WHERE lease_until < now()") // as a day does
	awaitMoves(t, second, "the guards are gone", moveIs("done"))
	k.ledger.check(t, c)
	c.checkNothingLeft(t)
}

// settled waits until every move is reversible, or over but for its guards.
func (k *kills) settled(t *testing.T) {
	t.Helper()
	awaitMoves(t, k.proxies[1], "the moves are over", moveIs("reversible", "guarding", "done"))
}

func TestCutOversGiveWayToTransactions(t *testing.T) {
	t.Parallel()
	c := start(t, layout{spare: 1, keep: "1h"})
	console, filler := c.console(t), c.connect(t)
	sources := map[int][]int64{} // by server, the customers that it gives to the new one
	for id := range int64(100) {
		execute(t, filler, "INSERT INTO customers VALUES ($1, 'somebody')", id+1)
	}
	for _, id := range c.keysOn(t, 3, 1, 100) {
		for i := range 3 {
			if c.count(t, i, "SELECT count(*) FROM customers WHERE id = $1", id) == 1 {
				sources[i] = append(sources[i], id)
			}
		}
	}
	// A transaction that is as old as the plan holds it up before anything is copied.
	long := c.connect(t)
	execute(t, long, "BEGIN")
	execute(t, long, "SELECT FROM customers WHERE id = $1", sources[0][0])
	c.addSpare(t, console)
	execute(t, console, "REBALANCE START")
	awaitMoves(t, c.pgring, "the moves wait for the old transaction", func(m map[string]any) bool {
		return moveIs("planned")(m) || moveIs("preparing")(m) && waitsFor(m, "waiting for proxy")
	})
	execute(t, long, "COMMIT")
	awaitMoves(t, c.pgring, "the moves are over", moveIs("reversible"))

	// Two that may have written, as far as their proxy knows, and one that has only a snapshot.
	holder, other, behind, snapshot := c.connect(t), c.connect(t), c.connect(t), c.connect(t)
	const add = "UPDATE customers SET balance = balance + 1 WHERE id = $1"
	execute(t, holder, "BEGIN")
	execute(t, holder, add+" AND balance < 0", sources[0][0])
	execute(t, other, "BEGIN")
	execute(t, other, add+" AND balance < 0", sources[1][0])
	execute(t, snapshot, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	execute(t, snapshot, "SELECT FROM customers WHERE id = $1", sources[2][0])
	execute(t, console, "REBALANCE REVERT")
	for _, target := range []string{"s1", "s2"} {
		c.awaitMoveTo(t, target, "waits for the proxy", func(m map[string]any) bool { return waitsFor(m, "waiting for proxy") })
	}
	// Now the first one has a row lock, with another client behind it, and instead of the second there is a prepared one.
	execute(t, holder, add, sources[0][0])
	waited := make(chan error, 1)
	// owner: the test, which receives; ends when the holder has committed.
	go func() {
		_, err := behind.Exec(t.Context(), add, sources[0][0])
		waited <- err
	}()
	direct := c.servers[3].ConnectAs(t, pgtest.Superuser, database)
	execute(t, direct, "BEGIN")
	execute(t, direct, add, sources[1][0])
	execute(t, direct, "PREPARE TRANSACTION 'held'")
	execute(t, other, "COMMIT")
	execute(t, holder, "COMMIT")
	must(t, <-waited)
	c.awaitMoveTo(t, "s2", "waits for the prepared transaction", func(m map[string]any) bool {
		return waitsFor(m, "transactions that have written to the moving slots on shard s4")
	})
	for i := range 2 { // nobody else is held up by that for long
		execute(t, filler, add, sources[i][1])
	}
	execute(t, direct, "COMMIT PREPARED 'held'")
	awaitMoves(t, c.pgring, "the moves have switched", moveIs("cleaning"))
	_, err := snapshot.Exec(t.Context(), "SELECT FROM customers WHERE id = $1", sources[2][0])
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "40001" {
		t.Errorf("a snapshot from before the cut-over: %v", err)
	}
	execute(t, snapshot, "ROLLBACK")
	awaitMoves(t, c.pgring, "the slots are back", moveIs("done"))
	for key, want := range map[int64]int64{sources[0][0]: 2, sources[1][0]: 1, sources[0][1]: 1, sources[1][1]: 1, sources[2][0]: 0} {
		if got := one[int64](t, filler, "SELECT balance FROM customers WHERE id = $1", key); got != want {
			t.Errorf("customer %d: balance %d, want %d", key, got, want)
		}
	}
	if n := c.count(t, 3, "SELECT count(*) FROM customers"); n != 0 {
		t.Errorf("s4 has %d customers", n)
	}
	c.checkNothingLeft(t)
}

// waitsFor reports whether a move says that it waits for something.
func waitsFor(m map[string]any, what string) bool {
	text, _ := m["waiting_for"].(string)
	return strings.Contains(text, what)
}

// awaitMoveTo waits until the move to a shard is as wanted.
func (c *cluster) awaitMoveTo(t *testing.T, target, what string, is func(map[string]any) bool) {
	t.Helper()
	awaitMoves(t, c.pgring, "the move to "+target+" "+what, func(m map[string]any) bool { return m["target"] != target || is(m) })
}
