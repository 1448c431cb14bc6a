package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// throttleCommands bound what copies take from the servers.
func throttleCommands() []command {
	return []command{
		{name: "REBALANCE THROTTLE", syntax: "[ROWS n] [BYTES n] [ACTIVE n] [LAG duration] | OFF | DEFAULT", role: proxy.RoleAdmin, run: (*Console).rebalanceThrottle,
			does: "Bounds copies at once: rows and bytes in a second; ACTIVE and LAG have them stand still while more sessions are at work on source or target, or a standby of either is further behind. " +
				"What is not named is not bounded. DEFAULT is what the configuration says; without arguments it tells what holds."},
	}
}

func plannedColumns() []column {
	return []column{
		{"group", text, "The colocation group."},
		{"source", text, "The shard that slots would be taken from."},
		{"target", text, "The shard that would get them."},
		{"slots", integer, "How many."},
		{"keys", text, "Pinned keys that would leave a draining shard; NULL when there are none."},
		{"rows_est", integer, "Rows, as the source's statistics estimate them. NULL when it does not answer."},
		{"size_bytes", integer, "Their size with indexes, likewise."},
		{"seconds_est", float, "How long the copy would take, at the rate of earlier ones (20 MB a second, before there are any) and with the throttle."},
	}
}

// planLimit bounds a plan that asks the shards first.
const planLimit = 30 * time.Second

// readBy reads [BY COUNT|SIZE|LOAD].
func readBy(t *tokens) (rebalance.By, error) {
	if !t.accept("BY") {
		return rebalance.ByCount, t.end()
	}
	for word, by := range map[string]rebalance.By{"COUNT": rebalance.ByCount, "SIZE": rebalance.BySize, "LOAD": rebalance.ByLoad} {
		if t.accept(word) {
			return by, t.end()
		}
	}
	return 0, expected("COUNT, SIZE or LOAD", t.peek())
}

// planMoves works out what would move, in moves that are not too large, and what the sources know of it.
func (c *Console) planMoves(ctx context.Context, snap *topology.Snapshot, by rebalance.By) ([]rebalance.Planned, error) {
	measuring, cancel := context.WithTimeout(ctx, planLimit)
	defer cancel()
	moves, err := c.cfg.Rebalance.PlanBy(measuring, snap, by, c.heat())
	if err != nil {
		return nil, topologyError(err)
	}
	estimating, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	planned := c.cfg.Rebalance.Estimate(estimating, snap, moves)
	if divided := rebalance.Divide(planned); len(divided) > len(planned) {
		planned = c.cfg.Rebalance.Estimate(estimating, snap, divided)
	}
	return planned, nil
}

// heat is what this proxy's sample says of hot keys.
func (c *Console) heat() []rebalance.Heat {
	var all []rebalance.Heat
	for _, k := range c.cfg.Server.HotKeys(hotKeysShown) {
		all = append(all, rebalance.Heat{Group: k.Table, Hash: k.Hash, PerSecond: k.PerSecond})
	}
	return all
}

// rebalancePlan answers REBALANCE PLAN.
func (c *Console) rebalancePlan(ctx context.Context, in *input) (*outcome, error) {
	by, err := readBy(&in.arguments)
	if err != nil {
		return nil, err
	}
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	planned, err := c.planMoves(ctx, snap, by)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, m := range planned {
		keys, _ := m.Slots.Keys()
		r := row{m.Group, string(m.From), string(m.To), int64(m.Slots.Len()), keysOf(keys), m.Rows, m.Bytes, m.Took.Seconds()}
		if m.Rows < 0 {
			r[5], r[6], r[7] = nil, nil, nil
		}
		rows = append(rows, r)
	}
	obstacles, err := c.obstacles(ctx, snap, movesOf(planned))
	if err != nil {
		return nil, err
	}
	out := &outcome{rows: rows}
	if len(obstacles) > 0 {
		warning := inTheWay(obstacles)
		warning.Severity, warning.Code = "WARNING", "01000"
		out.notices = append(out.notices, warning)
	}
	return out, nil
}

// obstacles lists what keeps moves from being made.
func (c *Console) obstacles(ctx context.Context, snap *topology.Snapshot, moves []topology.Move) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, planLimit)
	defer cancel()
	found, err := c.cfg.Rebalance.Obstacles(ctx, snap, moves)
	if err != nil {
		return nil, topologyError(fmt.Errorf("look for obstacles: %w", err))
	}
	return found, nil
}

// record has the moves made, unless something is in the way that somebody must remove first.
func (c *Console) record(ctx context.Context, snap *topology.Snapshot, moves []topology.Move) error {
	obstacles, err := c.obstacles(ctx, snap, moves)
	if err != nil {
		return err
	}
	if len(obstacles) > 0 {
		return inTheWay(obstacles)
	}
	if _, err := c.cfg.Topology.PlanMoves(ctx, moves); err != nil {
		return topologyError(err)
	}
	return nil
}

