package rebalance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/topology"
)

// Config is what New needs.
type Config struct {
	Topology *topology.Topology

	// Control connects to the control database.
	Control func(ctx context.Context) (*pgx.Conn, error)

	// Dial connects to the clients' database on a shard, with a login that may do what Preflight asks for.
	Dial func(ctx context.Context, shard topology.Shard) (*pgx.Conn, error)

	Log      *slog.Logger  // nil discards
	Parallel int           // moves that run at once, reversible ones not counted; 0 means 2
	Poll     time.Duration // how often a process without the lease tries to get it; 0 means 1 s
	Retry    time.Duration // first pause after a cut-over that was given up, then twice as long up to 30 s; 0 means 500 ms

	// Reversible is how long a move can be reverted after its cut-over; 0 means never. ReturnLog is how many bytes of log a shard may
	// keep for that: beyond them it can no longer be; 0 means any number.
	Reversible time.Duration
	ReturnLog  int64

	Throttle Throttle // of copies, unless [Controller.SetThrottle] has recorded another one
}

// Controller drives the moves when it holds the lease. Every proxy runs one.
type Controller struct {
	cfg    Config
	stats  stats
	pace   pace
	cuts   chan struct{} // has room for the one move that is cut over
	opened sync.Map      // by the id of a move: its target is free of guards, as far as this process knows
}

type stats struct {
	leading, cutOvers, givenUp, lag               atomic.Int64
	rowsCopied, bytesCopied, interrupted, stopped atomic.Int64
	pauses                                        pauses
}

// Stats are counters since New; Leading is 1 while this process drives the moves.
type Stats struct {
	Leading  int64
	CutOvers int64 // done

	RowsCopied  int64 // by this process
	BytesCopied int64
	Lag         int64 // bytes of log that the target of a move had still to be brought, when last looked
	Interrupted int64 // steps of moves that failed and are tried again
	Stopped     int64 // moves that stopped by themselves
	GivenUp     int64 // cut-overs that were tried and put off

	Pauses Pauses // of the cut-overs that were done
}

// New checks the configuration. It connects to nothing.
func New(cfg Config) (*Controller, error) {
	if cfg.Topology == nil || cfg.Control == nil || cfg.Dial == nil {
		return nil, errors.New("rebalance needs a topology and ways to connect")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = 2
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	if cfg.Retry <= 0 {
		cfg.Retry = 500 * time.Millisecond
	}
	c := &Controller{cfg: cfg, cuts: make(chan struct{}, 1)}
	c.pace.set(cfg.Throttle)
	return c, nil
}

// Stats returns the counters.
func (c *Controller) Stats() Stats {
	return Stats{Leading: c.stats.leading.Load(), CutOvers: c.stats.cutOvers.Load(), GivenUp: c.stats.givenUp.Load(),
		RowsCopied: c.stats.rowsCopied.Load(), BytesCopied: c.stats.bytesCopied.Load(), Lag: c.stats.lag.Load(),
		Interrupted: c.stats.interrupted.Load(), Stopped: c.stats.stopped.Load(), Pauses: c.stats.pauses.read()}
}

// Run drives moves, whenever there are any and this process gets the lease, until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if len(c.cfg.Topology.Current().Moves) > 0 {
			if err := c.tryToLead(ctx); err != nil && ctx.Err() == nil {
				c.cfg.Log.Warn("moves are not driven by this process", "error", err)
			}
		}
		if !pause(ctx, c.cfg.Poll) {
			break
		}
	}
	return nil
}

func (c *Controller) tryToLead(ctx context.Context) error {
	term, err := c.cfg.Topology.Lead(ctx)
	if err != nil || term == 0 {
		return err
	}
	c.cfg.Log.Info("driving moves", "term", term)
	c.stats.leading.Store(1)
	defer c.stats.leading.Store(0)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, leading := errgroup.WithContext(ctx)
	// owner: tryToLead, which waits; ends when drive has ended or the lease is lost.
	group.Go(func() error {
		c.watchThrottle(leading)
		return nil
	})
	// owner: tryToLead, which waits; ends when the lease is lost or drive has ended.
	group.Go(func() error { return c.cfg.Topology.KeepLeading(leading, term) })
	// owner: tryToLead, which waits; ends when no move is left or the lease is lost.
	group.Go(func() error {
		defer cancel()
		return c.drive(leading, term)
	})
	return group.Wait()
}

// drive runs every move that is there, some at a time, until none is left.
func (c *Controller) drive(ctx context.Context, term int64) error {
	var running sync.Map // by the id of a move: true while it runs, or the time before which it need not be looked at again
	var lanes [allLanes]errgroup.Group
	for _, lane := range []lane{copies, ends, guards} {
		lanes[lane].SetLimit(c.cfg.Parallel)
	}
	ctx, resign := context.WithCancel(ctx)
	defer resign()
	for {
		snap := c.cfg.Topology.Current()
		for _, m := range snap.Moves {
			if !runnable(m) {
				continue
			}
			if !begin(&running, m.ID) {
				continue
			}
			// owner: drive, which waits for the lanes; ends with the move, or when it must wait for somebody.
			if !lanes[laneOf(m)].TryGo(func() error {
				err := c.run(ctx, *m, term)
				if errors.Is(err, errResign) {
					resign()
				}
				if m.State == topology.MoveGuarding || errors.Is(err, errNoRoom) { // that may take a day, and others shall have their turn
					running.Store(m.ID, time.Now().Add(guardsEvery))
				} else {
					running.Delete(m.ID)
				}
				return nil
			}) {
				running.Delete(m.ID)
			}
		}
		if len(snap.Moves) == 0 || ctx.Err() != nil {
			for i := range lanes {
				_ = lanes[i].Wait() // none returns an error
			}
			return nil
		}
		c.wait(ctx, snap)
	}
}

