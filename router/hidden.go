package router

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// Hidden are slots of which a shard may have rows that do not count, because
// they are moving to it or have moved from it: a statement on several shards
// must leave them out there.
type Hidden struct {
	Shard   ring.ShardID
	Slots   *ring.SlotSet
	KeyType ring.KeyType
}

// anchor names a sharded table's key in a statement on several shards, so that
// a condition can be put on it: every row that the statement returns or changes
// has one of its rows. The zero value: there is no such name.
type anchor struct {
	table string
	key   []string
}

// none says whether there is no such name.
func (a *anchor) none() bool { return len(a.key) == 0 }

// columns are the key's as SQL.
func (a *anchor) columns() []string {
	columns := make([]string, len(a.key))
	for i, name := range a.key {
		columns[i] = quoteIdent(a.table) + "." + quoteIdent(name)
	}
	return columns
}

// hide notes what the plan's shards must leave out. A plan that reads or writes
// the rows of some keys on one shard needs nothing: the map says where those
// that count are. The texts of a pull have it in them.
func (p *planner) hide() *Refusal {
	switch p.plan.Kind {
	case One, Home, Reference, Pull, Staged:
		return nil
	case Gather:
		return p.hideRows()
	case Split:
		if p.byOwner() {
			return nil
		}
		if len(p.plan.Parts) == 0 {
			return p.hideRows()
		}
	case Broadcast:
		if p.s.Access == Define && p.anyMove() {
			return &Refusal{Reason: Unsupported, Message: "the schema cannot be changed while slots move",
				Detail: "A move copies rows between tables that must stay alike.",
				Hint:   "Wait for the move or cancel it: SHOW REBALANCE on the console."}
		}
		if p.s.locksOut {
			return p.unlockable()
		}
		if !p.s.truncates { // VACUUM, LOCK TABLE and the like, or a write to a reference table
			return nil
		}
	case KindUnset:
	}
	refs := append([]SlotRef{p.plan.At}, p.plan.Also...)
	if p.movingTables() || slices.ContainsFunc(refs, func(ref SlotRef) bool { return p.snap.Moving(ref.Group) }) {
		return moving()
	}
	return nil
}

// unlockable refuses a lock that would wait for a copy of rows, which may take hours, while it keeps others out on other shards.
func (p *planner) unlockable() *Refusal {
	for _, m := range p.snap.Moves {
		copied := func(name topology.Name) bool {
			t := p.snap.Table(name.Schema, name.Table)
			return t != nil && t.Group != nil && t.Group.Name == m.Group
		}
		if m.State == topology.MoveCopying && slices.ContainsFunc(p.s.Tables, copied) {
			return &Refusal{Reason: SlotsMoving, Code: "55P03", Message: "could not obtain lock on a table whose rows are being copied to another shard",
				Detail: fmt.Sprintf("The copy of move %d writes to it on shard %q until it is done.", m.ID, m.To),
				Hint:   "Try again later: SHOW REBALANCE on the console tells how far the copy is. REBALANCE CANCEL ends it."}
		}
	}
	return nil
}

// byOwner says whether a write only adds rows, each on the shard that owns its key.
func (p *planner) byOwner() bool {
	return p.s.copying != nil ||
		len(p.plan.Parts) > 0 && !slices.ContainsFunc(p.plan.Parts, func(part Part) bool { return part.division == nil })
}

func (p *planner) anyMove() bool {
	return slices.ContainsFunc(p.snap.Groups(), func(g *topology.Group) bool { return p.snap.Moving(g.Name) })
}

// hideRows notes what is hidden of a statement's tables, which are of one group.
func (p *planner) hideRows() *Refusal {
	if p.s.uncopied {
		return nil
	}
	group := p.s.needs[0].group
	for _, shard := range p.plan.Shards {
		slots := p.snap.Hidden(group, shard)
		if slots.Empty() {
			continue
		}
		if a := p.s.anchored(); a.none() {
			return moving()
		}
		p.plan.Hidden = append(p.plan.Hidden, Hidden{Shard: shard, Slots: slots, KeyType: p.snap.Group(group).KeyType})
	}
	return nil
}

func moving() *Refusal {
	return &Refusal{
		Reason: SlotsMoving, Message: "statement cannot run on several shards while slots move",
		Detail: "Rows of its tables are on two shards meanwhile, and pgring cannot tell them apart in a statement of this form.",
		Hint:   "Give it a shard key, or wait for the move: SHOW REBALANCE on the console.",
	}
}

// anchored is the key that tells which rows the statement is about.
func (s *Statement) anchored() anchor {
	if s.gather != nil {
		return s.gather.anchor
	}
	return s.anchor
}

// counting is the SQL condition that a row is not hidden. A row without a key
// counts where it is.
func (h *Hidden) counting(columns []string) string {
	return h.Slots.InSQL(h.KeyType, columns...) + " IS NOT TRUE"
}

