package router

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// writeStatement analyses INSERT, UPDATE, DELETE or MERGE as a statement of its
// own.
func (a *analysis) writeStatement(node *pg.Node) {
	a.st.Access = Write
	a.writeAsItIs(node)
	a.insertRow(node.GetInsertStmt())
	a.writtenAlone(node)
	switch {
	case a.st.splits || a.refused != nil:
	case a.src.rows == nil:
		a.st.stages = a.planStages(node)
	case a.survey.sublinks > 0:
		a.st.insertion = nil // it is looked at as a whole
	}
}

// writeAsItIs plans a write by its own text.
func (a *analysis) writeAsItIs(node *pg.Node) {
	q := a.subquery(node, nil, nil)
	a.conclude(q)
	if len(a.written) > 0 && a.referenceWrite() {
		return
	}
	if a.st.route == routeReference {
		a.st.route = routeHome
	}
	a.insertionByRows(node)
	a.st.spread = a.writeSpread()
	if a.st.route != routeRows {
		return
	}
	if divisible(node) || a.st.insertion != nil || a.follow != nil {
		if why := a.splitting(node, q); why != nil {
			a.st.spread = why
		} else {
			a.st.splits = true
		}
	}
	switch {
	case a.strays == nil || a.st.splits:
	case a.follow != nil:
		a.onlyAlone(a.st.spread)
	default:
		a.onlyAlone(a.strays)
	}
}

// divisible says whether each row that a write concerns is there before it: an
// UPDATE, a DELETE, or a MERGE that inserts none.
func divisible(node *pg.Node) bool {
	for _, n := range node.GetMergeStmt().GetMergeWhenClauses() {
		if n.GetMergeWhenClause().CommandType == pg.CmdType_CMD_INSERT {
			return false
		}
	}
	return node.GetInsertStmt() == nil
}

// writeSpread says why a write cannot run on several shards.
func (a *analysis) writeSpread() *Refusal {
	for i := range a.st.needs {
		if n := &a.st.needs[i]; n.any == nil {
			return missingKey(n.table, n.column(), a.verbWord())
		}
	}
	if len(a.st.homes) > 0 || a.st.catalogs {
		return crossShardWrite(a.verbWord()+" needs tables of several shards", "Home tables of the statement are on one shard, the rows on another.")
	}
	if len(a.written) == 1 && a.written[0].inserted {
		return crossShardWrite("INSERT writes rows of several shards", "The keys of its rows belong to different shards.")
	}
	return crossShardWrite(a.verbWord()+" needs the rows of several shards", "The keys that it names belong to different shards.")
}

// verbWord names the statement for messages.
func (a *analysis) verbWord() string {
	if len(a.written) == 0 {
		return "statement"
	}
	return a.written[0].verb
}

// write is a table that the statement writes to.
type write struct {
	verb     string
	rel      *rel
	inserted bool
}

// target resolves the table that a data-modifying statement writes to, as the
// first relation of its level.
func (a *analysis) target(q *query, v *pg.RangeVar, verb string) *rel {
	if v.Schemaname == "" && q.findCTE(v.Relname) != nil {
		// PostgreSQL looks the target up among tables only.
		q = &query{}
	}
	it, r := a.table(q, v)
	q.items = append(q.items, it)
	r.target = true
	if verb == "INSERT" || verb == "MERGE" {
		a.inserting(r.table)
	}
	if verb != "INSERT" {
		a.changing(r.table)
	}
	a.written = append(a.written, write{verb: verb, rel: r})
	return r
}

// changing notes a table of which the statement may change rows that are there.
func (a *analysis) changing(t *topology.Table) {
	if t != nil && !slices.Contains(a.st.changes, t.Name) {
		a.st.changes = append(a.st.changes, t.Name)
	}
}

// Changes lists the tables of which the statement may update or delete rows, apart from what TRUNCATE does.
func (s *Statement) Changes() []topology.Name { return s.changes }

// Rewrites says whether the statement is ALTER TABLE that may change, by itself or by what it lets happen, what rows hold that are there.
func (s *Statement) Rewrites() bool { return s.rewrites || s.defuses }

// Defuses says whether the statement may turn off triggers that are pgring's.
func (s *Statement) Defuses() bool { return s.defuses }

// Truncates says whether the statement is TRUNCATE, of all its tables.
func (s *Statement) Truncates() bool { return s.truncates }

// update analyses UPDATE … FROM.
func (a *analysis) update(s *pg.UpdateStmt, outer *cte) *query {
	q := &query{pass: passNothing}
	q.ctes = a.with(s.WithClause, nil, outer)
	r := a.target(q, s.Relation, "UPDATE")
	if r.table == nil && s.Relation.Relname == "pg_settings" && (s.Relation.Schemaname == "" || s.Relation.Schemaname == catalogSchema) {
		a.unsupported("pg_settings cannot be updated", "The setting would be that of one server's connection, which other clients use, too.", "Use SET or set_config.")
	}
	items := q.items
	a.from(q, s.FromClause)
	q.items = append(slices.Clone(items), q.items...)
	a.where(q, s.WhereClause)
	a.assignments(q, r, s.TargetList)
	a.returning(q, s.ReturningList)
	return q
}

