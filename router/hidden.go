package router

import (
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

// anchor names a sharded table's key in the FROM list of a gathered SELECT, so
// that a condition can be put on it: every row of the result has one of its
// rows. The zero value: there is no such name.
type anchor struct {
	table  string
	column string
}

// hide notes what the plan's shards must leave out. A plan that reads or writes
// the rows of some keys on one shard needs nothing: the map says where those
// that count are.
func (p *planner) hide() *Refusal {
	switch p.plan.Kind {
	case One, Home, Reference:
		return nil
	case Gather:
		return p.hideRows(p.plan.At.Group) // gathered tables are of one group
	case Broadcast:
		if p.s.Access == Define && p.anyMove() {
			return &Refusal{Reason: Unsupported, Message: "the schema cannot be changed while slots move",
				Detail: "A move copies rows between tables that must stay alike.",
				Hint:   "Wait for the move or cancel it: SHOW REBALANCE on the console."}
		}
	case Split:
		if len(p.plan.Parts) > 0 && !slices.ContainsFunc(p.plan.Parts, func(part Part) bool { return part.division == nil }) {
			return nil // each row goes to the owner of its key
		}
	case Pull, KindUnset:
	}
	refs := append([]SlotRef{p.plan.At}, p.plan.Also...)
	if p.movingTables() || slices.ContainsFunc(refs, func(ref SlotRef) bool { return p.snap.Moving(ref.Group) }) {
		return moving()
	}
	return nil
}

func (p *planner) anyMove() bool {
	return slices.ContainsFunc(p.snap.Groups(), func(g *topology.Group) bool { return p.snap.Moving(g.Name) })
}

func (p *planner) hideRows(group string) *Refusal {
	for _, shard := range p.plan.Shards {
		slots := p.snap.Hidden(group, shard)
		if slots.Empty() {
			continue
		}
		if p.s.gather == nil || p.s.gather.anchor == (anchor{}) {
			return moving()
		}
		p.plan.Hidden = append(p.plan.Hidden, Hidden{Shard: shard, Slots: slots, KeyType: p.snap.Group(group).KeyType})
	}
	return nil
}

func moving() *Refusal {
	return &Refusal{
		Reason: Unsupported, Message: "statement cannot run on several shards while slots move",
		Detail: "Rows of its tables are on two shards meanwhile, and pgring cannot tell them apart in a statement of this form.",
		Hint:   "Give it a shard key, or wait for the move: SHOW REBALANCE on the console.",
	}
}

// HiddenText returns the text of a gathered statement for one shard: text,
// which is the plan's or the client's, without the rows that are hidden there.
// The error is a *Refusal.
func (s *Statement) HiddenText(text string, h *Hidden) (string, error) {
	a := s.gather.anchor
	tree, err := pg.Parse(text)
	if err != nil || len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
		return "", hiddenUnsure()
	}
	column := quoteIdent(a.table) + "." + quoteIdent(a.column)
	// A row without a key counts where it is.
	condition, err := pg.Parse("SELECT 1 WHERE " + h.Slots.InSQL(h.KeyType, column) + " IS NOT TRUE")
	if err != nil {
		return "", hiddenUnsure()
	}
	where := condition.Stmts[0].Stmt.GetSelectStmt().WhereClause
	stmt := tree.Stmts[0].Stmt.GetSelectStmt()
	if stmt.WhereClause != nil {
		where = and(stmt.WhereClause, where)
	}
	stmt.WhereClause = where
	hidden, ok := deparse(stmt)
	if !ok {
		return "", hiddenUnsure()
	}
	return hidden, nil
}

func hiddenUnsure() *Refusal {
	return &Refusal{Reason: Unsupported, Message: "statement cannot run on several shards while slots move",
		Detail: "Its text for the shards could not be written with certainty.",
		Hint:   "Write the statement in a simpler form, or wait for the move: SHOW REBALANCE on the console."}
}

// and joins two conditions as the parser does: what is ANDed on the left becomes part of one list.
func and(left, right *pg.Node) *pg.Node {
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
		return anchor{table: r.name, column: keyName(r.table)}
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
