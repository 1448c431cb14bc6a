package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// insert analyses INSERT. The level's only relation is the target, for ON
// CONFLICT and RETURNING; the rows come from a query of their own.
func (a *analysis) insert(s *pg.InsertStmt, outer *cte) *query {
	q := &query{pass: passNothing}
	q.ctes = a.with(s.WithClause, nil, outer)
	r := a.target(q, s.Relation, "INSERT")
	r.inserted = true
	a.inserts[r] = s
	a.written[len(a.written)-1].inserted = true
	rows := a.insertRows(q, r, s)
	a.overrides(r.table, s)
	if r.table != nil {
		a.storedRows(r.table, s)
	}
	if r.table != nil && r.table.Kind == topology.Sharded {
		a.insertKeys(r, s, rows)
		a.onConflictKey(r, s.OnConflictClause)
	}
	if names, known := inferred(s.OnConflictClause.GetInfer()); known && r.table != nil {
		q.conflictKey = slices.Contains(names, keyName(r.table))
	}
	a.onConflict(q, r, s.OnConflictClause)
	a.returning(q, s.ReturningList)
	return q
}

// insertRows analyses where the rows come from; nil for DEFAULT VALUES.
func (a *analysis) insertRows(q *query, r *rel, s *pg.InsertStmt) *query {
	stmt := s.SelectStmt.GetSelectStmt()
	if stmt == nil {
		return nil
	}
	return a.selectQuery(stmt, nil, q.ctes, nil)
}

// onConflict analyses the expressions of ON CONFLICT.
func (a *analysis) onConflict(q *query, r *rel, c *pg.OnConflictClause) {
	if c == nil {
		return
	}
	items := q.items
	q.items = append(q.items[:len(items):len(items)], excluded(items[0]))
	a.assignments(q, r, c.TargetList)
	a.expressions(q, c.WhereClause)
	if c.Infer != nil {
		a.expressions(q, c.Infer.WhereClause)
	}
	q.items = items
}

// excluded is the item of the row proposed for insertion. In DO UPDATE its key
// is a column of its own, of which nothing is known here.
func excluded(target *item) *item {
	it := &item{name: "excluded", known: target.known}
	for _, c := range target.cols {
		it.cols = append(it.cols, itemColumn{name: c.name, merged: true})
	}
	return it
}

// keyName returns the name of a sharded table's key column.
func keyName(t *topology.Table) string {
	if len(t.Key) == 0 {
		return ""
	}
	return t.Key[0]
}

// insertColumns returns the position of the key among the values of an INSERT
// with this column list; -1: it has none.
func insertColumns(t *topology.Table, cols []*pg.Node) (int, *Refusal) {
	for i, n := range cols {
		c := n.GetResTarget()
		if c.GetName() == keyName(t) {
			if len(c.Indirection) > 0 {
				return -1, insertWithoutKey(whole(t), keyName(t), "and only a part of it is given.")
			}
			return i, nil
		}
	}
	if len(cols) > 0 {
		return -1, nil
	}
	if len(t.Columns) == 0 {
		return -1, insertWithoutKey(whole(t), keyName(t), "and its columns are not known yet, so the key's position is not.")
	}
	return t.KeyColumn, nil
}

// insertKeys notes where the keys of the inserted rows are.
func (a *analysis) insertKeys(r *rel, s *pg.InsertStmt, rows *query) {
	t := r.table
	if t.KeyColumn >= 0 && t.Columns[t.KeyColumn].Generated {
		a.rowsAnywhere(r, insertWithoutKey(whole(t), keyName(t), "which the server computes."))
		return
	}
	position, refusal := insertColumns(t, s.Cols)
	switch {
	case refusal != nil:
		a.rowsAnywhere(r, refusal)
	case position < 0, rows == nil:
		a.rowsAnywhere(r, insertWithoutKey(whole(t), keyName(t), "and the INSERT gives it no value."))
	case len(rows.stmt.ValuesLists) > 0 && a.src.rows != nil:
		a.insertShapes(r, rows, position)
	case len(rows.stmt.ValuesLists) > 0:
		a.insertValues(r, rows, position)
	default:
		a.insertQuery(r, rows, position)
	}
}

// rowsAnywhere notes an INSERT whose keys are not known: it runs only where one
// shard owns all.
func (a *analysis) rowsAnywhere(r *rel, why *Refusal) {
	a.onlyAlone(why)
	a.st.needs = append(a.st.needs, requirement{group: r.table.Group.Name, table: whole(r.table), column: keyName(r.table)})
}

// insertValues reads the keys of INSERT … VALUES.
func (a *analysis) insertValues(r *rel, rows *query, position int) {
	n := a.writtenKeys(r)
	for _, row := range rows.stmt.ValuesLists {
		values := row.GetList().GetItems()
		if position >= len(values) {
			a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and a row of VALUES has no value for it."))
			return
		}
		o, refusal := a.writtenValue(r, values[position])
		if refusal != nil {
			a.rowsAnywhere(r, refusal)
			return
		}
		n.any = append(n.any, o)
	}
	a.st.needs = append(a.st.needs, n)
	// What RETURNING gives has one of these keys.
	r.quals = append(r.quals, &quals{values: []membership{{node{r, n.column}, n.any}}})
}

