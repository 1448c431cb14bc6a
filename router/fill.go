package router

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// A row whose shard key is left to DEFAULT pgring.next_id() cannot be placed until it has the key. So the session makes it, writes it
// into the text, and plans that.

// filling says where an INSERT lacks keys that the session can make; nil: it does not.
func (a *analysis) filling(n *pg.InsertStmt) *sql.Filling {
	t := a.written[0].rel.table
	if n == nil || t.Kind != topology.Sharded || n.WithClause != nil {
		return nil
	}
	key := slices.IndexFunc(t.KeyColumns, func(i int) bool { return t.Columns[i].NextID })
	if key < 0 {
		return nil
	}
	position := t.KeyColumns[key]
	if len(n.Cols) > 0 {
		var refusal *Refusal
		if position, refusal = insertColumn(t, n.Cols, key); refusal != nil {
			return nil
		}
	}
	f := &sql.Filling{Column: quoteIdent(t.Key[key]), Listed: len(n.Cols) > 0, Position: position}
	s := n.SelectStmt.GetSelectStmt()
	if s == nil {
		return f
	}
	for _, row := range s.ValuesLists {
		items := row.GetList().GetItems()
		if position < 0 || position >= len(items) || items[position].GetSetToDefault() != nil {
			return f
		}
	}
	return nil
}

// Fills says whether all that the statement lacks is shard keys, which Fill gives it.
func (s *Stages) Fills() bool { return s.fill != nil }

// Fill returns an INSERT with keys in the rows that leave them to their DEFAULT. An error is that of next, or a *Refusal.
func (s *Stages) Fill(text []byte, next func() (int64, error)) (string, error) {
	filled, ok, err := s.fill.Fill(text, func() (string, error) {
		id, err := next()
		return strconv.FormatInt(id, 10), err
	})
	if err == nil && !ok {
		err = &Refusal{Reason: MissingKey, Message: "INSERT needs a value for the shard key",
			Detail: "Its form is not one that pgring can write a key into.", Hint: "Give " + s.fill.Column + " a value, or write INSERT … VALUES without WITH."}
	}
	return string(filled), err
}