// delete analyses DELETE … USING.
func (a *analysis) delete(s *pg.DeleteStmt, outer *cte) *query {
	q := &query{pass: passNothing}
	q.ctes = a.with(s.WithClause, nil, outer)
	a.target(q, s.Relation, "DELETE")
	items := q.items
	a.from(q, s.UsingClause)
	q.items = append(slices.Clone(items), q.items...)
	a.where(q, s.WhereClause)
	a.returning(q, s.ReturningList)
	return q
}

// returning analyses RETURNING.
func (a *analysis) returning(q *query, list []*pg.Node) {
	a.st.Returns = a.st.Returns || len(list) > 0
	for _, n := range list {
		visitColumns(n, func(ref *pg.ColumnRef) {
			name, ok := words(ref.Fields)
			if !ok {
				name = []string{"*"}
			}
			a.st.returned = append(a.st.returned, name[len(name)-1])
		})
	}
	a.expressions(q, list...)
	q.stmt = &pg.SelectStmt{TargetList: list}
	q.outputs = a.targets(q)
}

// assignments analyses SET col = …: the shard key must stay as it is.
func (a *analysis) assignments(q *query, r *rel, list []*pg.Node) {
	for _, n := range list {
		t := n.GetResTarget()
		a.expressions(q, t.GetVal())
		a.assignedDefault(r.table, t)
		if len(t.GetIndirection()) == 0 {
			a.stored(r.table, t.GetName(), t.GetVal())
		}
		if r.table == nil || r.table.Kind != topology.Sharded || !slices.Contains(r.table.Key, t.GetName()) {
			continue
		}
		if !a.keepsKey(q, r, t) {
			a.onlyAlone(changesKey(whole(r.table), keyName(r.table)))
		}
	}
}

// keepsKey says whether SET key = value writes what is there already: the key
// itself, or the very value that the condition asks for.
func (a *analysis) keepsKey(q *query, r *rel, t *pg.ResTarget) bool {
	if len(t.Indirection) > 0 {
		return false
	}
	key := node{r, t.Name}
	if ref := t.Val.GetColumnRef(); ref != nil {
		name, _ := words(ref.Fields)
		same := len(name) == 2 && name[0] == "excluded" && name[1] == t.Name && q.conflictKey
		return same || q.column(ref) == key
	}
	o, ok := a.operand(t.Val, key.keyType())
	if !ok || o.null || o.kind != operandParam {
		return false
	}
	known := key.operands()
	return len(known) == 1 && known[0].kind == operandParam && known[0].index == o.index && !known[0].array
}

// merge analyses MERGE: the target is joined to the source as the nullable
// side, so its key must be pinned by the join condition; rows inserted have
// keys of their own.
func (a *analysis) merge(s *pg.MergeStmt, outer *cte) *query {
	q := &query{pass: passNothing}
	q.ctes = a.with(s.WithClause, nil, outer)
	r := a.target(q, s.Relation, "MERGE")
	items := q.items
	a.from(q, []*pg.Node{s.SourceRelation})
	source := q.items
	q.items = append(slices.Clone(items), source...)
	on := &quals{}
	a.conjuncts(q, s.JoinCondition, on)
	on.govern([]*rel{r})
	a.expressions(q, s.JoinCondition)
	for _, n := range s.MergeWhenClauses {
		a.mergeWhen(q, r, n.GetMergeWhenClause())
	}
	a.returning(q, s.ReturningList)
	return q
}

// mergeWhen analyses one WHEN of a MERGE.
func (a *analysis) mergeWhen(q *query, r *rel, w *pg.MergeWhenClause) {
	a.expressions(q, w.Condition)
	if w.MatchKind == pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE && r.table != nil && r.table.Kind == topology.Sharded {
		a.onlyAlone(crossShardWrite("MERGE touches rows that its condition does not find",
			"WHEN NOT MATCHED BY SOURCE concerns the rows of every shard."))
	}
	if w.CommandType != pg.CmdType_CMD_INSERT {
		a.assignments(q, r, w.TargetList)
		return
	}
	a.expressions(q, w.Values...)
	a.mergedDefault(r.table, w)
	if r.table == nil || r.table.Kind != topology.Sharded {
		return
	}
	targets, refusal := insertColumns(r.table, w.TargetList)
	if refusal == nil && (targets == nil || slices.Max(targets) >= len(w.Values)) {
		refusal = insertWithoutKey(whole(r.table), keyName(r.table), "and a WHEN NOT MATCHED clause gives it no value.")
	}
	if refusal != nil {
		a.onlyAlone(refusal)
		return
	}
	if len(targets) == 1 {
		a.insertedValue(q, r, w.Values[targets[0]])
		return
	}
	a.insertedTuple(r, func(i int) (node, *pg.Node) {
		n := w.Values[targets[i]]
		if ref := n.GetColumnRef(); ref != nil {
			return q.column(ref), nil
		}
		return node{}, n
	})
}
