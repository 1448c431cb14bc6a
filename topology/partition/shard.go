package partition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/topology"
)

// shardTable is a table on one shard, in one round.
type shardTable struct {
	keeper   *Keeper
	shard    topology.Shard
	conn     *pgx.Conn // nil: the shard was not reached
	table    *table    // nil: what there is is not known, or cannot have partitions
	problems []string
	covered  time.Duration
	changed  bool
	owner    bool          // has slots of the table
	involved bool          // in a move of slots that is planned or under way
	busy     bool          // another keeper does it
	patience time.Duration // for a lock, at the first look; 0: as settings say
}

// open connects, and looks at the table.
func (s *shardTable) open(ctx context.Context, rule Rule) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	err := s.connect(ctx)
	if err == nil {
		err = s.look(ctx, rule)
	}
	if errors.Is(err, errAbsent) && !s.owner {
		return
	}
	s.fail(err)
}

func (s *shardTable) connect(ctx context.Context) (err error) {
	if s.conn, err = s.keeper.cfg.Dial(ctx, s.shard); err != nil {
		return err
	}
	all := settings
	if s.patience > 0 {
		all += fmt.Sprintf("; SET lock_timeout = %d", s.patience.Milliseconds())
	}
	_, err = s.conn.Exec(ctx, all)
	return err
}

func (s *shardTable) look(ctx context.Context, rule Rule) error {
	found, err := read(ctx, s.conn, rule)
	if err == nil {
		found.clockHere = s.keeper.cfg.Now()
		s.table = found
	}
	return err
}

// close hangs up politely if the server answers at once.
func (s *shardTable) close(ctx context.Context) {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // nothing depends on it: the server notices either way
}

func (s *shardTable) fail(err error) {
	if isCode(err, "55P03") {
		err = fmt.Errorf("somebody has locked the table, or a partition of it: %w", err)
	}
	if err != nil {
		s.problems = append(s.problems, err.Error())
	}
}

func (s *shardTable) status(rule Rule) Status {
	return Status{Table: rule.Table, Shard: s.shard.ID, Known: s.table != nil, Covered: s.covered, Problem: strings.Join(s.problems, "; "),
		dry: s.table != nil && s.covered < rule.Ahead.Roughly()/2}
}

// keep makes what is missing and drops what may go, one keeper at a time. Now is the earliest of all clocks.
func (s *shardTable) keep(ctx context.Context, rule Rule, others []Span, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, shardLimit)
	defer cancel()
	_, err := s.conn.Exec(ctx, "SELECT pg_advisory_lock($1, hashtext($2))", tableLock, rule.Table.String())
	if isCode(err, "55P03") { // another keeper is at it, for long
		s.busy = true
		return
	}
	if err == nil {
		err = s.look(ctx, rule) // another one may have been
	}
	if err != nil {
		s.fail(err)
		return
	}
	earliest, latest := s.table.clock, s.table.clockHere
	if latest.Before(earliest) {
		earliest, latest = latest, earliest
	}
	trusted := latest.Sub(earliest) <= maxSkew
	if !trusted {
		s.fail(fmt.Errorf("the shard's clock says %s, and the proxy's %s: nothing is dropped", stamp(s.table.clock), stamp(s.table.clockHere)))
		earliest, latest = s.table.clock, s.table.clock
	}
	s.complete(ctx, rule, others, earliest, latest)
	if trusted && rule.Drop {
		s.expire(ctx, rule, now)
	}
	_, open := s.table.spans()
	if end := gap(open, earliest, time.Time{}); end.IsZero() {
		s.covered = longest * 366 * day
	} else {
		s.covered = end.Sub(earliest)
	}
}

// complete makes what is missing.
func (s *shardTable) complete(ctx context.Context, rule Rule, others []Span, earliest, latest time.Time) {
	wanted := slices.Concat(rule.wanted(earliest, latest), others)
	slices.SortStableFunc(wanted, func(a, b Span) int { return a.From.Compare(b.From) })
	present, _ := s.table.spans()
	lacking, problems := missing(slices.Compact(wanted), present, rule.Ahead.After(latest))
	s.problems = append(s.problems, problems...)
	for _, span := range lacking {
		name, err := s.table.create(ctx, s.conn, rule, span)
		if err != nil {
			s.fail(err)
			if ctx.Err() != nil || s.conn.IsClosed() {
				return
			}
			continue
		}
		s.changed = true
		s.keeper.created.Add(1)
		s.table.parts = append(s.table.parts, part{Span: span, schema: rule.Table.Schema, name: name, kind: "r"})
		s.keeper.cfg.Log.Info("partition made", "table", rule.Table.String(), "shard", string(s.shard.ID), "partition", name, "from", stamp(span.From), "to", stamp(span.To))
	}
}

// expire drops what may go when it is that time.
func (s *shardTable) expire(ctx context.Context, rule Rule, now time.Time) {
	before := rule.Keep.Before(now)
	for _, p := range s.table.left {
		s.drop(ctx, rule, p, func() error { return s.table.dropLeft(ctx, s.conn, rule, p, before) })
	}
	old := slices.Clone(s.table.parts)
	slices.SortStableFunc(old, func(a, b part) int { return boolFirst(a.pending, b.pending) }) // one at a time may be taken off
	for _, p := range old {
		switch {
		case !rule.expired(p.Span, now) && p.mark && !p.pending: // it was to be dropped, before somebody has changed keep
			s.fail(unmark(ctx, s.conn, p))
		case rule.expired(p.Span, now) && (p.kind == "r" || p.kind == "p") && (!p.pending || p.mark):
			s.drop(ctx, rule, p, func() error { return s.table.drop(ctx, s.conn, rule, p, before) })
		}
	}
}

func boolFirst(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

func (s *shardTable) drop(ctx context.Context, rule Rule, p part, do func() error) {
	if ctx.Err() != nil || s.conn.IsClosed() {
		return
	}
	err := dropping(ctx, s.conn, do)
	if errors.Is(err, errMoving) {
		return // later
	}
	if err != nil {
		s.fail(err)
		return
	}
	s.changed = true
	s.keeper.dropped.Add(1)
	s.table.parts = slices.DeleteFunc(s.table.parts, func(o part) bool { return o.schema == p.schema && o.name == p.name })
	s.keeper.cfg.Log.Info("partition dropped", "table", rule.Table.String(), "shard", string(s.shard.ID), "partition", p.name, "from", stamp(p.From), "to", stamp(p.To))
}
