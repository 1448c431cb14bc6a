package merge

import (
	"io"
)

// tree is a loser tree (Knuth, The Art of Computer Programming, volume 3, 5.4.1): sources are its leaves, each inner node keeps
// the source that lost there, so that replacing the winner's row costs one comparison per level. Equal rows come by source order.
type tree struct {
	keys    []sortKey
	entries []entry
	nodes   []int // [0] is the winner, the children of node i are 2i and 2i+1, source s is leaf len(entries)+s
	spans   []span
	columns int
	started bool
}

// entry is a source and its current row.
type entry struct {
	source Source
	row    []byte
	values []value // one per key
	done   bool
}

func newTree(keys []sortKey, sources []Source, columns int) *tree {
	t := &tree{keys: keys, columns: columns, entries: make([]entry, len(sources)), nodes: make([]int, len(sources))}
	last := 0
	for _, key := range keys {
		last = max(last, key.column)
	}
	t.spans = make([]span, last+1)
	values := make([]value, len(sources)*len(keys))
	for i, source := range sources {
		n := len(keys)
		t.entries[i] = entry{source: source, values: values[i*n : (i+1)*n : (i+1)*n]}
	}
	return t
}

// Next returns the least row. The row it returned before is given up only now, so that no row beyond the last is asked for.
func (t *tree) Next() ([]byte, error) {
	if err := t.step(); err != nil {
		return nil, err
	}
	winner := &t.entries[t.nodes[0]]
	if winner.done {
		return nil, io.EOF
	}
	return winner.row, nil
}

func (t *tree) step() error {
	if t.started {
		winner := t.nodes[0]
		if err := t.advance(winner); err != nil {
			return err
		}
		t.replay(winner)
		return nil
	}
	for i := range t.entries {
		if err := t.advance(i); err != nil {
			return err
		}
	}
	t.nodes[0] = t.build(1)
	t.started = true
	return nil
}

// advance reads a source's next row and decodes its keys.
func (t *tree) advance(i int) error {
	e := &t.entries[i]
	if e.done {
		return nil
	}
	row, err := e.source.Next()
	if err == io.EOF {
		e.done, e.row = true, nil
		return nil
	}
	if err != nil {
		return err
	}
	if err := split(row, t.spans, t.columns); err != nil {
		return err
	}
	for k := range t.keys {
		key := &t.keys[k]
		if err := key.read(&e.values[k], row, t.spans[key.column]); err != nil {
			return err
		}
	}
	e.row = row
	return nil
}

// build plays all matches below a node, notes the losers and returns the winner.
func (t *tree) build(node int) int {
	if node >= len(t.entries) {
		return node - len(t.entries)
	}
	winner, loser := t.build(2*node), t.build(2*node+1)
	if t.less(loser, winner) {
		winner, loser = loser, winner
	}
	t.nodes[node] = loser
	return winner
}

// replay plays the matches on the way from a source's leaf to the top.
func (t *tree) replay(winner int) {
	for node := (len(t.entries) + winner) / 2; node > 0; node /= 2 {
		if t.less(t.nodes[node], winner) {
			t.nodes[node], winner = winner, t.nodes[node]
		}
	}
	t.nodes[0] = winner
}

// less reports whether source a's row comes before source b's.
func (t *tree) less(a, b int) bool {
	left, right := &t.entries[a], &t.entries[b]
	if left.done || right.done {
		return !left.done
	}
	for k := range t.keys {
		if c := t.keys[k].compare(&left.values[k], &right.values[k]); c != 0 {
			return c < 0
		}
	}
	return a < b
}
