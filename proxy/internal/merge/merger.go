package merge

import (
	"fmt"
	"io"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// Source yields one shard's rows in the order in which that shard sent them.
type Source interface {
	// Next returns a whole DataRow frame, its 5-byte header included, valid until the next call of Next on the same source.
	// After the last row it returns io.EOF itself: an error that wraps io.EOF is a broken connection, not an end.
	Next() ([]byte, error)
}

// Merger knows how the rows of one statement are combined. It is immutable and may be run any number of times.
type Merger struct {
	spec   router.Merge
	fields []pgwire.Field
	keys   []sortKey
}

// New prepares the merge of rows described by fields, as the shards describe them: with the formats they send. What cannot be
// done exactly is refused with a *pgwire.Error for the client; any other error means that the spec does not fit the fields.
func New(spec *router.Merge, fields []pgwire.Field) (*Merger, error) {
	if err := checkSpec(spec, fields); err != nil {
		return nil, fmt.Errorf("prepare merge: %w", err)
	}
	m := &Merger{spec: *spec, fields: fields}
	if len(spec.Aggregates) > 0 {
		_, err := newFolds(spec.Aggregates, fields) // each run has folds of its own: this only asks whether there are such
		return m, err
	}
	for _, order := range spec.Order {
		key, err := newSortKey(order, fields[order.Column])
		if err != nil {
			return nil, err
		}
		m.keys = append(m.keys, key)
	}
	return m, nil
}

func checkSpec(spec *router.Merge, fields []pgwire.Field) error {
	if spec.Limit < -1 || spec.Offset < 0 {
		return fmt.Errorf("limit %d or offset %d is negative", spec.Limit, spec.Offset)
	}
	if spec.Hidden < 0 || spec.Hidden > len(fields) {
		return fmt.Errorf("%d of %d columns are hidden", spec.Hidden, len(fields))
	}
	if n := len(spec.Aggregates); n > 0 && n != len(fields) {
		return fmt.Errorf("%d aggregates for %d columns", n, len(fields))
	}
	for _, order := range spec.Order {
		if order.Column < 0 || order.Column >= len(fields) {
			return fmt.Errorf("sort column %d of %d columns", order.Column, len(fields))
		}
	}
	for i, field := range fields {
		if field.Format != formatText && field.Format != formatBinary {
			return fmt.Errorf("column %d has unknown format %d", i, field.Format)
		}
	}
	return nil
}

// Fields describes the rows that come out: those of the shards without the hidden columns.
func (m *Merger) Fields() []pgwire.Field { return m.fields[:len(m.fields)-m.spec.Hidden] }

// Run merges the rows of sources and hands each to emit as a DataRow frame that is valid during the call. It returns how many
// rows were emitted, also beside an error of a source or of emit. When LIMIT is reached it reads no further.
func (m *Merger) Run(sources []Source, emit func(row []byte) error) (int64, error) {
	rows, err := m.Rows(sources)
	if err != nil {
		return 0, err
	}
	for n := int64(0); ; n++ {
		row, err := rows.Next()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if err := emit(row); err != nil {
			return n, err
		}
	}
}
