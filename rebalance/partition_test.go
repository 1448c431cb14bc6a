package rebalance_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/topology"
)

// partition is the network between a controller and a shard, which is cut in the middle of a freeze and later heals. Or it is the
// process of the server that stands still then.
type partition struct {
	rig     *rig
	shard   string
	arrives bool // the freeze reaches the shard, and its answer is lost; else it reaches the shard when the network has healed
	stops   bool // the network is well, and the process that gets the freeze is stopped before it reads it

	mu     sync.Mutex
	cut    chan struct{} // closed when it is
	over   bool
	frozen bool     // a process has been stopped
	late   []func() // what happens when it heals
}

func (p *partition) dial(ctx context.Context, shard topology.Shard) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(p.rig.server.DSN(pgtest.Superuser, shard.Host))
	if err != nil || shard.Host != p.shard {
		return pgx.ConnectConfig(ctx, cfg)
	}
	var last *divided
	open := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := open(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		last = &divided{Conn: conn, by: p}
		return last, nil
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err == nil {
		last.pid = int(conn.PgConn().PID())
	}
	return conn, err
}

// isCut reports whether nothing gets through now.
func (p *partition) isCut() bool {
	select {
	case <-p.cut:
		return !p.over && !p.stops
	default:
		return false
	}
}

// heal delivers what was on its way.
func (p *partition) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, happen := range p.late {
		happen()
	}
	p.late = nil
}

// divided is a connection that a partition cuts: neither side hears of it.
type divided struct {
	net.Conn
	by     *partition
	pid    int
	silent bool // under by.mu: something was lost on it, so that it is of no use any more
}

func (c *divided) Write(b []byte) (int, error) {
	c.by.mu.Lock()
	defer c.by.mu.Unlock()
	freezes := !c.by.over && !c.by.frozen && bytes.Contains(b, []byte("pg_logical_emit_message"))
	if freezes && !c.by.isCut() {
		close(c.by.cut)
		if c.by.stops {
			_ = syscall.Kill(c.pid, syscall.SIGSTOP)
			c.by.late = append(c.by.late, func() { _ = syscall.Kill(c.pid, syscall.SIGCONT) })
			c.by.frozen = true
		}
		if c.by.arrives {
			c.silent = true
			return c.Conn.Write(b)
		}
	}
	if !c.by.isCut() && !c.silent {
		return c.Conn.Write(b)
	}
	c.silent = true
	kept := bytes.Clone(b)
	c.by.late = append(c.by.late, func() { _, _ = c.Conn.Write(kept) })
	return len(b), nil
}

func (c *divided) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.by.mu.Lock()
	silent := c.silent || c.by.isCut()
	c.by.mu.Unlock()
	for silent && err == nil { // until the deadline
		n, err = c.Conn.Read(b)
	}
	return n, err
}

// Close does not reach the server while the network is cut.
func (c *divided) Close() error {
	c.by.mu.Lock()
	defer c.by.mu.Unlock()
	if c.by.isCut() {
		c.by.late = append(c.by.late, func() { _ = c.Conn.Close() })
		return nil
	}
	return c.Conn.Close()
}

// TestClientsDoNotWaitForAControllerThatIsCutOff has a freeze get no answer: the cut-over is abandoned while the network is still cut, and
// what arrives late closes nothing.
func TestClientsDoNotWaitForAControllerThatIsCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	topo := r.topology(t, "s1", "s2")
	m := small(t, r, topo)
	w := r.smallWriter(t, topo)
	quiesce := together(t, func(ctx context.Context) { w.run(ctx, t) })
	for _, p := range []*partition{{}, {arrives: true}, {stops: true}} {
		p.rig, p.shard, p.cut = r, string(m.From), make(chan struct{})
		t.Cleanup(p.heal) // however the test ends
		stop := r.background(t, r.controllerOf(t, topo, r.control, p.dial).Run)
		if _, err := topo.PlanMoves(t.Context(), []topology.Move{m}); err != nil {
			t.Fatal(err)
		}
		<-p.cut
		began := time.Now()
		await(t, "the cut-over is abandoned", func() bool { return topo.Current().Moves[0].State == topology.MoveCatchingUp })
		t.Logf("the freeze arrives: %t, its process is stopped: %t; abandoned after %s", p.arrives, p.stops, time.Since(began))
		if !p.arrives {
			before := w.ops.Load()
			await(t, "clients write", func() bool { return w.ops.Load() > before+2*smallUsers })
		}
		p.heal()
		noMoves(t, topo)
		stop()
		m.From, m.To = m.To, m.From
	}
	quiesce()
	w.check(t, r, topo)
	for _, db := range []string{"s1", "s2"} {
		nothingLeft(t, r, topo, db)
	}
}
