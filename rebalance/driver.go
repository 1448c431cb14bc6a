package rebalance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// driver drives one move for one controller. It belongs to one goroutine.
type driver struct {
	controller *Controller
	term       int64
	move       topology.Move
	log        *slog.Logger

	tables   []*table
	source   *pgx.Conn
	target   *pgx.Conn
	control  *pgx.Conn                  // for what people see
	homes    map[ring.ShardID]*pgx.Conn // where sagas are recorded: every shard
	stream   *stream                    // nil when there is none
	verified bool
	retry    time.Duration // how long the next cut-over is put off
	attempts int           // how often it has been
	back     string        // replication slot on the target, made for the way back; empty: none
	cuts     bool          // it holds the place of the move that is cut over
	closed   time.Time     // when proxies were told to hold writes back; zero unless this controller did it
	epoch    int64         // and in which epoch
	laps     []any         // what took how long since, as attributes of the log
	lapped   time.Time
}

// lap notes how long a step of the cut-over took: since the one before it.
func (d *driver) lap(step string) {
	now := time.Now()
	d.laps, d.lapped = append(d.laps, step, now.Sub(d.lapped).Round(10*time.Microsecond)), now
}

func (d *driver) topology() *topology.Topology { return d.controller.cfg.Topology }

// drive adopts the move and does what its state asks for, state after state.
func (d *driver) drive(ctx context.Context) error {
	if err := d.adopt(ctx); err != nil {
		return err
	}
	for !d.move.State.Finished() {
		if err := d.wanted(); err != nil {
			return err
		}
		next, err := d.step(ctx)
		if errors.Is(err, errSlotLost) {
			next, err = d.again()
		}
		if err != nil {
			return err
		}
		before := d.move.State
		if err := d.advance(ctx, next); err != nil {
			return err
		}
		if !d.move.State.Closed() {
			d.yield()
		}
		if turns := before == topology.MoveReversible || next == topology.MoveReversible; turns && next != before {
			return errLater // by another driver, to which source and target are what they are then
		}
	}
	d.log.Info("move finished", "state", d.move.State.String())
	return nil
}

// again says how a move goes on whose log is lost: the copy begins anew, but of one that is reverted there is none.
func (d *driver) again() (topology.MoveState, error) {
	if d.move.Reverted {
		return d.move.State, stopped("%v; REBALANCE CANCEL gives up reverting", errSlotLost)
	}
	d.verified = false
	return topology.MoveCopying, nil
}

