package admin

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// rebalanceCommands move slots between shards.
func rebalanceCommands() []command {
	return []command{
		{name: "SHOW REBALANCE", does: "Lists the moves of slots that are not finished, and those of the last week.", role: proxy.RoleStats,
			columns: moveColumns(), run: (*Console).showRebalance},
		{name: "REBALANCE PLAN", syntax: "[BY COUNT|SIZE|LOAD]", role: proxy.RoleAdmin,
			does:    "Lists the moves that REBALANCE START would make, and makes none. BY says what is evened out: slots, bytes, or rows written in the next seconds.",
			columns: plannedColumns(), run: (*Console).rebalancePlan},
		{name: "REBALANCE START", syntax: "[BY COUNT|SIZE|LOAD]", role: proxy.RoleAdmin, run: (*Console).rebalanceStart,
			does: "Moves slots until each active shard has its share by weight, while clients go on writing. Draining shards lose everything."},
		{name: "REBALANCE PAUSE", role: proxy.RoleAdmin, run: (*Console).rebalancePause, does: "Stops all moves where they are. A cut-over that has begun ends first."},
		{name: "REBALANCE RESUME", role: proxy.RoleAdmin, run: (*Console).rebalanceResume,
			does: "Lets moves go on that were paused, or that stopped because of a problem."},
		{name: "REBALANCE CANCEL", role: proxy.RoleAdmin, run: (*Console).rebalanceCancel,
			does: "Undoes every move that has not switched its slots yet. Those that have go on. Of a move that is being reverted, reverting is undone."},
		{name: "REBALANCE REVERT", syntax: "[move]", role: proxy.RoleAdmin, run: (*Console).rebalanceRevert,
			does: "Sends the slots of a reversible move, or of all, back to where they came from, with everything that was written since. Nothing is copied."},
		{name: "REBALANCE FINISH", syntax: "[move]", role: proxy.RoleAdmin, run: (*Console).rebalanceFinish,
			does: "Ends a reversible move, or all: the rows on the shards that slots were taken from are deleted."},
		{name: "DRAIN SHARD", syntax: "name", role: proxy.RoleAdmin, run: (*Console).drainShard,
			does: "Has a shard give all of its slots to the others; DROP SHARD can then forget it."},
	}
}

func moveColumns() []column {
	return []column{
		{"move", integer, "Its number."},
		{"group", text, "The colocation group; all of its tables move together."},
		{"source", text, "The shard that slots are taken from."},
		{"target", text, "The shard that gets them."},
		{"slots", integer, "How many."},
		{"keys", text, "The keys that move by themselves, by MOVE KEY; NULL when whole slots move."},
		{"state", text, "planned, preparing, copying, catching_up, verifying, freezing, switched, reversible, cleaning, guarding, done; cancelling, cancelled. See docs/rebalancing.md."},
		{"progress", text, "paused, stopped (see waiting_for), reverting (source and target have changed places), running or finished."},
		{"waiting_for", text, "What it waits for, or why it has stopped."},
		{"pct", float, "How much of the copy is done; NULL while that is not known."},
		{"rows_copied", integer, "Rows copied so far."},
		{"rows_est", integer, "Rows to copy, as the source's statistics estimate them."},
		{"bytes_copied", integer, "Their size as text, on the way."},
		{"bytes_est", integer, "Size of the rows to copy on the source, with indexes."},
		{"rows_per_s", float, "Rows copied in a second: while copying the last one, then the average."},
		{"eta_s", float, "When the copy will be done at this rate; NULL while that is not known, and when it is done."},
		{"applied", integer, "Changes that clients have made meanwhile and that were brought to the target."},
		{"lag_bytes", integer, "How far the target is behind the source's log, when last looked; of a reversible move the source behind the target's."},
		{"pause_ms", float, "How long writes to these slots were held back for the cut-over."},
		{"seconds", float, "Since the move was planned; of a finished one, until it was."},
		{"reversible_until", text, "Until when REBALANCE REVERT can send the slots back."},
		{"log_bytes", integer, "Log that the target of a reversible move keeps for that; rebalance.return_log bounds it."},
	}
}

// showRebalance answers SHOW REBALANCE.
func (c *Console) showRebalance(ctx context.Context, _ *input) (*outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	moves, err := c.cfg.Rebalance.Statuses(ctx)
	if err != nil {
		return nil, topologyError(err)
	}
	var rows []row
	for i := range moves {
		m := &moves[i]
		end := m.Changed
		if m.Finished != nil {
			end = *m.Finished
		}
		rows = append(rows, row{m.ID, m.Group, string(m.From), string(m.To), int64(m.Slots), keysOf(m.Keys), m.State.String(), progressOf(m), orNull(m.WaitingFor),
			pointed(m.Percent()), m.RowsCopied, pointed(m.RowsTotal), m.BytesCopied, pointed(m.BytesTotal), pointed(m.RowsPerS), secondsOf(m.Left()), m.Applied, pointed(m.LagBytes), pointed(m.PauseMillis), end.Sub(m.Created).Seconds(),
			untilOf(m), pointed(m.LogBytes)})
	}
	return rowsOf(rows)
}