// writtenKeys begins the requirement of rows to be written.
func (a *analysis) writtenKeys(r *rel) requirement {
	return requirement{group: r.table.Group.Name, table: whole(r.table), column: keyName(r.table), written: true, any: []operand{}}
}

// writtenValue reads one value for the key of a row to be written.
func (a *analysis) writtenValue(r *rel, n *pg.Node) (operand, *Refusal) {
	t := r.table
	if n.GetSetToDefault() != nil {
		return operand{}, insertWithoutKey(whole(t), keyName(t), "and DEFAULT is computed on the server.")
	}
	o, ok := a.operand(n, t.KeyType)
	if !ok {
		return operand{}, &Refusal{
			Reason:  KeyNotUnderstood,
			Message: "the value of shard key " + quoteIdent(keyName(t)) + " is not understood",
			Detail:  "Table " + quoteIdent(whole(t)) + " is sharded by it, and the INSERT gives an expression that only the server can compute.",
			Hint:    "Give the key as a constant or a parameter.",
		}
	}
	o.stored, o.modifier = true, keyModifier(t)
	return o, nil
}

// keyModifier returns the modifier of the key column's type.
func keyModifier(t *topology.Table) int32 {
	switch {
	case t.KeyColumn < 0:
		return 0
	case t.Columns[t.KeyColumn].Type == oidText:
		return -1
	}
	return t.Columns[t.KeyColumn].Modifier
}

// insertQuery reads the keys of INSERT … SELECT: a constant, or a column that a
// pinned table passes on unchanged.
func (a *analysis) insertQuery(r *rel, rows *query, position int) {
	if rows.outputs == nil || position >= len(rows.outputs) {
		a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and the columns of the INSERT's query are not known."))
		return
	}
	source := rows.outputs[position].node
	if source.rel == nil {
		a.insertTarget(r, rows, position)
		return
	}
	a.insertedColumn(r, source)
	if source.rel.query == rows && a.keepsPlace(r.table, source) {
		a.follow = &follow{rows, source}
	}
}

// follow is where the rows of INSERT … SELECT come from: if source is the key
// of a row read, the row written is on the same shard.
type follow struct {
	rows   *query
	source node
}

// keepsPlace says whether a row of t whose key is the value of n belongs to the
// shard that n's row is on.
func (a *analysis) keepsPlace(t *topology.Table, n node) bool {
	from := n.rel.table
	if from == nil || !n.isKey() || from.Group != t.Group || n.keyType() != t.KeyType || t.KeyColumn < 0 {
		return false
	}
	switch t.KeyType {
	case ring.KeyInt, ring.KeyUUID, ring.KeyBytea:
		return true
	default: // the column written may cut or round
		stored, read := &t.Columns[t.KeyColumn], from.Column(n.col)
		return keyModifier(t) == -1 || read >= 0 && from.Columns[read].Type == stored.Type && from.Columns[read].Modifier == stored.Modifier
	}
}

// insertTarget reads the key from the select list of INSERT … SELECT 42, ….
func (a *analysis) insertTarget(r *rel, rows *query, position int) {
	if position < len(rows.stmt.TargetList) && rows.stmt.Op == pg.SetOperation_SETOP_NONE && !hasStar(rows.stmt.TargetList[:position]) {
		if val := rows.stmt.TargetList[position].GetResTarget().GetVal(); val != nil {
			a.insertedValue(rows, r, val)
			return
		}
	}
	a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and the INSERT's query computes it."))
}

func hasStar(targets []*pg.Node) bool {
	for _, n := range targets {
		fields := n.GetResTarget().GetVal().GetColumnRef().GetFields()
		if len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil {
			return true
		}
	}
	return false
}

// insertedValue notes a key that an expression of q gives to rows of r.
func (a *analysis) insertedValue(q *query, r *rel, n *pg.Node) {
	if ref := n.GetColumnRef(); ref != nil {
		a.insertedColumn(r, q.column(ref))
		return
	}
	o, refusal := a.writtenValue(r, n)
	if refusal != nil {
		a.rowsAnywhere(r, refusal)
		return
	}
	need := a.writtenKeys(r)
	need.any = append(need.any, o)
	a.st.needs = append(a.st.needs, need)
}

// insertedColumn notes a key that is a column of the rows read: the column must
// be pinned, and of the key's own type so that it is stored unchanged.
func (a *analysis) insertedColumn(r *rel, source node) {
	var known []operand
	if source.rel != nil && source.keyType() == r.table.KeyType {
		known = source.operands()
	}
	if known == nil && source.rel != nil && a.keepsPlace(r.table, source) {
		a.st.needs = append(a.st.needs, requirement{group: r.table.Group.Name, table: whole(r.table), column: keyName(r.table)})
		a.strays = insertWithoutKey(whole(r.table), keyName(r.table), "and the rows to insert come with keys of several shards.")
		return
	}
	if known == nil {
		a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and the rows to insert come with keys of several shards."))
		return
	}
	need := a.writtenKeys(r)
	need.written = false // a NULL here selects no row to insert
	for _, o := range known {
		o.stored, o.modifier = true, keyModifier(r.table)
		need.any = append(need.any, o)
	}
	a.st.needs = append(a.st.needs, need)
}
