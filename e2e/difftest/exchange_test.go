package difftest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// mode is a way to send a statement.
type mode int

const (
	simple   mode = iota + 1 // one Query message
	extended                 // Parse, Bind, Describe of the portal, Execute, Sync; results in text
	prepared                 // Parse and Describe of a named statement, Sync, then Bind with binary values and results
)

func (m mode) String() string {
	return [...]string{"", "simple", "extended", "prepared binary"}[m]
}

// statementLimit is how long an answer may take.
const statementLimit = 60 * time.Second

// statement is what is sent: a text, values of parameters ($1 …), and data if it is COPY FROM STDIN.
type statement struct {
	text   string
	params []param
	data   string
	copyIn bool
}

// param is one value of a --$ line.
type param struct {
	oid  uint32 // 0: the server decides
	data []byte // in text, nil for NULL
}

// field describes a column as the client may rely on it.
type field struct {
	name, typ string
	size      int16
	modifier  int32
	format    int16
}

type result struct {
	tag    string
	fields []field
	rows   [][][]byte
}

// answer is what a client was told.
type answer struct {
	params    []string // types of the parameters, in mode prepared
	described []field  // what Describe said before Bind, in mode prepared
	results   []result
	notices   []string
	code      string // SQLSTATE of the error that ended it; "dead" if it was not one
	message   string
	detail    string
	status    byte // of ReadyForQuery
}

func (a *answer) last() *result {
	if len(a.results) == 0 {
		return &result{}
	}
	return &a.results[len(a.results)-1]
}

// client sends statements and keeps its connection between them.
type client struct {
	name, dsn string
	off       []string // settings that are turned off
	conn      *pgconn.PgConn
	types     map[uint32]string // of this database, from 16384 on
	notices   []string
	count     int           // of prepared statements
	tamper    func(*answer) // plants a fault into each answer; nil: none
}

func (c *client) connect() error {
	config, err := pgconn.ParseConfig(c.dsn)
	if err != nil {
		return err
	}
	config.RuntimeParams["TimeZone"] = "Europe/Berlin"
	for _, name := range c.off {
		config.RuntimeParams[name] = "off"
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { c.notices = append(c.notices, n.Code+" "+n.Message) }
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.conn, err = pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.name, err)
	}
	return nil
}

func (c *client) close() { closeConn(c.conn) }

// renew begins a new session, so that no setting, statement or transaction is left of the old one.
func (c *client) renew(t testing.TB) {
	t.Helper()
	c.close()
	must(t, c.connect())
}

// must runs a statement that has to work.
func (c *client) must(t testing.TB, sql string) {
	t.Helper()
	if a := c.ask(simple, statement{text: sql}); a.code != "" {
		t.Fatalf("%s answers %s %s %s to %s", c.name, a.code, a.message, a.detail, sql)
	}
}

// learnTypes reads the names of the types that are not built in.
func (c *client) learnTypes(t testing.TB) {
	t.Helper()
	a := c.ask(simple, statement{text: "SELECT oid, typname FROM pg_type WHERE oid >= 16384"})
	if a.code != "" {
		t.Fatalf("%s has no types: %s", c.name, a.message)
	}
	c.types = map[uint32]string{}
	for _, row := range a.last().rows {
		oid, err := strconv.ParseUint(string(row[0]), 10, 32)
		must(t, err)
		c.types[uint32(oid)] = string(row[1])
	}
}

// ask sends a statement and reads the whole answer.
func (c *client) ask(m mode, s statement) answer {
	ctx, cancel := context.WithTimeout(context.Background(), statementLimit)
	defer cancel()
	c.notices = nil
	var a answer
	var err error
	switch {
	case s.copyIn:
		err = c.copyIn(ctx, s, &a)
	case isCopyOut(s.text):
		err = c.copyOut(ctx, s, &a)
	case m == simple:
		err = c.readAll(c.conn.Exec(ctx, s.text), &a)
	case m == extended:
		err = c.read(c.conn.ExecParams(ctx, s.text, texts(s.params), oids(s.params), nil, nil), &a)
	default:
		err = c.askPrepared(ctx, s, &a)
	}
	a.notices = c.notices
	a.fail(err)
	if !c.conn.IsClosed() {
		a.status = c.conn.TxStatus()
	} else if err := c.connect(); err != nil {
		a.code, a.message = "dead", err.Error()
	}
	if c.tamper != nil {
		c.tamper(&a)
	}
	return a
}