func progressOf(m *rebalance.Status) string {
	switch {
	case m.State.Finished():
		return "finished"
	case m.Stopped:
		return "stopped"
	case m.Paused:
		return "paused"
	case m.Reverted:
		return "reverting"
	}
	return "running"
}

// untilOf is the end of the time in which a move can be reverted, or NULL.
func untilOf(m *rebalance.Status) any {
	if m.Until == nil {
		return nil
	}
	return m.Until.Format(time.RFC3339)
}

// pointed is the value, or NULL.
func pointed[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// rebalancePause answers REBALANCE PAUSE.
func (c *Console) rebalancePause(ctx context.Context, _ *input) (*outcome, error) {
	return c.pauseMoves(ctx, true)
}

// rebalanceResume answers REBALANCE RESUME.
func (c *Console) rebalanceResume(ctx context.Context, _ *input) (*outcome, error) {
	return c.pauseMoves(ctx, false)
}

func (c *Console) pauseMoves(ctx context.Context, paused bool) (*outcome, error) {
	n, err := c.cfg.Topology.PauseMoves(ctx, paused)
	if err != nil {
		return nil, topologyError(err)
	}
	word := "paused"
	if !paused {
		word = "under way again"
	}
	return &outcome{notices: notice(movesAre(n)+word, "")}, nil
}

// rebalanceCancel answers REBALANCE CANCEL.
func (c *Console) rebalanceCancel(ctx context.Context, _ *input) (*outcome, error) {
	n, err := c.cfg.Topology.CancelMoves(ctx)
	if err != nil {
		return nil, topologyError(err)
	}
	return &outcome{notices: notice(movesAre(n)+"being undone", "SHOW REBALANCE tells when they are.")}, nil
}

// rebalanceRevert answers REBALANCE REVERT.
func (c *Console) rebalanceRevert(ctx context.Context, in *input) (*outcome, error) {
	return redirected(ctx, in, c.cfg.Topology.RevertMoves, "being reverted", "SHOW REBALANCE tells when they are. REBALANCE CANCEL gives reverting up.")
}

// rebalanceFinish answers REBALANCE FINISH.
func (c *Console) rebalanceFinish(ctx context.Context, in *input) (*outcome, error) {
	return redirected(ctx, in, c.cfg.Topology.FinishMoves, "no longer reversible", "SHOW REBALANCE tells when the old rows are deleted.")
}

// movesAre begins what is said of some moves.
func movesAre(n int) string {
	if n == 1 {
		return "1 move is "
	}
	return fmt.Sprintf("%d moves are ", n)
}

// redirected asks for something of the reversible moves, or of the one that is named.
func redirected(ctx context.Context, in *input, order func(context.Context, int64) (int, error), says, hint string) (*outcome, error) {
	var id int64
	if len(in.arguments.rest) > 0 {
		n, err := readNumber(&in.arguments, "the move", math.MaxInt32)
		if err == nil {
			err = in.arguments.end()
		}
		if err != nil {
			return nil, err
		}
		id = int64(n)
	}
	n, err := order(ctx, id)
	if err != nil {
		return nil, topologyError(err)
	}
	if n == 0 {
		return &outcome{notices: notice("no move is reversible", "A move is for a while after its cut-over: rebalance.keep_source of the configuration.")}, nil
	}
	return &outcome{notices: notice(movesAre(n)+says, hint)}, nil
}

// drainShard answers DRAIN SHARD.
func (c *Console) drainShard(ctx context.Context, in *input) (*outcome, error) {
	word, err := in.arguments.word("a shard")
	if err != nil {
		return nil, err
	}
	snap, shard, err := c.lastShard(in, word)
	if err != nil {
		return nil, err
	}
	if snap.Busy("") {
		return nil, &pgwire.Error{Code: codeNotInState, Message: "nothing was changed: slots are moving already", Hint: "SHOW REBALANCE tells how far the moves are. REBALANCE FINISH ends those that can still be reverted."}
	}
	if _, err := c.cfg.Topology.SetShardState(ctx, shard.ID, topology.Draining); err != nil {
		return nil, topologyError(err)
	}
	out, err := c.startMoves(ctx, rebalance.ByCount, fmt.Sprintf("shard %s owns no slots that can move", shard.ID))
	if err == nil {
		out.notices = append(out.notices, staying(snap, shard.ID)...)
	}
	return out, err
}

// staying tells what a drained shard keeps.
func staying(snap *topology.Snapshot, id ring.ShardID) []*pgwire.Error {
	var keeps []string
	if snap.Home == id {
		keeps = append(keeps, "it is the home shard")
	}
	for _, g := range snap.Groups() {
		if g.Strategy != topology.Consistent && owns(g, id) {
			keeps = append(keeps, "group "+g.Name+" is not placed by the ring")
		}
	}
	for _, t := range snap.Tables() {
		if t.Declared && t.Kind == topology.Home && t.Shard == id {
			keeps = append(keeps, "home table "+shortName(t.Name))
		}
	}
	if len(keeps) == 0 {
		return nil
	}
	return notice(fmt.Sprintf("shard %s keeps what is not moved: %s", id, strings.Join(keeps, ", ")), "")
}

func owns(g *topology.Group, id ring.ShardID) bool {
	for _, owner := range g.Placement.Owners() {
		if owner == id {
			return true
		}
	}
	return false
}
