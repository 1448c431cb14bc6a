package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// volatileDefault returns a column of an inserted row that gets its DEFAULT,
// where shards may compute it differently; "" if there is none. names are the
// columns of the list, if there is one; values those of the row, and given is
// how many there are: 0 when that is not known.
func volatileDefault(t *topology.Table, names []string, values []*pg.Node, given int) string {
	if len(t.Columns) == 0 {
		return "?"
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		position := i
		if len(names) > 0 {
			position = slices.Index(names, c.Name)
		}
		omitted := position < 0 || position >= given
		if c.DefaultVolatile && (omitted || position < len(values) && values[position].GetSetToDefault() != nil) {
			return c.Name
		}
	}
	return ""
}

// defaulted returns a column that an INSERT leaves to a DEFAULT that shards may
// compute differently, or "".
func defaulted(t *topology.Table, s *pg.InsertStmt) string {
	names := targetNames(s.Cols)
	rows := s.SelectStmt.GetSelectStmt()
	if rows == nil {
		return volatileDefault(t, nil, nil, 0) // DEFAULT VALUES
	}
	if len(rows.ValuesLists) == 0 {
		given := len(names)
		if given == 0 && rows.Op == pg.SetOperation_SETOP_NONE && !hasStar(rows.TargetList) {
			given = len(rows.TargetList)
		}
		return volatileDefault(t, names, nil, given)
	}
	for _, row := range rows.ValuesLists {
		values := row.GetList().GetItems()
		if column := volatileDefault(t, names, values, len(values)); column != "" {
			return column
		}
	}
	return ""
}

func targetNames(cols []*pg.Node) []string {
	var names []string
	for _, n := range cols {
		names = append(names, n.GetResTarget().GetName())
	}
	return names
}

// assignedDefault notes SET column = DEFAULT, also as one of several columns.
func (a *analysis) assignedDefault(t *topology.Table, target *pg.ResTarget) {
	if t == nil {
		return
	}
	if i := t.Column(target.GetName()); i >= 0 && !t.Columns[i].DefaultVolatile {
		return
	}
	found := survey{}
	found.walk(target.GetVal())
	if found.defaults > 0 {
		a.defaults = append(a.defaults, target.GetName())
	}
}

// mergedDefault notes the defaults of WHEN NOT MATCHED THEN INSERT.
func (a *analysis) mergedDefault(t *topology.Table, w *pg.MergeWhenClause) {
	if t == nil {
		return
	}
	if column := volatileDefault(t, targetNames(w.TargetList), w.Values, len(w.Values)); column != "" {
		a.defaults = append(a.defaults, column)
	}
}
