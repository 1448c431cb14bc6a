package merge

import (
	"fmt"
	"io"

	"github.com/pgring/pgring/pgwire"
)

// Rows yields merged rows one by one, for callers that stop in between, as a portal with a row limit does. It is a [Source].
type Rows struct {
	merged  Source
	skip    int64 // rows still to be dropped for OFFSET
	left    int64 // rows still to be emitted; -1: all
	visible int   // columns to keep
	hidden  int   // columns to drop after them
	spans   []span
	buf     []byte // the row without its hidden columns
	err     error
}

// Rows starts a merge of the sources, reading nothing yet.
func (m *Merger) Rows(sources []Source) (*Rows, error) {
	r := &Rows{skip: m.spec.Offset, left: m.spec.Limit, visible: len(m.fields) - m.spec.Hidden, hidden: m.spec.Hidden}
	r.spans = make([]span, len(m.fields))
	switch {
	case len(m.spec.Aggregates) > 0:
		folds, err := newFolds(m.spec.Aggregates, m.fields)
		if err != nil {
			return nil, err
		}
		if len(sources) == 0 {
			return nil, fmt.Errorf("merge aggregates: no shard to ask")
		}
		r.merged = &folded{sources: sources, folds: folds}
	case len(m.keys) > 0 && len(sources) > 1:
		r.merged = newTree(m.keys, sources, len(m.fields))
	default:
		r.merged = &concatenation{sources: sources}
	}
	return r, nil
}

// Next returns the next merged row as a DataRow frame that is valid until the next call; io.EOF at the end or when LIMIT is
// reached, without reading further. After an error it goes on returning it.
func (r *Rows) Next() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	row, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	return row, nil
}

func (r *Rows) next() ([]byte, error) {
	if r.left == 0 {
		return nil, io.EOF
	}
	for ; r.skip > 0; r.skip-- {
		if _, err := r.merged.Next(); err != nil {
			return nil, err
		}
	}
	row, err := r.merged.Next()
	if err != nil {
		return nil, err
	}
	if r.left > 0 {
		r.left--
	}
	if r.hidden == 0 {
		return row, checkHeader(row, r.visible)
	}
	return r.strip(row)
}

// strip copies the row without its hidden columns. The frame itself belongs to the source, so it is not shortened in place.
func (r *Rows) strip(row []byte) ([]byte, error) {
	if err := split(row, r.spans, len(r.spans)); err != nil {
		return nil, err
	}
	end := r.spans[r.visible].at
	var at int
	r.buf, at = pgwire.Begin(r.buf[:0], pgwire.DataRow)
	r.buf = append(r.buf, byte(r.visible>>8), byte(r.visible))
	r.buf = append(r.buf, row[firstColumn:end]...)
	return pgwire.End(r.buf, at), nil
}

// concatenation yields the rows of its sources one source after another.
type concatenation struct{ sources []Source }

func (c *concatenation) Next() ([]byte, error) {
	for len(c.sources) > 0 {
		row, err := c.sources[0].Next()
		if err != io.EOF {
			return row, err
		}
		c.sources = c.sources[1:]
	}
	return nil, io.EOF
}
