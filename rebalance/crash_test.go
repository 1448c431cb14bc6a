package rebalance_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/topology"
)

// process plays one pgring. At one of its messages to servers it stands still, everything it does with servers, until it is let go
// on or killed.
type process struct {
	rig     *rig
	topo    *topology.Topology
	state   topology.MoveState // in which its move is
	turned  bool               // and whether that has been reverted then
	at      int64              // and which message in it
	sent    atomic.Int64       // in that state
	reached chan struct{}      // closed when it stands still
	resumed chan struct{}      // closed when it goes on

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

// newProcess starts one that stands still at the n-th message that it sends in a state.
func newProcess(t *testing.T, r *rig, state topology.MoveState, turned bool, n int64) *process {
	t.Helper()
	p := &process{rig: r, state: state, turned: turned, at: n, reached: make(chan struct{}), resumed: make(chan struct{})}
	var err error
	p.topo, err = topology.New(topology.Config{Control: p.control, Dial: p.dial, Wish: wish("s1", "s2"), Instance: "doomed", StartTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.topo.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// message counts one. It returns its number, and 0 when it does not count.
func (p *process) message() int64 {
	snap := p.topo.Current()
	if p.sent.Load() < p.at && (snap == nil || len(snap.Moves) == 0 || snap.Moves[0].State != p.state || snap.Moves[0].Reverted != p.turned) {
		return 0
	}
	return p.sent.Add(1)
}

var errKilled = errors.New("the process is dead")

// kill cuts all connections, as the end of a process does.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for _, conn := range p.conns {
		_ = conn.Close()
	}
}

func (p *process) control(ctx context.Context) (*pgx.Conn, error) {
	return p.dial(ctx, topology.Shard{Host: "s1"})
}

func (p *process) dial(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(p.rig.server.DSN(pgtest.Superuser, shard.Host))
	if err != nil {
		return nil, err
	}
	open := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := open(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.dead {
			_ = conn.Close()
			return nil, errKilled
		}
		p.conns = append(p.conns, conn)
		return &counted{Conn: conn, process: p}, nil
	}
	return pgx.ConnectConfig(ctx, cfg)
}

// counted is a connection of a process.
type counted struct {
	net.Conn
	process *process
}

// Write stands still at the process's message, and at all later ones: half of the time when the server has got it.
func (c *counted) Write(b []byte) (int, error) {
	p := c.process
	n := p.message()
	if n < p.at {
		return c.Conn.Write(b)
	}
	late := n == p.at && n%2 == 0
	var err error
	if late {
		_, err = c.Conn.Write(b)
	}
	if n == p.at {
		close(p.reached)
	}
	<-p.resumed
	if late {
		return len(b), err
	}
	return c.Conn.Write(b)
}

// crashes has moves of the same slots, there and back, hit again and again.
type crashes struct {
	rig      *rig
	survivor *topology.Topology
	move     topology.Move
	reverts  bool           // each move is sent back, and hit on its way back
	hit      map[string]int // by state
	slowest  time.Duration  // from there to the end of the move
}

// once begins the move with a controller that meets its fate at the n-th message that it sends in a state, and has another one end
// it. It returns false when the first one came further than that.
func (c *crashes) once(t *testing.T, state topology.MoveState, n int64, fate func(*process)) bool {
	t.Helper()
	p := newProcess(t, c.rig, state, c.reverts && state != topology.MoveReversible, n)
	endMap := c.rig.background(t, p.topo.Run)
	endMoves := c.rig.background(t, c.rig.controllerOf(t, p.topo, p.control, p.dial).Run)
	if _, err := c.survivor.PlanMoves(t.Context(), []topology.Move{c.move}); err != nil {
		t.Fatal(err)
	}
	if !c.reverts {
		c.move.From, c.move.To = c.move.To, c.move.From // of the next one
	}
	if p.turned {
		c.revert(t)
	}
	crashed := false
	await(t, "the crash, or the end of the move", func() bool {
		select {
		case <-p.reached:
			crashed = true
		default:
		}
		return crashed || len(c.survivor.Current().Moves) == 0
	})
	resume := sync.OnceFunc(func() { close(p.resumed) })
	defer resume()
	end := func() {
		resume()
		endMoves()
		endMap()
	}
	if !crashed {
		end()
		return false
	}
	began := time.Now()
	c.hit[state.String()]++
	fate(p)
	if p.dead {
		end()
	}
	// Its leases are over, and nobody waits a day for it to come back.
	c.rig.exec(t, "s1", "UPDATE pgring.controller SET lease_until = '-infinity'; DELETE FROM pgring.proxies WHERE instance = 'doomed'")
	endSecond := c.rig.background(t, c.rig.controller(t, c.survivor).Run)
	if c.reverts && !p.turned {
		c.revert(t)
	}
	noMoves(t, c.survivor)
	c.slowest = max(c.slowest, time.Since(began))
	endSecond()
	end() // who only stood still goes on before that, when all is over
	return true
}

// revert sends the move back as soon as it is reversible.
func (c *crashes) revert(t *testing.T) {
	t.Helper()
	await(t, "the move is reversible", func() bool {
		n, err := c.survivor.RevertMoves(t.Context(), 0)
		return err == nil && n == 1
	})
}

// crashStep is the distance between the messages at which moves are hit: one in each state is enough for every day. With
// PGRING_CRASH_EVERY=1 it is every one.
func crashStep(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv("PGRING_CRASH_EVERY")
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		t.Fatalf("PGRING_CRASH_EVERY=%s: %v", text, err)
	}
	return n
}

func TestMovesSurviveWhateverStops(t *testing.T) {
	killed := func(_ *testing.T, p *process) { p.kill() }
	stopped := func(*testing.T, *process) {}
	allKilled := func(t *testing.T, p *process) {
		p.kill()
		p.rig.server.Kill9(t)
		p.rig.server.Restart(t)
	}
	there := func(from topology.MoveState) (states []topology.MoveState) {
		for s := from; s <= topology.MoveCleaning; s++ {
			states = append(states, s)
		}
		return states
	}
	back := []topology.MoveState{topology.MoveReversible, topology.MoveCatchingUp, topology.MoveVerifying, topology.MoveFreezing,
		topology.MoveSwitched, topology.MoveCleaning}
	type test struct {
		name    string
		states  []topology.MoveState
		reverts bool
		writes  bool // clients go on meanwhile
		fate    func(*testing.T, *process)
	}
	tests := []test{
		{"the controller is killed", there(topology.MovePlanned), false, true, killed},
		{"the controller stands still, and goes on when all is over", there(topology.MoveCopying), false, true, stopped},
		{"source, target and control database are killed at once", there(topology.MoveCatchingUp), false, false, allKilled},
		{"the controller is killed on the way back", back, true, true, killed},
		{"the controller stands still on the way back, and goes on when all is over", back, true, true, stopped},
	}
	if crashStep(t) > 0 {
		tests = append(tests, test{"source, target and control database are killed on the way back", back, true, false, allKilled})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if test.reverts {
				r.reversible = time.Hour
			}
			c := &crashes{rig: r, reverts: test.reverts, survivor: r.topology(t, "s1", "s2"), hit: map[string]int{}}
			c.move = small(t, r, c.survivor)
			check := func() {}
			if test.writes {
				check = c.clients(t)
			}
			fate := func(p *process) { test.fate(t, p) }
			for _, state := range test.states {
				for n := int64(2); c.once(t, state, n, fate); n += crashStep(t) {
					c.complete(t)
					if crashStep(t) == 0 {
						break
					}
				}
			}
			check()
			for _, db := range []string{"s1", "s2"} {
				nothingLeft(t, r, c.survivor, db)
			}
			t.Logf("hit in states %v; the longest way to the end took %s", c.hit, c.slowest)
			if len(c.hit) != len(test.states) {
				t.Error("some state was not hit")
			}
		})
	}
}

// complete makes sure that every row is there once.
func (c *crashes) complete(t *testing.T) {
	t.Helper()
	for table, rows := range map[string]int{"orders": smallUsers, "plain": smallUsers} {
		n := 0
		for _, db := range []string{"s1", "s2"} {
			n += pgtest.OneIn[int](t, c.rig.server, db, "SELECT count(*) FROM "+table)
		}
		if n != rows {
			t.Fatalf("%d rows of table %s, after %v", n, table, c.hit)
		}
	}
}

// clients write and count until the returned function is called, which compares the tables with what was acknowledged.
func (c *crashes) clients(t *testing.T) (check func()) {
	t.Helper()
	w, counter := c.rig.smallWriter(t, c.survivor), c.rig.client(t, c.survivor)
	quiesce := together(t, func(ctx context.Context) { w.run(ctx, t) }, func(ctx context.Context) { counter.counts(ctx, t, smallUsers, unhurried) })
	return func() {
		quiesce()
		w.check(t, c.rig, c.survivor)
		t.Logf("%d writes", w.ops.Load())
	}
}