// lane is a number of places for moves that are run at a time. Moves in one lane wait for each other, not for those in another.
type lane int

const (
	copies   lane = iota // what is read and written
	follows              // any number: clients wait, or a log grows until another lane has them
	ends                 // what is left is removed
	guards               // what waits for proxies and transactions, maybe for a day
	allLanes int  = iota
)

func laneOf(m *topology.Move) lane {
	switch m.State {
	case topology.MoveGuarding:
		return guards
	case topology.MoveCleaning, topology.MoveCancelling:
		return ends
	case topology.MoveFreezing, topology.MoveSwitched, topology.MoveReversible:
		return follows
	case topology.MoveUnset, topology.MovePlanned, topology.MovePreparing, topology.MoveCopying, topology.MoveCatchingUp, topology.MoveVerifying,
		topology.MoveDone, topology.MoveCancelled:
	}
	if m.Reverted { // nothing is copied
		return follows
	}
	return copies
}

// guardsEvery is the time between two looks whether guards are needed any longer, or whether there is room for a move.
const guardsEvery = 5 * time.Second

// begin reports whether a move is to be run now, and notes that it is.
func begin(running *sync.Map, id int64) bool {
	until, known := running.LoadOrStore(id, true)
	if !known {
		return true
	}
	at, later := until.(time.Time)
	return later && time.Now().After(at) && running.CompareAndSwap(id, until, true)
}

// runnable reports whether there is something to do for a move.
func runnable(m *topology.Move) bool {
	switch m.State {
	case topology.MoveSwitched, topology.MoveCancelling, topology.MoveFreezing, topology.MoveReversible:
		return m.Problem == "" // nobody may be kept waiting, or is better off with half a move, or with one that keeps a growing log
	case topology.MoveUnset, topology.MovePlanned, topology.MovePreparing, topology.MoveCopying, topology.MoveCatchingUp,
		topology.MoveVerifying, topology.MoveCleaning, topology.MoveGuarding:
		return !m.Paused && m.Problem == ""
	case topology.MoveDone, topology.MoveCancelled:
	}
	return false
}

// wait returns when the map has changed, or soon.
func (c *Controller) wait(ctx context.Context, snap *topology.Snapshot) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Poll)
	defer cancel()
	_ = c.cfg.Topology.AwaitNewer(ctx, snap) // an end of the time is as good
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// run takes one move as far as it goes. What stops it is recorded or logged; an error means that another term is needed, or that the move
// waits for others.
func (c *Controller) run(ctx context.Context, m topology.Move, term int64) error {
	if m.State == topology.MoveGuarding {
		if _, opened := c.opened.Load(m.ID); opened && c.forgotten(ctx, &m) != nil {
			return nil
		}
	}
	d := &driver{controller: c, term: term, move: m, log: c.cfg.Log.With("move", m.ID)}
	defer d.close(ctx)
	err := c.unlessCancelled(ctx, m, d.drive)
	var stopped *StoppedError
	switch {
	case errors.Is(err, errNoRoom):
		return err
	case err == nil || ctx.Err() != nil || errors.Is(err, topology.ErrMoveLost) || errors.Is(err, errLater):
	case errors.As(err, &stopped):
		c.stats.stopped.Add(1)
		d.log.Error("move stopped", "state", d.move.State.String(), "problem", stopped.Problem)
		if _, err := c.cfg.Topology.StopMove(ctx, d.move, stopped.Problem); err != nil {
			d.log.Warn("record why a move stopped", "error", err)
		}
	default:
		c.stats.interrupted.Add(1)
		d.log.Warn("move interrupted", "state", d.move.State.String(), "error", err)
		d.report(ctx, waiting(fmt.Sprintf("trying again after: %v", err)))
		if resign := d.abandon(ctx); resign != nil {
			return resign
		}
		pause(ctx, c.cfg.Retry)
	}
	return nil
}

// unlessCancelled drives a move, and breaks off when an operator wants something else: a copy may take hours. Every step may be broken off.
func (c *Controller) unlessCancelled(ctx context.Context, m topology.Move, drive func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	// owner: unlessCancelled, which waits; ends when the move is cancelled or drive has ended.
	watching.Go(func() {
		if c.awaitCancel(ctx, m) {
			cancel(topology.ErrMoveLost)
		}
	})
	err := drive(ctx)
	cancel(nil)
	watching.Wait()
	if errors.Is(context.Cause(ctx), topology.ErrMoveLost) {
		return topology.ErrMoveLost
	}
	return err
}

// awaitCancel returns true when an operator cancels or reverts the move, and false when ctx ends.
func (c *Controller) awaitCancel(ctx context.Context, m topology.Move) bool {
	for ctx.Err() == nil {
		snap := c.cfg.Topology.Current()
		if now := moveIn(snap, m.ID); now != nil && redirected(now, &m) {
			return true
		}
		_ = c.cfg.Topology.AwaitNewer(ctx, snap) // it is ctx that ends it
	}
	return false
}

// redirected reports whether an operator has cancelled a move, or reverted it, or cancelled that, since it was as before.
func redirected(m, before *topology.Move) bool {
	return m.State == topology.MoveCancelling && before.State != topology.MoveCancelling || m.Reverted != before.Reverted
}

// errLater means that a move waits for what may take long, and has said so.
var errLater = errors.New("look at the move again later")

// errResign means that nothing more is to be done in this term.
var errResign = errors.New("another term is needed")

// StoppedError says why a move cannot go on without somebody's help.
type StoppedError struct {
	Problem string // a clause, without a full stop
}

func (e *StoppedError) Error() string { return e.Problem }

func stopped(format string, args ...any) error {
	return &StoppedError{Problem: fmt.Sprintf(format, args...)}
}
