package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/pgring/pgring/ids"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// oidUUID is the type uuid.
const oidUUID = 2950

// generate answers SELECT pgring.next_id() and the like with one row.
func (c *session) generate(ctx context.Context, stmt *router.Statement, values router.Values) error {
	formats := generatedFormats(values)
	if n := len(formats); n > 1 && n != len(stmt.Generated) {
		return c.reject(errProtocol(fmt.Sprintf("bind message has %d result formats but query has %d columns", n, len(stmt.Generated))))
	}
	row := make([][]byte, 0, len(stmt.Generated))
	for i, g := range stmt.Generated {
		value, err := c.generated(ctx, g, formatOf(formats, i) == 1)
		if err != nil {
			return c.reject(err)
		}
		row = append(row, value)
	}
	b := c.out[:0]
	if !c.unit.open {
		b = pgwire.AppendRowDescription(b, generatedFields(stmt, nil))
	}
	b = pgwire.AppendDataRow(b, row)
	c.out = pgwire.AppendText(b, pgwire.CommandComplete, "SELECT 1")
	return c.reply(c.out)
}

// generated makes one value in the format that the client wants.
func (c *session) generated(ctx context.Context, g router.Generated, binaryFormat bool) ([]byte, error) {
	if g.Function == "uuid7" {
		id, err := ids.UUID7()
		if err != nil {
			return nil, fmt.Errorf("make a UUID: %w", err)
		}
		if binaryFormat {
			return id[:], nil
		}
		return []byte(id.String()), nil
	}
	id, err := c.nextID(ctx)
	if err != nil {
		return nil, err
	}
	if binaryFormat {
		return binary.BigEndian.AppendUint64(nil, uint64(id)), nil
	}
	return strconv.AppendInt(nil, id, 10), nil
}

// nextID makes an id, or says to the client why there is none.
func (c *session) nextID(ctx context.Context) (int64, error) {
	if c.srv.ids == nil {
		return 0, errUnsupported("this proxy makes no ids", "")
	}
	id, err := c.srv.ids.Next(ctx)
	var stepped *ids.ClockError
	switch {
	case errors.Is(err, ids.ErrNoWorker):
		return 0, &pgwire.Error{Code: codeNotPrepared, Message: "no ids can be made at present",
			Detail: "The proxy has no worker number: it could not be leased, or kept, in the control database.",
			Hint:   "Repeat the statement. SHOW PEERS on the console shows whether the control database is reachable."}
	case errors.As(err, &stepped):
		return 0, &pgwire.Error{Code: codeNotPrepared, Message: "no ids can be made at present",
			Detail: fmt.Sprintf("The proxy's clock stepped back by %s.", stepped.Behind), Hint: "Repeat the statement."}
	}
	return id, err
}

// generatedFields describes the row.
func generatedFields(stmt *router.Statement, formats []int16) []pgwire.Field {
	fields := make([]pgwire.Field, 0, len(stmt.Generated))
	for i, g := range stmt.Generated {
		f := pgwire.Field{Name: g.Column, Type: oidInt8, Size: 8, Modifier: -1, Format: formatOf(formats, i)}
		if g.Function == "uuid7" {
			f.Type, f.Size = oidUUID, 16
		}
		fields = append(fields, f)
	}
	return fields
}

// generatedFormats are the result format codes of a bound statement; nil for a Query message.
func generatedFormats(values router.Values) []int16 {
	if b, ok := values.(*bindMessage); ok && b != nil {
		return b.resultFormats()
	}
	return nil
}

// formatOf is the format of a column: no codes means text, one code means all (PostgreSQL manual, Bind).
func formatOf(codes []int16, column int) int16 {
	switch {
	case len(codes) == 1:
		return codes[0]
	case column < len(codes):
		return codes[column]
	}
	return 0
}
