package router

import (
	"strings"
	"unicode"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// clockWord says whether a text may be one of the date and time inputs that
// mean a moment relative to now. PostgreSQL takes them together with others, as
// in 'tomorrow 10:00', and tells them apart by their letters.
func clockWord(text string) bool {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		switch foldCase(word) {
		case "now", "today", "tomorrow", "yesterday":
			return true
		}
	}
	return false
}

// undatedColumn says whether a type's input has nothing to do with dates: a
// constant that is stored in such a column is the same on each shard.
func undatedColumn(c *topology.Column) bool {
	switch c.Type {
	case 16, oidBytea, 18, 19, oidInt8, oidInt2, oidInt4, oidText, 26, 114, 142, 650, 700, 701, 829, 869, 1042, oidVarchar, oidNumeric,
		oidUUID, 3802:
		return true
	}
	return false
}

// stored notes that an expression is assigned to a column: if it is a constant
// or a parameter, it has the column's type.
func (a *analysis) stored(t *topology.Table, column string, value *pg.Node) {
	if t == nil {
		return
	}
	i := t.Column(column)
	if i < 0 || !undatedColumn(&t.Columns[i]) {
		return
	}
	switch n := value.GetNode().(type) {
	case *pg.Node_AConst:
		a.undated[n.AConst] = true
	case *pg.Node_ParamRef:
		a.undated[n.ParamRef] = true
	}
}

// storedRows is stored for INSERT … VALUES.
func (a *analysis) storedRows(t *topology.Table, s *pg.InsertStmt) {
	for _, row := range s.SelectStmt.GetSelectStmt().GetValuesLists() {
		for i, value := range row.GetList().GetItems() {
			a.stored(t, insertedName(t, s, i), value)
		}
	}
}

// insertedName returns the column that the i-th value of an INSERT is for; "" if
// there is none.
func insertedName(t *topology.Table, s *pg.InsertStmt, i int) string {
	switch {
	case i < len(s.Cols):
		return s.Cols[i].GetResTarget().GetName()
	case len(s.Cols) == 0 && i < len(t.Columns):
		return t.Columns[i].Name
	}
	return ""
}

// timeless says whether nothing in the statement has to do with dates, so that
// no constant in it is read as one.
func (a *analysis) timeless() bool {
	if len(a.survey.funcs) > 0 {
		return false
	}
	for _, t := range a.survey.casts {
		if !anywhereType(t) || timeType(t) {
			return false
		}
	}
	for _, t := range a.tables {
		if t == nil || len(t.Columns) == 0 {
			return false
		}
		for i := range t.Columns {
			if !undatedColumn(&t.Columns[i]) {
				return false
			}
		}
	}
	return true
}

// datedConstant says whether a constant may mean the current time.
func (a *analysis) datedConstant() bool {
	for _, c := range a.survey.texts {
		if clockWord(c.GetSval().GetSval()) && !a.undated[c] {
			return !a.timeless()
		}
	}
	return false
}

// datedParams lists the parameters, from 0, that must not mean the current time.
func (a *analysis) datedParams() []int {
	if a.timeless() {
		return nil
	}
	dated := make(map[int32]bool)
	var list []int
	for _, p := range a.survey.params {
		if !a.undated[p] && !dated[p.Number] && p.Number > 0 {
			dated[p.Number] = true
			list = append(list, int(p.Number)-1)
		}
	}
	return list
}
