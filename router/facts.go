package router

import (
	"slices"

	"github.com/pgring/pgring/ring"
)

// quals are conditions that a set of relations is under: a WHERE clause, or the
// ON clause of a join as far as it filters.
type quals struct {
	equal  []equality
	values []membership
	rows   []rowsIn
}

// equality says that two columns are equal.
type equality struct{ a, b node }

// rowsIn says that columns together equal one of the rows.
type rowsIn struct {
	cols []node
	rows [][]operand
}

// membership says that a column equals one of the operands.
type membership struct {
	col node
	any []operand
}

func (q *quals) empty() bool { return len(q.equal) == 0 && len(q.values) == 0 }

// A column reference chain is followed at most this far.
const maxSearch = 1024

// keyOperands returns what the key of a sharded relation must equal for the
// rows that matter; nil when nothing is known. The shortest list wins.
func (r *rel) keyOperands() []operand {
	columns := make([][]operand, len(r.table.Key))
	for i, name := range r.table.Key {
		if columns[i] = (node{r, name}).operands(); columns[i] == nil {
			return nil
		}
	}
	if len(columns) == 0 {
		return nil
	}
	list, ok := tuples(r.table.KeyType, columns)
	for _, q := range r.quals {
		for i := range q.rows {
			if rows := r.keyRows(&q.rows[i]); rows != nil && (!ok || len(rows) < len(list)) {
				list, ok = rows, true
			}
		}
	}
	if !ok {
		return nil
	}
	return list
}

// keyRows returns the keys of several columns that a list of rows has; nil: it is not about all of them.
func (r *rel) keyRows(in *rowsIn) []operand {
	if len(r.table.Key) < 2 {
		return nil
	}
	at := make([]int, len(r.table.Key))
	for i, name := range r.table.Key {
		if at[i] = slices.Index(in.cols, node{r, name}); at[i] < 0 {
			return nil
		}
	}
	keys := make([]operand, len(in.rows))
	for i, row := range in.rows {
		parts := make([]operand, len(at))
		for j := range at {
			parts[j] = row[at[j]]
		}
		keys[i] = operand{kind: operandTuple, keyType: r.table.KeyType, parts: parts}
	}
	return keys
}

// operands searches all columns equal to n for values.
//
// Each step keeps this true: in every combination of rows that matters to the
// result, if the relation searched for contributes a row, then the column
// reached is not NULL and equals that row's n. A condition of a relation holds
// for all its rows that matter, and equality is strict, so the conditions of
// the relation reached apply, too.
func (n node) operands() []operand {
	keyType := n.keyType()
	if keyType == ring.KeyUnset {
		return nil
	}
	var best []operand
	n.reach(func(m node) {
		if values := m.constants(); values != nil && (best == nil || better(values, best)) {
			best = values
		}
		for _, q := range m.rel.quals {
			for _, v := range q.values {
				if v.col == m && (best == nil || better(v.any, best)) {
					best = v.any
				}
			}
		}
	})
	return best
}

// constants returns the values of a derived table's column that is constant.
func (n node) constants() []operand {
	i := outputIndex(n.col)
	if n.rel.sub == nil || i < 0 || i >= len(n.rel.sub.outputs) {
		return nil
	}
	return n.rel.sub.outputs[i].values
}

// better says whether one list of operands says more than another.
func better(a, b []operand) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return len(a) == 1 && !a[0].array && b[0].array
}

// reach visits n and every column that equals it.
func (n node) reach(visit func(node)) {
	keyType := n.keyType()
	seen := map[node]bool{n: true}
	queue := []node{n}
	push := func(m node) {
		if m.rel != nil && !seen[m] && len(seen) < maxSearch && m.keyType() == keyType {
			seen[m] = true
			queue = append(queue, m)
		}
	}
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		visit(m)
		for _, q := range m.rel.quals {
			for _, e := range q.equal {
				switch m {
				case e.a:
					push(e.b)
				case e.b:
					push(e.a)
				}
			}
		}
		if m.rel.sub != nil {
			push(m.inner())
		}
		m.outward(push)
	}
}

// outward visits the columns of derived tables that pass m on, where a
// condition on the derived table means the same as one on m.
func (m node) outward(push func(node)) {
	q := m.rel.query
	if q == nil {
		return
	}
	for i, out := range q.outputs {
		if out.node == m {
			q.exposed(i, out.grouped, push)
		}
	}
}

// exposed visits the uses of a query's i-th column.
func (q *query) exposed(i int, grouped bool, push func(node)) {
	for ; ; q = q.holder {
		if !q.pass.allows(grouped) {
			return
		}
		if q.holder == nil {
			break
		}
		grouped = true // a set operation keeps or drops equal rows together
	}
	switch {
	case q.use != nil:
		push(node{q.use, outputColumn(i)})
	case q.cte != nil && !q.cte.fixed && len(q.cte.uses) == 1:
		push(node{q.cte.uses[0], outputColumn(i)})
	}
}

// pushdown says what a condition on a query's result says about its input.
type pushdown uint8

const (
	passNothing pushdown = iota // LIMIT, window functions, volatile functions, …
	passGrouped                 // aggregates: only columns of GROUP BY pass
	passAll
)

func (p pushdown) allows(grouped bool) bool {
	return p == passAll || p == passGrouped && grouped
}
