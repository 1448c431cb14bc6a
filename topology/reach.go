package topology

import (
	"slices"
	"strings"
	"unicode"
)

// Words lists the distinct words of a function's body, in lower case and sorted. Words are letters, digits, _ and $, so that
// a quoted or qualified name is several of them.
func Words(body string) []string {
	list := strings.FieldsFunc(strings.ToLower(body), func(r rune) bool {
		return r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	slices.Sort(list)
	return slices.Clip(slices.Compact(list))
}

// landmark is a relation or function through which a body may read rows of sharded tables.
type landmark struct {
	words    []string // of its name
	table    *Table
	function string
}

func (l *landmark) rank() int {
	switch {
	case l.table == nil:
		return 2
	case l.table.Schema != "public":
		return 1
	}
	return 0
}

// landmarks lists the sharded tables, the views, and what user functions there are, by the first word of their names.
func (s *Snapshot) landmarks() map[string][]landmark {
	byWord := make(map[string][]landmark)
	add := func(name string, l landmark) {
		if l.words = Words(name); len(l.words) > 0 {
			byWord[l.words[0]] = append(byWord[l.words[0]], l)
		}
	}
	for _, t := range s.tableList {
		if t.Kind == Sharded || len(t.Reads) > 0 || len(t.Calls) > 0 {
			add(t.Table, landmark{table: t})
		}
	}
	for name := range s.functions {
		add(name, landmark{function: name})
	}
	// Of several with one name the one that is most likely meant comes first: it is the one that messages name.
	for _, list := range byWord {
		slices.SortStableFunc(list, func(a, b landmark) int { return a.rank() - b.rank() })
	}
	return byWord
}

// Reached gives the sharded tables that code with these words may read: those named in it, those under the views named in
// it, and those that the user functions named in it reach, and so on. It errs by naming too many, because a word need not be
// a name; only SQL put together at run time can hide a table from it.
func (s *Snapshot) Reached(words []string) []*Table {
	r := reach{s: s, seen: make(map[string]bool)}
	r.body(words)
	return r.tables
}

// ReachedBy gives the sharded tables that user functions of this name reach, in any schema.
func (s *Snapshot) ReachedBy(function string) []*Table {
	r := reach{s: s, seen: make(map[string]bool)}
	r.function(function)
	return r.tables
}

// ReachedThrough gives the sharded tables that the functions in a view's query reach. Those that the query itself names are
// in Reads. Of a materialized view this is what a refresh reads.
func (s *Snapshot) ReachedThrough(view *Table) []*Table {
	r := reach{s: s, seen: make(map[string]bool)}
	r.calls(view)
	return r.tables
}

// reach is one search. It ends because each function is searched once.
type reach struct {
	s      *Snapshot
	seen   map[string]bool // functions
	tables []*Table
}

func (r *reach) body(words []string) {
	for _, word := range words {
		for _, l := range r.s.byWord[word] {
			if !containsAll(words, l.words) {
				continue
			}
			if l.table != nil {
				r.relation(l.table)
			} else {
				r.function(l.function)
			}
		}
	}
}

func (r *reach) function(name string) {
	if r.seen[name] {
		return
	}
	r.seen[name] = true
	for _, f := range r.s.functions[name] {
		r.body(f.Words)
	}
}

// relation adds what reading t reads. The rows of a materialized view were stored when it was refreshed.
func (r *reach) relation(t *Table) {
	r.add(t)
	if t.RelKind == 'm' {
		return
	}
	for _, under := range t.Reads {
		r.add(under)
	}
	r.calls(t)
}

// calls follows the functions in the query of a view, and of the views under it.
func (r *reach) calls(t *Table) {
	for _, name := range t.Calls {
		r.function(name)
	}
	for _, under := range t.Reads {
		for _, name := range under.Calls {
			r.function(name)
		}
	}
}

func (r *reach) add(t *Table) {
	if t.Kind == Sharded && t.Group != nil && !slices.Contains(r.tables, t) {
		r.tables = append(r.tables, t)
	}
}

// containsAll reports whether all words are in the sorted list.
func containsAll(list, words []string) bool {
	for _, word := range words {
		if _, found := slices.BinarySearch(list, word); !found {
			return false
		}
	}
	return true
}
