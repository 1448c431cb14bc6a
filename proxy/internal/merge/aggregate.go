package merge

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// fold combines the shards' parts of one aggregate, all in the format of its column. NULL parts are not shown to it.
type fold interface {
	add(data []byte) fault
	appendResult(b []byte) ([]byte, fault) // called only after an add
}

// column is an aggregate of a result and what it has seen.
type column struct {
	fold  fold
	field pgwire.Field
	any   bool // a part was not NULL
}

func newFolds(aggregates []router.Aggregate, fields []pgwire.Field) ([]column, error) {
	columns := make([]column, len(fields))
	for i, aggregate := range aggregates {
		f, err := newFold(aggregate, i, fields[i])
		if err != nil {
			return nil, err
		}
		columns[i] = column{fold: f, field: fields[i]}
	}
	return columns, nil
}

func newFold(aggregate router.Aggregate, i int, field pgwire.Field) (fold, error) {
	var f fold
	switch aggregate {
	case router.AggCount, router.AggSum:
		f = newSum(aggregate, field)
	case router.AggMin, router.AggMax:
		if order, ok := orderingOf(field.Type); ok {
			f = &extreme{decode: order.decoder(field.Format), max: aggregate == router.AggMax}
		}
	case router.AggBoolAnd, router.AggBoolOr:
		if field.Type == oidBool {
			or := aggregate == router.AggBoolOr
			f = &logical{format: field.Format, or: or, outcome: !or}
		}
	case router.AggregateUnset:
		return nil, fmt.Errorf("prepare merge: column %d has no aggregate", i)
	}
	if f == nil {
		return nil, refuseAggregate(i, aggregate, field)
	}
	return f, nil
}

// newSum returns nil for types whose sum is not reproduced.
func newSum(aggregate router.Aggregate, field pgwire.Field) fold {
	switch {
	case field.Type == oidInt8:
		return &intSum{format: field.Format}
	case field.Type == oidNumeric && aggregate == router.AggSum:
		return &numericSum{format: field.Format}
	}
	return nil
}

// extreme is min or max. It keeps the first of equal parts as it was sent.
type extreme struct {
	decode     decoder
	max        bool
	best, next value
	data       []byte // what best was decoded from
	any        bool
}

func (e *extreme) add(data []byte) fault {
	if f := e.decode(&e.next, data); f != sound {
		return f
	}
	if c := e.next.compare(&e.best); e.any && (c == 0 || c > 0 != e.max) {
		return sound
	}
	e.any = true
	// The part is copied, and the copy decoded: its row is gone when the next one is compared.
	e.data = append(e.data[:0], data...)
	return e.decode(&e.best, e.data)
}

func (e *extreme) appendResult(b []byte) ([]byte, fault) { return append(b, e.data...), sound }

// logical is bool_and or bool_or.
type logical struct {
	format      int16
	or, outcome bool
}

func (l *logical) add(data []byte) fault {
	b, ok := parseBool(data, l.format)
	if !ok {
		return broken
	}
	if l.or {
		l.outcome = l.outcome || b
	} else {
		l.outcome = l.outcome && b
	}
	return sound
}

func (l *logical) appendResult(b []byte) ([]byte, fault) {
	switch {
	case l.format == formatBinary && l.outcome:
		return append(b, 1), sound
	case l.format == formatBinary:
		return append(b, 0), sound
	case l.outcome:
		return append(b, 't'), sound
	}
	return append(b, 'f'), sound
}

// folded yields the one row into which the sources' one row each is combined.
type folded struct {
	sources []Source
	folds   []column
	done    bool
}

func (f *folded) Next() ([]byte, error) {
	if f.done {
		return nil, io.EOF
	}
	f.done = true
	spans := make([]span, len(f.folds))
	for _, source := range f.sources {
		if err := f.fold(source, spans); err != nil {
			return nil, err
		}
	}
	return f.row()
}

// fold reads the only row of a source.
func (f *folded) fold(source Source, spans []span) error {
	row, err := source.Next()
	if err == io.EOF {
		return malformed("shard sent no row of aggregates", "An aggregate without GROUP BY gives exactly one row.")
	}
	if err != nil {
		return err
	}
	if err := split(row, spans, len(f.folds)); err != nil {
		return err
	}
	for i := range f.folds {
		c, at := &f.folds[i], spans[i]
		if at.null() {
			continue
		}
		c.any = true
		if bad := c.fold.add(row[at.start:at.end]); bad != sound {
			return bad.complain(c.field)
		}
	}
	if _, err := source.Next(); err == nil {
		return malformed("shard sent several rows of aggregates", "An aggregate without GROUP BY gives exactly one row.")
	} else if err != io.EOF {
		return err
	}
	return nil
}

func (f *folded) row() ([]byte, error) {
	row, start := pgwire.Begin(nil, pgwire.DataRow)
	row = binary.BigEndian.AppendUint16(row, uint16(len(f.folds)))
	for i := range f.folds {
		c := &f.folds[i]
		if !c.any {
			row = append(row, 0xff, 0xff, 0xff, 0xff) // NULL
			continue
		}
		at := len(row)
		row = append(row, 0, 0, 0, 0)
		var bad fault
		if row, bad = c.fold.appendResult(row); bad != sound {
			return nil, bad.complain(c.field)
		}
		binary.BigEndian.PutUint32(row[at:], uint32(len(row)-at-4))
	}
	return pgwire.End(row, start), nil
}
