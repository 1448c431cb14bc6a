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
		q.conflictKey = r.table.HasKey(names)
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
	if c.Action == pg.OnConflictAction_ONCONFLICT_UPDATE {
		a.changing(r.table)
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

// insertColumns returns the positions of the key's columns among the values of
// an INSERT with this column list; nil: it does not have all of them.
func insertColumns(t *topology.Table, cols []*pg.Node) ([]int, *Refusal) {
	if len(cols) == 0 && len(t.Columns) == 0 {
		return nil, insertWithoutKey(whole(t), keyName(t), "and its columns are not known yet, so the key's position is not.")
	}
	if len(cols) == 0 {
		return t.KeyColumns, nil
	}
	positions := make([]int, len(t.Key))
	for i := range t.Key {
		at, refusal := insertColumn(t, cols, i)
		if refusal != nil || at < 0 {
			return nil, refusal
		}
		positions[i] = at
	}
	return positions, nil
}

// insertColumn is the position of the key's i-th column in a column list; -1: it
// is not there.
func insertColumn(t *topology.Table, cols []*pg.Node, i int) (int, *Refusal) {
	at := slices.IndexFunc(cols, func(n *pg.Node) bool { return n.GetResTarget().GetName() == t.Key[i] })
	if at >= 0 && len(cols[at].GetResTarget().GetIndirection()) > 0 {
		return -1, insertWithoutKey(whole(t), keyName(t), "and only a part of it is given.")
	}
	return at, nil
}

// insertKeys notes where the keys of the inserted rows are.
func (a *analysis) insertKeys(r *rel, s *pg.InsertStmt, rows *query) {
	t := r.table
	if slices.ContainsFunc(t.KeyColumns, func(i int) bool { return t.Columns[i].Generated }) {
		a.rowsAnywhere(r, insertWithoutKey(whole(t), keyName(t), "which the server computes."))
		return
	}
	positions, refusal := insertColumns(t, s.Cols)
	switch {
	case refusal != nil:
		a.rowsAnywhere(r, refusal)
	case positions == nil, rows == nil:
		a.rowsAnywhere(r, insertWithoutKey(whole(t), keyName(t), "and the INSERT gives it no value."))
	case len(rows.stmt.ValuesLists) > 0 && a.src.rows != nil:
		a.insertShapes(r, rows, positions)
	case len(rows.stmt.ValuesLists) > 0:
		a.insertValues(r, rows, positions)
	case len(positions) > 1:
		a.insertTuples(r, rows, positions)
	default:
		a.insertQuery(r, rows, positions[0])
	}
}

// rowsAnywhere notes an INSERT whose keys are not known: it runs only where one
// shard owns all.
func (a *analysis) rowsAnywhere(r *rel, why *Refusal) {
	a.onlyAlone(why)
	a.st.needs = append(a.st.needs, requirement{group: r.table.Group.Name, table: whole(r.table), key: r.table.Key})
}

// insertValues reads the keys of INSERT … VALUES.
func (a *analysis) insertValues(r *rel, rows *query, positions []int) {
	n := a.writtenKeys(r)
	columns := make([][]operand, len(positions))
	for _, row := range rows.stmt.ValuesLists {
		values := row.GetList().GetItems()
		if slices.Max(positions) >= len(values) {
			a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and a row of VALUES has no value for it."))
			return
		}
		parts := make([]operand, len(positions))
		for i, position := range positions {
			o, refusal := a.writtenValue(r, i, values[position])
			if refusal != nil {
				a.rowsAnywhere(r, refusal)
				return
			}
			parts[i], columns[i] = o, append(columns[i], o)
		}
		n.any = append(n.any, tupleOf(r.table, parts))
	}
	a.st.needs = append(a.st.needs, n)
	// What RETURNING gives has one of these keys.
	in := &quals{}
	for i, values := range columns {
		in.values = append(in.values, membership{node{r, r.table.Key[i]}, values})
	}
	r.quals = append(r.quals, in)
}

// writtenKeys begins the requirement of rows to be written.
func (a *analysis) writtenKeys(r *rel) requirement {
	return requirement{group: r.table.Group.Name, table: whole(r.table), key: r.table.Key, written: true, any: []operand{}}
}

// writtenValue reads a value for the i-th column of the key of a row to be written.
func (a *analysis) writtenValue(r *rel, i int, n *pg.Node) (operand, *Refusal) {
	t := r.table
	if n.GetSetToDefault() != nil {
		return operand{}, insertWithoutKey(whole(t), keyName(t), "and DEFAULT is computed on the server.")
	}
	o, ok := a.operand(n, keyColumnType(t, i))
	if !ok {
		return operand{}, &Refusal{
			Reason:  KeyNotUnderstood,
			Message: "the value of shard key " + quoteIdent(keyName(t)) + " is not understood",
			Detail:  "Table " + quoteIdent(whole(t)) + " is sharded by it, and the INSERT gives an expression that only the server can compute.",
			Hint:    "Give the key as a constant or a parameter.",
		}
	}
	o.stored, o.modifier = true, columnModifier(t, i)
	return o, nil
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
	if from == nil || !n.isKey() || from.Group != t.Group || n.keyType() != t.KeyType || t.KeyColumns == nil {
		return false
	}
	switch t.KeyType {
	case ring.KeyInt, ring.KeyUUID, ring.KeyBytea:
		return true
	default: // the column written may cut or round
		stored, read := &t.Columns[t.KeyColumns[0]], from.Column(n.col)
		return columnModifier(t, 0) == -1 || read >= 0 && from.Columns[read].Type == stored.Type && from.Columns[read].Modifier == stored.Modifier
	}
}

// insertTarget reads the key from the select list of INSERT … SELECT 42, ….
func (a *analysis) insertTarget(r *rel, rows *query, position int) {
	if val := constantTarget(rows, position); val != nil {
		a.insertedValue(rows, r, val)
		return
	}
	a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and the INSERT's query computes it."))
}

// constantTarget is the expression at a position of a select list; nil: it is not known.
func constantTarget(rows *query, position int) *pg.Node {
	if position < len(rows.stmt.TargetList) && rows.stmt.Op == pg.SetOperation_SETOP_NONE && !hasStar(rows.stmt.TargetList[:position]) {
		return rows.stmt.TargetList[position].GetResTarget().GetVal()
	}
	return nil
}

// insertTuples reads the keys of several columns of INSERT … SELECT.
func (a *analysis) insertTuples(r *rel, rows *query, positions []int) {
	if rows.outputs == nil || slices.Max(positions) >= len(rows.outputs) {
		a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and the columns of the INSERT's query are not known."))
		return
	}
	a.insertedTuple(r, func(i int) (node, *pg.Node) {
		source := rows.outputs[positions[i]].node
		if source.rel != nil {
			return source, nil
		}
		return source, constantTarget(rows, positions[i])
	})
}

// insertedTuple notes a key of several columns that a query gives to rows of r:
// each is a column read, which must be pinned, or an expression.
func (a *analysis) insertedTuple(r *rel, given func(i int) (node, *pg.Node)) {
	need := a.writtenKeys(r)
	columns := make([][]operand, len(r.table.Key))
	for i := range columns {
		source, n := given(i)
		if source.rel == nil && n == nil {
			a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and the INSERT's query computes it."))
			return
		}
		if source.rel != nil {
			need.written = false // a NULL here selects no row to insert
			if columns[i] = pinnedTo(r.table, i, source); columns[i] == nil {
				a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and the rows to insert come with keys of several shards."))
				return
			}
			continue
		}
		o, refusal := a.writtenValue(r, i, n)
		if refusal != nil {
			a.rowsAnywhere(r, refusal)
			return
		}
		columns[i] = []operand{o}
	}
	var ok bool
	if need.any, ok = tuples(r.table.KeyType, columns); !ok {
		a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and the rows to insert may have too many keys."))
		return
	}
	a.st.needs = append(a.st.needs, need)
}

// pinnedTo returns the values that a column read may have, which becomes the
// i-th column of t's key; nil: they are not known, or may be stored otherwise.
func pinnedTo(t *topology.Table, i int, source node) []operand {
	if source.keyType() != keyColumnType(t, i) {
		return nil
	}
	known := slices.Clone(source.operands())
	for j := range known {
		known[j].stored, known[j].modifier = true, columnModifier(t, i)
	}
	return known
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
	o, refusal := a.writtenValue(r, 0, n)
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
	if source.rel != nil {
		known = pinnedTo(r.table, 0, source)
	}
	if known == nil && source.rel != nil && a.keepsPlace(r.table, source) {
		a.st.needs = append(a.st.needs, requirement{group: r.table.Group.Name, table: whole(r.table), key: r.table.Key})
		a.strays = insertWithoutKey(whole(r.table), keyName(r.table), "and the rows to insert come with keys of several shards.")
		return
	}
	if known == nil {
		a.rowsAnywhere(r, insertWithoutKey(whole(r.table), keyName(r.table), "and the rows to insert come with keys of several shards."))
		return
	}
	need := a.writtenKeys(r)
	need.written = false // a NULL here selects no row to insert
	need.any = append(need.any, known...)
	a.st.needs = append(a.st.needs, need)
}
