package topology

import (
	"cmp"
	"slices"

	"github.com/pgring/pgring/ring"
)

func compareNames(a, b Name) int {
	return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Table, b.Table))
}

// derive fills in what follows from the contents. The tables belong to s and are published only afterwards.
func (s *Snapshot) derive() {
	for _, t := range s.tables {
		t.Declared = t.Kind != KindUnset
		t.Reads = nil
	}
	for _, t := range s.tables {
		s.place(t)
	}
	for _, t := range s.tables {
		t.keyFromColumns()
	}
	children := s.children()
	for _, t := range s.tables {
		s.tableList = append(s.tableList, t)
		t.Reads = s.reads(t, children)
	}
	slices.SortFunc(s.tableList, func(a, b *Table) int {
		switch {
		case a.Declared && !b.Declared:
			return -1
		case b.Declared && !a.Declared:
			return 1
		}
		return compareNames(a.Name, b.Name)
	})
}

// place gives an undeclared table the kind, key and group of its nearest declared ancestor, or else makes it a home table.
func (s *Snapshot) place(t *Table) {
	if !t.Declared {
		if parent := s.declaredAncestor(t); parent != nil {
			t.Kind, t.Key, t.KeyType, t.Group, t.Shard = parent.Kind, parent.Key, parent.KeyType, parent.Group, parent.Shard
		} else {
			t.Kind = Home
		}
	}
	if t.Kind == Home && t.Shard == "" {
		t.Shard = s.Home
	}
}

// declaredAncestor walks up breadth first. Parents form no cycle in PostgreSQL; seen keeps a wrong catalog from looping.
func (s *Snapshot) declaredAncestor(t *Table) *Table {
	seen := map[Name]bool{t.Name: true}
	for level := t.Parents; len(level) > 0; {
		var next []Name
		for _, name := range level {
			parent := s.tables[name]
			if parent == nil || seen[name] {
				continue
			}
			if parent.Declared {
				return parent
			}
			seen[name] = true
			next = append(next, parent.Parents...)
		}
		level = next
	}
	return nil
}

// keyFromColumns finds the key among the columns. A type that cannot be a key leaves KeyType unset and states the Problem.
func (t *Table) keyFromColumns() {
	t.KeyColumns = nil
	if t.Kind != Sharded || len(t.Key) == 0 {
		return
	}
	if len(t.Columns) == 0 {
		if t.KeyType == ring.KeyUnset && t.Group != nil {
			t.KeyType = t.Group.KeyType
		}
		return
	}
	for _, name := range t.Key {
		if i := t.Column(name); i >= 0 {
			t.KeyColumns = append(t.KeyColumns, i)
		}
	}
	if len(t.KeyColumns) < len(t.Key) {
		t.KeyColumns = nil
	}
	if t.Problem != "" {
		t.KeyType = ring.KeyUnset
		return
	}
	t.KeyType, t.Problem = t.columnsKeyType()
	if t.Problem != "" || t.Group == nil {
		return
	}
	if want := t.Group.KeyType; want != ring.KeyUnset && want != t.KeyType {
		t.Problem = "the key of " + t.Name.String() + " is of type " + t.KeyType.String() + ", but its group " + t.Group.Name +
			" holds keys of type " + want.String()
		t.KeyType = ring.KeyUnset
	}
}

// columnsKeyType gives the key type of the key columns, or the sentence that says why there is none.
func (t *Table) columnsKeyType() (ring.KeyType, string) {
	if t.RelKind != 0 && t.RelKind != 'r' && t.RelKind != 'p' {
		return ring.KeyUnset, t.Name.String() + " is declared sharded, but it is not a table"
	}
	types := make([]ring.KeyType, len(t.Key))
	for i, name := range t.Key {
		at := t.Column(name)
		if at < 0 {
			return ring.KeyUnset, t.Name.String() + " has no column " + name + ", which is declared as its key"
		}
		if t.Columns[at].Nondeterministic {
			return ring.KeyUnset, "the key column " + name + " of " + t.Name.String() +
				" has a nondeterministic collation: values that are equal would have different owners"
		}
		var supported bool
		if types[i], supported = ring.KeyTypeOf(t.Columns[at].Type); !supported {
			return ring.KeyUnset, "the type of the key column " + name + " of " + t.Name.String() +
				" cannot be a key: use an integer type, text, varchar, uuid, timestamp, numeric or bytea"
		}
	}
	keyType := ring.TupleType(types...)
	if keyType == ring.KeyUnset {
		return keyType, "the key columns of " + t.Name.String() + " cannot be a key together: one is of type bytea"
	}
	return keyType, ""
}

// children maps each parent to the relations that inherit from it directly.
func (s *Snapshot) children() map[Name][]*Table {
	children := make(map[Name][]*Table)
	for _, t := range s.tables {
		for _, parent := range t.Parents {
			children[parent] = append(children[parent], t)
		}
	}
	return children
}

// reads follows views down to their tables and parents down to their children.
func (s *Snapshot) reads(t *Table, children map[Name][]*Table) []*Table {
	if len(t.Uses) == 0 && len(children[t.Name]) == 0 {
		return nil
	}
	seen := map[*Table]bool{t: true}
	var found []*Table
	add := func(other *Table) {
		if other != nil && !seen[other] {
			seen[other] = true
			found = append(found, other)
		}
	}
	expand := func(from *Table) {
		for _, name := range from.Uses {
			add(s.tables[name])
		}
		for _, child := range children[from.Name] {
			add(child)
		}
	}
	expand(t)
	for i := 0; i < len(found); i++ {
		expand(found[i])
	}
	if len(t.Uses) == 0 {
		found = slices.DeleteFunc(found, t.placedLike)
	}
	slices.SortFunc(found, func(a, b *Table) int { return compareNames(a.Name, b.Name) })
	return found
}

// placedLike reports whether both tables' rows with equal keys are always on the same shards.
func (t *Table) placedLike(o *Table) bool {
	return t.Kind == o.Kind && t.Group == o.Group && t.Shard == o.Shard && slices.Equal(t.Key, o.Key)
}