// queue waits until no other move of this controller is cut over: they would be in each other's way at the map, while clients wait.
func (d *driver) queue(ctx context.Context) error {
	select {
	case d.controller.cuts <- struct{}{}:
		d.cuts = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// yield lets the next one be cut over.
func (d *driver) yield() {
	if d.cuts {
		d.cuts = false
		<-d.controller.cuts
	}
}

// wanted returns an error when an operator has paused or cancelled the move.
func (d *driver) wanted() error {
	m := moveIn(d.topology().Current(), d.move.ID)
	switch {
	case m == nil:
		return nil
	case redirected(m, &d.move), d.move.State == topology.MoveReversible && m.State == topology.MoveCleaning:
		return topology.ErrMoveLost
	case !runnable(m):
		return errLater
	}
	return nil
}

// adopt raises the term: first in the control database, so that an earlier controller can no longer advance the move, then on both
// shards, so that it can no longer change anything there. Only then is the state looked at. The other shard of a reversible move
// may be gone for long: then it is not waited for.
func (d *driver) adopt(ctx context.Context) error {
	snap, err := d.topology().AdoptMove(ctx, d.move.ID, d.term)
	if err != nil {
		return fmt.Errorf("adopt move %d: %w", d.move.ID, err)
	}
	if err := d.take(snap); err != nil {
		return err
	}
	if d.source, err = d.connect(ctx, snap, d.move.From); err != nil {
		return err
	}
	if d.move.State == topology.MoveGuarding { // the target may have left the cluster, and the tables the group
		return d.fence(ctx, side{d.move.From, d.source})
	}
	if d.tables, err = tablesOf(snap, &d.move); err != nil {
		return err
	}
	d.tables = append(d.tables, ownTables(&d.move)...)
	if d.move.State == topology.MoveReversible {
		if err := d.checkReturn(ctx); err != nil {
			return err
		}
	}
	if d.target, err = d.connect(ctx, snap, d.move.To); err != nil {
		return err
	}
	for _, side := range d.sides() {
		if err := d.fence(ctx, side); err != nil {
			return err
		}
		if err := errors.Join(topology.EnsureRequests(ctx, side.conn), topology.EnsureAsync(ctx, side.conn)); err != nil {
			return fmt.Errorf("shard %s: %w", side.id, err)
		}
	}
	if d.move.State == topology.MoveCatchingUp || d.move.State == topology.MoveVerifying { // a cut-over may have been abandoned
		return d.reopen(ctx)
	}
	return nil
}

// abandon ends a cut-over whose source cannot be talked to: clients may reach it, and shall not wait for that. Nobody knows whether it
// is closed, or will be: what is on its way there must be fenced off by another term before it is opened.
func (d *driver) abandon(ctx context.Context) error {
	if d.move.State != topology.MoveFreezing {
		return nil
	}
	if err := d.advance(ctx, topology.MoveCatchingUp); err != nil {
		return nil // the map is out of reach, or another controller has a later term
	}
	d.controller.stats.givenUp.Add(1)
	return errResign
}

func (d *driver) fence(ctx context.Context, s side) error {
	if err := fence(ctx, s.conn, d.move.ID, d.term); err != nil {
		return fmt.Errorf("fence shard %s: %w", s.id, err)
	}
	return nil
}

// side is one of the two shards of a move.
type side struct {
	id   ring.ShardID
	conn *pgx.Conn
}

func (d *driver) sides() []side { return []side{d.from(), d.to()} }

func (d *driver) from() side { return side{d.move.From, d.source} }
func (d *driver) to() side   { return side{d.move.To, d.target} }

// take makes the snapshot's version of the move the present one. The driver of a reversible move looks at it from the other side:
// changes come from the shard that serves.
func (d *driver) take(snap *topology.Snapshot) error {
	m := moveIn(snap, d.move.ID)
	if m == nil {
		return topology.ErrMoveLost
	}
	d.move = *m
	if m.State == topology.MoveReversible {
		d.move.From, d.move.To = m.To, m.From
	}
	return nil
}

// moveIn gives the move of a snapshot, or nil.
func moveIn(snap *topology.Snapshot, id int64) *topology.Move {
	for _, m := range snap.Moves {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// advance records the next state. It works for a finished one, too, which no snapshot shows.
func (d *driver) advance(ctx context.Context, next topology.MoveState) error {
	if next == d.move.State {
		return nil
	}
	if next == topology.MoveFreezing {
		d.closed, d.laps = time.Now(), nil
		d.lapped = d.closed
	}
	snap, err := d.topology().AdvanceMove(ctx, d.move, next)
	if err != nil {
		return fmt.Errorf("advance from %s to %s: %w", d.move.State, next, err)
	}
	switch {
	case next == topology.MoveFreezing:
		d.lap("close")
	case next == topology.MoveSwitched:
		d.lap("swap")
	case d.move.State == topology.MoveSwitched && !d.closed.IsZero():
		d.lap("release")
		d.log.Info("slots cut over", append(d.laps, "pause", d.lapped.Sub(d.closed).Round(10*time.Microsecond))...)
	}
	d.log.Info("move advanced", "from", d.move.State.String(), "to", next.String(), "epoch", snap.Epoch)
	d.epoch = snap.Epoch
	switch {
	case d.move.State == topology.MoveSwitched:
		d.controller.stats.cutOvers.Add(1)
		d.report(ctx, waiting(""))
		if !d.closed.IsZero() {
			lasted := d.lapped.Sub(d.closed)
			d.controller.stats.pauses.note(lasted)
			d.report(ctx, pauseLasted(lasted))
		}
	case next != topology.MoveCatchingUp && !next.Closed(): // clients wait, or it says why they need not
		d.report(ctx, waiting(""))
	}
	if next.Finished() {
		d.move.State = next
		return nil
	}
	return d.take(snap)
}

// step does what the state asks for and says which one comes next.
func (d *driver) step(ctx context.Context) (topology.MoveState, error) {
	switch d.move.State {
	case topology.MovePlanned:
		return topology.MovePreparing, d.preflight(ctx)
	case topology.MovePreparing:
		return topology.MoveCopying, d.prepare(ctx)
	case topology.MoveCopying:
		return topology.MoveCatchingUp, d.copy(ctx)
	case topology.MoveCatchingUp:
		return d.catchUp(ctx)
	case topology.MoveVerifying:
		return d.compared(ctx)
	case topology.MoveFreezing:
		return d.cutOver(ctx)
	case topology.MoveSwitched:
		return d.open(ctx)
	case topology.MoveReversible:
		return d.followBack(ctx)
	case topology.MoveCleaning:
		return topology.MoveGuarding, d.clean(ctx)
	case topology.MoveGuarding:
		return topology.MoveDone, d.unguard(ctx)
	case topology.MoveCancelling:
		return topology.MoveCancelled, d.undo(ctx)
	case topology.MoveUnset, topology.MoveDone, topology.MoveCancelled:
	}
	return d.move.State, fmt.Errorf("move %d is %s: nothing to do", d.move.ID, d.move.State)
}

func (d *driver) connect(ctx context.Context, snap *topology.Snapshot, id ring.ShardID) (*pgx.Conn, error) {
	shard, known := snap.Shard(id)
	if !known {
		return nil, stopped("shard %s is not known", id)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := d.controller.cfg.Dial(ctx, shard)
	if err != nil {
		return nil, fmt.Errorf("connect to shard %s: %w", id, err)
	}
	if _, err := conn.Exec(ctx, sessionSettings); err != nil {
		hangUp(ctx, conn)
		return nil, fmt.Errorf("set up the session on shard %s: %w", id, err)
	}
	return conn, nil
}

// close ends the connections; what was being done on them is rolled back by the servers.
func (d *driver) close(ctx context.Context) {
	d.yield()
	d.endStream(ctx)
	for _, conn := range d.homes {
		hangUp(ctx, conn)
	}
	for _, conn := range []*pgx.Conn{d.source, d.target, d.control} {
		if conn != nil {
			hangUp(ctx, conn)
		}
	}
}

func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing depends on it
}