// fail notes the error that ended an answer.
func (a *answer) fail(err error) {
	var e *pgconn.PgError
	switch {
	case err == nil:
	case errors.As(err, &e):
		a.code, a.message, a.detail = e.Code, e.Message, e.Detail
	default:
		a.code, a.message = "dead", err.Error()
	}
}

func (c *client) readAll(reader *pgconn.MultiResultReader, a *answer) error {
	for reader.NextResult() {
		if err := c.read(reader.ResultReader(), a); err != nil {
			return errors.Join(err, reader.Close())
		}
	}
	return reader.Close()
}

func (c *client) read(reader *pgconn.ResultReader, a *answer) error {
	r := result{fields: c.fields(reader.FieldDescriptions())}
	for reader.NextRow() {
		row := make([][]byte, len(reader.Values()))
		for i, v := range reader.Values() {
			if v != nil {
				row[i] = append([]byte{}, v...)
			}
		}
		r.rows = append(r.rows, row)
	}
	tag, err := reader.Close()
	r.tag = tag.String()
	if err == nil {
		a.results = append(a.results, r)
	}
	return err
}

func (c *client) fields(descriptions []pgconn.FieldDescription) []field {
	var fields []field
	for _, d := range descriptions {
		fields = append(fields, field{d.Name, c.typeName(d.DataTypeOID), d.DataTypeSize, d.TypeModifier, d.Format})
	}
	return fields
}

// typeName is a built-in type's OID, or the name that the catalog which the client sees has for another.
func (c *client) typeName(oid uint32) string {
	if oid < 16384 {
		return strconv.FormatUint(uint64(oid), 10)
	}
	if name, ok := c.types[oid]; ok {
		return name
	}
	return fmt.Sprintf("unknown type %d", oid)
}

func (c *client) askPrepared(ctx context.Context, s statement, a *answer) error {
	c.count++
	name := fmt.Sprintf("s%d", c.count)
	description, err := c.conn.Prepare(ctx, name, s.text, oids(s.params))
	if err != nil {
		return err
	}
	for _, oid := range description.ParamOIDs {
		a.params = append(a.params, c.typeName(oid))
	}
	a.described = c.fields(description.Fields)
	values, formats, err := binary(s.params, description.ParamOIDs)
	if err != nil {
		return err
	}
	err = c.read(c.conn.ExecPrepared(ctx, name, values, formats, []int16{1}), a)
	if c.conn.IsClosed() || c.conn.TxStatus() == 'E' {
		return err
	}
	return errors.Join(err, c.conn.Deallocate(ctx, name))
}

// binary encodes the values of the types that pgx knows in binary, the others in text.
func binary(params []param, types []uint32) (values [][]byte, formats []int16, err error) {
	known := pgtype.NewMap()
	for i, p := range params {
		value, format := p.data, int16(0)
		if t, ok := known.TypeForOID(types[i]); ok && p.data != nil && p.oid != 0 {
			decoded, err := t.Codec.DecodeValue(known, types[i], pgtype.TextFormatCode, p.data)
			if err != nil {
				return nil, nil, fmt.Errorf("parameter %d: %w", i+1, err)
			}
			if value, err = known.Encode(types[i], pgtype.BinaryFormatCode, decoded, nil); err != nil {
				return nil, nil, fmt.Errorf("parameter %d: %w", i+1, err)
			}
			format = 1
		}
		values, formats = append(values, value), append(formats, format)
	}
	return values, formats, nil
}

func texts(params []param) [][]byte {
	values := make([][]byte, len(params))
	for i, p := range params {
		values[i] = p.data
	}
	return values
}

func oids(params []param) []uint32 {
	types := make([]uint32, len(params))
	for i, p := range params {
		types[i] = p.oid
	}
	return types
}

func isCopyOut(text string) bool {
	upper := strings.ToUpper(text)
	return strings.HasPrefix(upper, "COPY") && strings.Contains(upper, "TO STDOUT")
}

func (c *client) copyIn(ctx context.Context, s statement, a *answer) error {
	tag, err := c.conn.CopyFrom(ctx, strings.NewReader(s.data), s.text)
	if err == nil {
		a.results = []result{{tag: tag.String()}}
	}
	return err
}

// copyOut takes each line as a row of one value; binary data as one row.
func (c *client) copyOut(ctx context.Context, s statement, a *answer) error {
	var out bytes.Buffer
	tag, err := c.conn.CopyTo(ctx, &out, s.text)
	if err != nil {
		return err
	}
	r := result{tag: tag.String(), fields: []field{{name: "line"}}}
	for line := range bytes.Lines(out.Bytes()) {
		r.rows = append(r.rows, [][]byte{line})
	}
	a.results = []result{r}
	return nil
}
