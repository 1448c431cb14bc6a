package router

import (
	"slices"
	"strings"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// A shard key of several columns is a tuple of their values (ring.Tuple). Each column is looked for by itself; what is known of all of
// them makes operands that are tuples.

// maxTuples bounds how many tuples the values of the columns are combined to; with more, the key counts as not known.
const maxTuples = 1000

// keyText names the columns of a key for people.
func keyText(key []string) string { return strings.Join(key, ", ") }

// keyName names a sharded table's key for people.
func keyName(t *topology.Table) string { return keyText(t.Key) }

// tuples combines the values that each column of a key may have. False: there are too many.
func tuples(keyType ring.KeyType, columns [][]operand) ([]operand, bool) {
	if len(columns) == 1 {
		return columns[0], true
	}
	all := []operand{{kind: operandTuple, keyType: keyType}}
	for _, values := range columns {
		if len(all)*len(values) > maxTuples {
			return nil, false
		}
		next := make([]operand, 0, len(all)*len(values))
		for _, tuple := range all {
			for _, value := range values {
				longer := tuple
				longer.parts = append(slices.Clone(tuple.parts), value)
				longer.array = tuple.array || value.array
				longer.cast, longer.stored = castNone, value.stored
				next = append(next, longer)
			}
		}
		all = next
	}
	return all, true
}

// tupleOf joins the values of a key to be written.
func tupleOf(t *topology.Table, parts []operand) operand {
	if len(parts) == 1 {
		return parts[0]
	}
	return operand{kind: operandTuple, keyType: t.KeyType, stored: true, parts: parts}
}

// has says whether the operand, or a part of it, is of this kind.
func (o *operand) has(kind operandKind) bool {
	return o.kind == kind || slices.ContainsFunc(o.parts, func(part operand) bool { return part.kind == kind })
}

// each visits the operands that a tuple consists of, or the operand itself.
func (o *operand) each(visit func(*operand)) {
	if o.kind != operandTuple {
		visit(o)
		return
	}
	for i := range o.parts {
		visit(&o.parts[i])
	}
}

// tuple reads an operand that is a tuple of single values.
func (in *input) tuple(o *operand) (ring.Key, reading, *Refusal) {
	parts := make([]ring.Key, len(o.parts))
	result := readKey
	for i := range o.parts {
		key, got, refusal := in.key(&o.parts[i])
		if got != readKey && got != readNothing {
			return ring.Key{}, got, refusal
		}
		if got == readNothing {
			result = readNothing
		}
		parts[i] = key
	}
	if result != readKey {
		return ring.Key{}, result, nil
	}
	return ring.Tuple(parts...), readKey, nil
}

// tupleArrays reads an operand that is a tuple of which some parts are arrays, and calls add with each combination.
func (in *input) tupleArrays(o *operand, add func(ring.Key)) (reading, *Refusal) {
	lists := make([][]ring.Key, len(o.parts))
	count := 1
	for i := range o.parts {
		got, refusal := in.partKeys(&o.parts[i], &lists[i])
		if got != readKey && got != readNothing {
			return got, refusal
		}
		if count *= len(lists[i]); count > maxTuples {
			return readUnknown, nil
		}
	}
	chosen := make([]ring.Key, len(lists))
	for n := range count {
		for i := range lists {
			chosen[i], n = lists[i][n%len(lists[i])], n/len(lists[i])
		}
		add(ring.Tuple(chosen...))
	}
	return readKey, nil
}

// partKeys reads the keys of one part.
func (in *input) partKeys(o *operand, list *[]ring.Key) (reading, *Refusal) {
	if o.array {
		return in.elements(o, func(k ring.Key) { *list = append(*list, k) })
	}
	key, got, refusal := in.key(o)
	if got == readKey {
		*list = append(*list, key)
	}
	return got, refusal
}

// keyColumnType returns the type of the i-th column of a table's key.
func keyColumnType(t *topology.Table, i int) ring.KeyType {
	types := t.KeyType.Columns()
	if i >= len(types) {
		return ring.KeyUnset
	}
	return types[i]
}

// columnModifier returns the modifier of the type of the i-th column of a table's key; 0: it is not known.
func columnModifier(t *topology.Table, i int) int32 {
	if i >= len(t.KeyColumns) {
		return 0
	}
	column := &t.Columns[t.KeyColumns[i]]
	if column.Type == oidText {
		return -1
	}
	return column.Modifier
}