func inTheWay(obstacles []string) *pgwire.Error {
	return &pgwire.Error{Code: codeNotInState, Message: "slots cannot be moved yet", Detail: strings.Join(obstacles, "\n"),
		Hint: "No move was begun. Remove what is in the way, and REBALANCE START; docs/rebalancing.md tells what the servers need."}
}

func movesOf(planned []rebalance.Planned) []topology.Move {
	moves := make([]topology.Move, len(planned))
	for i := range planned {
		moves[i] = planned[i].Move
	}
	return moves
}

// rebalanceStart answers REBALANCE START.
func (c *Console) rebalanceStart(ctx context.Context, in *input) (*outcome, error) {
	by, err := readBy(&in.arguments)
	if err != nil {
		return nil, err
	}
	return c.startMoves(ctx, by, "every shard has its share already")
}

// startMoves records what the plan says.
func (c *Console) startMoves(ctx context.Context, by rebalance.By, nothing string) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	planned, err := c.planMoves(ctx, snap, by)
	if err != nil {
		return nil, err
	}
	if len(planned) == 0 {
		hint := ""
		switch {
		case len(snap.Reversible()) > 0:
			hint = "Groups with moves that can still be reverted are left alone: REBALANCE FINISH ends that."
		case snap.Busy(""):
			hint = "Groups whose slots are moving are left alone: SHOW REBALANCE."
		}
		return &outcome{notices: notice(nothing+": nothing to move", hint)}, nil
	}
	if err := c.record(ctx, snap, movesOf(planned)); err != nil {
		return nil, err
	}
	return &outcome{notices: notice(summary(planned)+" are under way",
		"SHOW REBALANCE tells how far they are. Until they are done the schema cannot be changed, and their tables cannot be truncated.")}, nil
}

// summary is a plan in one line.
func summary(planned []rebalance.Planned) string {
	slots, rows, bytes := 0, int64(0), int64(0)
	for i := range planned {
		slots += planned[i].Slots.Len()
		rows, bytes = rows+max(planned[i].Rows, 0), bytes+max(planned[i].Bytes, 0)
	}
	return fmt.Sprintf("%d moves of %d slots (about %d rows, %.1f MB)", len(planned), slots, rows, float64(bytes)/1e6)
}

// keysOf lists single keys, or is NULL.
func keysOf(keys []ring.Key) any {
	if len(keys) == 0 {
		return nil
	}
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = k.String()
	}
	return strings.Join(words, ", ")
}

// secondsOf is the duration, or NULL.
func secondsOf(d *time.Duration) any {
	if d == nil {
		return nil
	}
	return d.Seconds()
}

// rebalanceThrottle answers REBALANCE THROTTLE.
func (c *Console) rebalanceThrottle(ctx context.Context, in *input) (*outcome, error) {
	t := &in.arguments
	set := t.peek().kind != tokenEnd
	var want *rebalance.Throttle
	var err error
	switch {
	case t.accept("DEFAULT"), !set:
	case t.accept("OFF"):
		want = &rebalance.Throttle{}
	default:
		if want, err = readThrottle(t); err != nil {
			return nil, err
		}
	}
	if err := t.end(); err != nil {
		return nil, err
	}
	if set {
		if err := c.cfg.Rebalance.SetThrottle(ctx, want); err != nil {
			return nil, topologyError(err)
		}
	}
	holds, err := c.cfg.Rebalance.Throttle(ctx)
	if err != nil {
		return nil, topologyError(err)
	}
	return &outcome{notices: notice("the throttle of copies is "+strings.ToLower(holds.String()), "")}, nil
}

// readThrottle reads the bounds, in any order.
func readThrottle(t *tokens) (*rebalance.Throttle, error) {
	var want rebalance.Throttle
	for t.peek().kind != tokenEnd {
		switch {
		case t.accept("ROWS"):
			n, err := readNumber(t, "ROWS", 1<<40)
			if err != nil {
				return nil, err
			}
			want.Rows = int64(n)
		case t.accept("BYTES"):
			n, err := readNumber(t, "BYTES", 1<<50)
			if err != nil {
				return nil, err
			}
			want.Bytes = int64(n)
		case t.accept("ACTIVE"):
			n, err := readNumber(t, "ACTIVE", 1<<20)
			if err != nil {
				return nil, err
			}
			want.Active = n
		case t.accept("LAG"):
			typed, err := t.value("a duration")
			if err != nil {
				return nil, err
			}
			if want.Lag, err = time.ParseDuration(typed); err != nil || want.Lag <= 0 {
				return nil, &pgwire.Error{Code: codeSyntax, Message: fmt.Sprintf("LAG must be a duration, not %q", typed), Hint: "Write it like 500ms or 10s."}
			}
		default:
			return nil, expected("ROWS, BYTES, ACTIVE or LAG", t.peek())
		}
	}
	return &want, nil
}
