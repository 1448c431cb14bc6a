package saga

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// Report is what Verify found.
type Report struct {
	Sagas       int // that were compared
	Rows        int // barrier rows of them
	Decisions   int // of two-phase commits
	Prepared    int // transactions of the cluster, decided or not
	Problems    []Problem
	Unreachable map[ring.ShardID]error
}

// Problem is a contradiction between shards. One that has lost committed data is the usual reason: a replica that was promoted
// before it had everything, or a restored backup.
type Problem struct {
	ID    string // of a saga, or of a two-phase commit: the third part of what it has prepared
	Shard ring.ShardID
	Step  int
	Text  string
}

// Verify compares the sagas' homes with what all shards say of their steps, and the decisions of two-phase commits with what is
// prepared. What is under way is not an error.
func (c *Coordinator) Verify(ctx context.Context) (*Report, error) {
	snap := c.cfg.Topology.Current()
	if snap == nil {
		return nil, topology.ErrNotStarted
	}
	v := &verification{c: c, report: &Report{Unreachable: map[ring.ShardID]error{}}, conns: map[ring.ShardID]*pgx.Conn{},
		sagas: map[string]*row{}, rows: map[string]map[place]rowKind{}}
	defer v.close(ctx)
	for _, shard := range snap.Shards {
		if err := v.readHome(ctx, shard.ID); err != nil {
			v.report.Unreachable[shard.ID] = err
		}
	}
	for _, shard := range slices.Sorted(maps.Keys(v.conns)) {
		if err := v.readShard(ctx, snap, shard); err != nil {
			v.report.Unreachable[shard] = err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.sagas)) {
		v.compare(v.sagas[id])
	}
	v.orphans(snap)
	return v.report, v.lookAgain(ctx)
}

// verification is one Verify.
type verification struct {
	c      *Coordinator
	report *Report
	conns  map[ring.ShardID]*pgx.Conn
	sagas  map[string]*row
	rows   map[string]map[place]rowKind // by saga

	decided []Problem // of two-phase commits: each is seen on one shard, so there is nothing to look at again
}

// place is where a barrier row was found.
type place struct {
	shard ring.ShardID
	step  int
	op    op
}

func (v *verification) close(ctx context.Context) {
	for _, conn := range v.conns {
		hangUp(ctx, conn)
	}
}

// readHome reads a shard's sagas before anybody's barrier rows: what is settled then has all its rows, unless they are being
// cleaned away.
func (v *verification) readHome(ctx context.Context, shard ring.ShardID) error {
	conn, err := v.c.operator(ctx, shard)
	if err != nil {
		return err
	}
	v.conns[shard] = conn
	if err := v.c.install(ctx, conn, shard); err != nil {
		return err
	}
	if err := v.c.writeNotes(ctx, conn, shard); err != nil { // without its end, a saga says nothing of its steps
		return err
	}
	rows, err := conn.Query(ctx, "SELECT "+rowColumns+" FROM pgring.saga WHERE mode <> '2pc'")
	if err != nil {
		return fmt.Errorf("read sagas: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanRow)
	if err != nil {
		return fmt.Errorf("read sagas: %w", err)
	}
	for _, r := range list {
		v.sagas[r.id] = r
	}
	v.report.Sagas += len(list)
	return nil
}

// readShard reads the rest of what a shard has.
func (v *verification) readShard(ctx context.Context, snap *topology.Snapshot, shard ring.ShardID) error {
	if err := v.readRows(ctx, shard); err != nil {
		return err
	}
	if err := v.readDecisions(ctx, shard); err != nil {
		return err
	}
	return v.readPrepared(ctx, snap, shard)
}

func (v *verification) readRows(ctx context.Context, shard ring.ShardID) error {
	rows, err := v.conns[shard].Query(ctx, "SELECT saga_id, step, op::text, kind FROM pgring.barrier WHERE position('.' IN saga_id) > 0")
	if err != nil {
		return fmt.Errorf("read barrier rows: %w", err)
	}
	var id string
	var kind rowKind
	at := place{shard: shard}
	_, err = pgx.ForEachRow(rows, []any{&id, &at.step, &at.op, &kind}, func() error {
		if v.rows[id] == nil {
			v.rows[id] = map[place]rowKind{}
		}
		v.rows[id][at] = kind
		v.report.Rows++
		return nil
	})
	if err != nil {
		return fmt.Errorf("read barrier rows: %w", err)
	}
	return nil
}

// compare checks one saga against the rule. A shard that did not answer is left out.
func (v *verification) compare(r *row) {
	if r.cleaned || r.state == Abandoned {
		return
	}
	for i, step := range r.rec.Steps {
		if v.report.Unreachable[step.Shard] != nil || v.conns[step.Shard] == nil {
			continue
		}
		rows := v.rows[r.id]
		own, undone, forward := rows[place{step.Shard, i, opAction}], rows[place{step.Shard, i, opUndo}], rows[place{step.Shard, i, opForward}]
		if text := contradiction(r.state, own, undone, forward); text != "" {
			v.report.Problems = append(v.report.Problems, Problem{ID: r.id, Shard: step.Shard, Step: i, Text: text})
		}
	}
}

// contradiction says what is wrong with the rows of one step; empty: nothing.
func contradiction(state State, own, undone, forward rowKind) string {
	done := own == rowAction || own == rowSkip || forward != ""
	switch {
	case undone == rowAction && own != rowAction:
		return "undone, but not done"
	case own == rowAction && forward != "":
		return "done twice: its own work, and run forward"
	case state == Committed && !done:
		return "the saga is COMMITTED, but the step is not done"
	case state == Committed && undone != "":
		return "the saga is COMMITTED, but the step is undone"
	case state == Compensated && done && undone == "":
		return "the saga is COMPENSATED, but the step is done and not undone"
	}
	return ""
}

// orphans are done steps of a saga that its home does not know.
func (v *verification) orphans(snap *topology.Snapshot) {
	for _, id := range slices.Sorted(maps.Keys(v.rows)) {
		home, err := homeOf(id)
		if err != nil || v.sagas[id] != nil || v.report.Unreachable[home] != nil {
			continue
		}
		text := "its home has no row of the saga"
		if _, member := snap.Shard(home); !member {
			text = "its home is not in the cluster any more"
		}
		for at, kind := range v.rows[id] {
			if kind == rowAction && at.op == opAction {
				v.report.Problems = append(v.report.Problems, Problem{ID: id, Shard: at.shard, Step: at.step, Text: text})
			}
		}
	}
}

// lookAgain drops what was only seen because the shards were read one after another: a saga that began or was settled meanwhile.
// Home is asked last, as it says so before any row of a settled saga goes.
func (v *verification) lookAgain(ctx context.Context) error {
	problems := v.report.Problems
	v.report.Problems = v.decided
	for _, p := range problems {
		home, err := homeOf(p.ID)
		if err != nil {
			return err
		}
		before, conn := v.sagas[p.ID], v.conns[home]
		if conn == nil {
			v.report.Problems = append(v.report.Problems, p)
			continue
		}
		now, err := readRow(ctx, conn, p.ID)
		if err != nil {
			return err
		}
		if before == nil && now != nil || before != nil && (now == nil || now.cleaned || now.state != before.state) {
			continue
		}
		v.report.Problems = append(v.report.Problems, p)
	}
	return nil
}