// counting is the condition that a row of a fetch is not hidden on a shard; empty: none is.
func (p *planner) counting(f *fetch, shard ring.ShardID) string {
	if f.shard != "" {
		return ""
	}
	slots := p.snap.Hidden(f.need.group, shard)
	if slots.Empty() {
		return ""
	}
	h := Hidden{Shard: shard, Slots: slots, KeyType: p.snap.Group(f.need.group).KeyType}
	return h.counting(f.keyColumns())
}

// HiddenText returns the text of a statement on several shards for one of them:
// text, which is the plan's or the client's, without the rows that are hidden
// there. The error is a *Refusal.
func (s *Statement) HiddenText(text string, h *Hidden) (string, error) {
	a := s.anchored()
	tree, err := pg.Parse(text)
	if err != nil || len(tree.Stmts) != 1 {
		return "", hiddenUnsure()
	}
	condition, err := pg.Parse("SELECT 1 WHERE " + h.counting(a.columns()))
	if err != nil {
		return "", hiddenUnsure()
	}
	node, before, after := tree.Stmts[0].Stmt, "", ""
	if copied := node.GetCopyStmt(); copied != nil {
		before, after = "COPY (", ") "+cutCopyTarget([]byte(text))
		if node = copied.Query; node == nil {
			node = queryOf(copied, s.copied)
		}
	}
	clause := rowsClause(node)
	if clause == nil {
		return "", hiddenUnsure()
	}
	*clause = and(*clause, condition.Stmts[0].Stmt.GetSelectStmt().WhereClause)
	hidden, ok := deparseNode(node)
	if !ok {
		return "", hiddenUnsure()
	}
	return before + hidden + after, nil
}

// rowsClause is the condition that chooses the rows of a statement; nil: it has none.
func rowsClause(node *pg.Node) **pg.Node {
	switch n := node.GetNode().(type) {
	case *pg.Node_SelectStmt:
		return &n.SelectStmt.WhereClause
	case *pg.Node_InsertStmt: // INSERT … SELECT
		if n.InsertStmt.SelectStmt.GetSelectStmt() != nil {
			return &n.InsertStmt.SelectStmt.GetSelectStmt().WhereClause
		}
	case *pg.Node_UpdateStmt:
		return &n.UpdateStmt.WhereClause
	case *pg.Node_DeleteStmt:
		return &n.DeleteStmt.WhereClause
	case *pg.Node_MergeStmt: // it inserts nothing: a row that is not matched is left alone
		return &n.MergeStmt.JoinCondition
	}
	return nil
}

// queryOf is the query that COPY table TO stands for.
func queryOf(s *pg.CopyStmt, columns []string) *pg.Node {
	from := clone(s.Relation)
	from.Inh = false // COPY leaves out what inherits from the table
	q := &pg.SelectStmt{FromClause: []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: from}}},
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	for _, name := range columns {
		q.TargetList = append(q.TargetList, resTarget("", columnNode(from.Relname, name)))
	}
	return &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: q}}
}

func hiddenUnsure() *Refusal {
	return &Refusal{Reason: SlotsMoving, Message: "statement cannot run on several shards while slots move",
		Detail: "Its text for the shards could not be written with certainty.",
		Hint:   "Write the statement in a simpler form, or wait for the move: SHOW REBALANCE on the console."}
}

// and joins two conditions as the parser does: what is ANDed on the left becomes part of one list. Left may be nil.
func and(left, right *pg.Node) *pg.Node {
	if left == nil {
		return right
	}
	if b := left.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		b.Args = append(b.Args, right)
		return left
	}
	return &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: pg.BoolExprType_AND_EXPR, Args: []*pg.Node{left, right}}}}
}

// anchor finds the name to put a condition on: of a table that no outer join
// makes NULL, and that nothing in the FROM list hides or doubles.
func (w *gathering) anchor() anchor {
	for _, n := range w.q.stmt.FromClause {
		if renamed(n) {
			return anchor{}
		}
	}
	for _, r := range w.anchors {
		if r.table == nil || len(r.cols) > 0 || w.doubled(r) {
			continue
		}
		return anchor{table: r.name, key: r.table.Key}
	}
	return anchor{}
}

// doubled says whether another item of the FROM list has the same name.
func (w *gathering) doubled(r *rel) bool {
	for _, other := range w.q.rels {
		if other != r && other.name == r.name {
			return true
		}
	}
	return false
}

// renamed says whether a FROM item has tables whose columns cannot be used
// under the tables' own names: a join with a name, or new names for columns.
func renamed(n *pg.Node) bool {
	if j := n.GetJoinExpr(); j != nil {
		return j.Alias != nil || renamed(j.Larg) || renamed(j.Rarg)
	}
	return len(n.GetRangeVar().GetAlias().GetColnames()) > 0
}

// movingTables says whether a statement reads or writes a table of a group whose
// slots are moving.
func (p *planner) movingTables() bool {
	moving := func(t *topology.Table) bool { return t.Group != nil && p.snap.Moving(t.Group.Name) }
	for _, name := range p.s.Tables {
		t := p.snap.Table(name.Schema, name.Table)
		if t != nil && (moving(t) || slices.ContainsFunc(t.Reads, moving)) {
			return true
		}
	}
	return false
}
