package pgwire

import (
	"bytes"
	"encoding/binary"
)

// Message types sent by a client (PostgreSQL manual, "Message Formats").
const (
	Bind         = 'B'
	Close        = 'C'
	CopyFail     = 'f'
	Describe     = 'D'
	Execute      = 'E'
	Flush        = 'H'
	FunctionCall = 'F'
	Parse        = 'P'
	Password     = 'p'
	Query        = 'Q'
	Sync         = 'S'
	Terminate    = 'X'
)

// Message types sent by both sides.
const (
	CopyData = 'd'
	CopyDone = 'c'
)

// Message types sent by a server.
const (
	Authentication       = 'R'
	BackendKeyData       = 'K'
	BindComplete         = '2'
	CloseComplete        = '3'
	CommandComplete      = 'C'
	CopyBothResponse     = 'W'
	CopyInResponse       = 'G'
	CopyOutResponse      = 'H'
	DataRow              = 'D'
	EmptyQueryResponse   = 'I'
	ErrorResponse        = 'E'
	FunctionCallResponse = 'V'
	NegotiateProtocol    = 'v'
	NoData               = 'n'
	NoticeResponse       = 'N'
	NotificationResponse = 'A'
	ParameterDescription = 't'
	ParameterStatus      = 'S'
	ParseComplete        = '1'
	PortalSuspended      = 's'
	ReadyForQuery        = 'Z'
	RowDescription       = 'T'
)

// Transaction status bytes of ReadyForQuery.
const (
	TxIdle   = 'I'
	TxActive = 'T'
	TxFailed = 'E'
)

// Begin appends a frame's header to b; End fills in its length. Between the two the caller appends the body.
func Begin(b []byte, typ byte) ([]byte, int) {
	return append(b, typ, 0, 0, 0, 0), len(b)
}

// End closes the frame that Begin opened at start.
func End(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-1))
	return b
}

// WholeFrame returns the size in bytes of the frame at the beginning of b, header included; 0 if it is not whole, or none.
func WholeFrame(b []byte) int {
	if len(b) < HeaderSize {
		return 0
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n < 4 || uint64(n) >= uint64(len(b)) {
		return 0
	}
	return int(n) + 1
}

// AppendEmpty appends a frame without a body.
func AppendEmpty(b []byte, typ byte) []byte { return append(b, typ, 0, 0, 0, 4) }

// AppendText appends a frame whose body is one NUL-terminated string, such as Query or CommandComplete.
func AppendText(b []byte, typ byte, text string) []byte {
	b, at := Begin(b, typ)
	b = append(b, text...)
	return End(append(b, 0), at)
}

// AppendReady appends ReadyForQuery with the transaction status.
func AppendReady(b []byte, status byte) []byte { return append(b, ReadyForQuery, 0, 0, 0, 5, status) }

// AppendParameterStatus appends ParameterStatus.
func AppendParameterStatus(b []byte, name, value string) []byte {
	b, at := Begin(b, ParameterStatus)
	b = append(append(b, name...), 0)
	b = append(append(b, value...), 0)
	return End(b, at)
}

// AppendParse appends Parse with the given parameter type OIDs.
func AppendParse(b []byte, name, text string, oids []uint32) []byte {
	b, at := Begin(b, Parse)
	b = append(append(b, name...), 0)
	b = append(append(b, text...), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(oids)))
	for _, oid := range oids {
		b = binary.BigEndian.AppendUint32(b, oid)
	}
	return End(b, at)
}

// AppendBind appends Bind without parameters, all results in text.
func AppendBind(b []byte, portal, statement string) []byte {
	b, at := Begin(b, Bind)
	b = append(append(b, portal...), 0)
	b = append(append(b, statement...), 0)
	return End(append(b, 0, 0, 0, 0, 0, 0), at)
}

// AppendBindValues appends a Bind with parameters in the text format; results come in it, too.
func AppendBindValues(b []byte, portal, statement string, values [][]byte) []byte {
	b, at := Begin(b, Bind)
	b = append(append(b, portal...), 0)
	b = append(append(b, statement...), 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(values)))
	for _, v := range values {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return End(append(b, 0, 0), at)
}

// AppendExecute appends Execute; maxRows 0 means all rows.
func AppendExecute(b []byte, portal string, maxRows uint32) []byte {
	b, at := Begin(b, Execute)
	b = append(append(b, portal...), 0)
	return End(binary.BigEndian.AppendUint32(b, maxRows), at)
}

// AppendTarget appends Describe or Close for a statement ('S') or portal ('P').
func AppendTarget(b []byte, typ, kind byte, name string) []byte {
	b, at := Begin(b, typ)
	b = append(append(b, kind), name...)
	return End(append(b, 0), at)
}

// Field describes one output column of a RowDescription.
type Field struct {
	Name      string
	Table     uint32 // OID of the table; 0 for an expression
	Attribute uint16 // its column number there
	Type      uint32 // OID
	Size      int16
	Modifier  int32
	Format    int16 // 0 text, 1 binary
}

// AppendRowDescription appends RowDescription.
func AppendRowDescription(b []byte, fields []Field) []byte {
	b, at := Begin(b, RowDescription)
	b = binary.BigEndian.AppendUint16(b, uint16(len(fields)))
	for _, f := range fields {
		b = append(append(b, f.Name...), 0)
		b = binary.BigEndian.AppendUint32(b, f.Table)
		b = binary.BigEndian.AppendUint16(b, f.Attribute)
		b = binary.BigEndian.AppendUint32(b, f.Type)
		b = binary.BigEndian.AppendUint16(b, uint16(f.Size))
		b = binary.BigEndian.AppendUint32(b, uint32(f.Modifier))
		b = binary.BigEndian.AppendUint16(b, uint16(f.Format))
	}
	return End(b, at)
}

// AppendDataRow appends DataRow; a nil value is NULL.
func AppendDataRow(b []byte, values [][]byte) []byte {
	b, at := Begin(b, DataRow)
	b = binary.BigEndian.AppendUint16(b, uint16(len(values)))
	for _, v := range values {
		if v == nil {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		b = append(b, v...)
	}
	return End(b, at)
}

// Body reads a frame's body from front to back. After the first read past the end every further read returns zero values and
// OK reports false, so that a decoder checks once.
type Body struct {
	rest []byte
	bad  bool
}

// BodyOf returns the reader of frame's body; frame includes its header.
func BodyOf(frame []byte) Body { return Body{rest: frame[HeaderSize:]} }

// OK reports whether every read so far was inside the body.
func (b *Body) OK() bool { return !b.bad }

// Done reports whether the body was read exactly to its end.
func (b *Body) Done() bool { return !b.bad && len(b.rest) == 0 }

// Rest returns what has not been read.
func (b *Body) Rest() []byte { return b.rest }

// Byte reads one byte.
func (b *Body) Byte() byte {
	if p := b.Bytes(1); p != nil {
		return p[0]
	}
	return 0
}

// Int16 reads a 16-bit integer.
func (b *Body) Int16() int {
	if p := b.Bytes(2); p != nil {
		return int(int16(binary.BigEndian.Uint16(p)))
	}
	return 0
}

// Int32 reads a 32-bit integer.
func (b *Body) Int32() int {
	if p := b.Bytes(4); p != nil {
		return int(int32(binary.BigEndian.Uint32(p)))
	}
	return 0
}

// Bytes reads n bytes by reference; nil past the end or when n is negative.
func (b *Body) Bytes(n int) []byte {
	if n < 0 || n > len(b.rest) {
		b.bad, b.rest = true, nil
		return nil
	}
	p := b.rest[:n:n]
	b.rest = b.rest[n:]
	return p
}

// Text reads a NUL-terminated string by reference, without its NUL.
func (b *Body) Text() []byte {
	i := bytes.IndexByte(b.rest, 0)
	if i < 0 {
		b.bad, b.rest = true, nil
		return nil
	}
	p := b.rest[:i:i]
	b.rest = b.rest[i+1:]
	return p
}

// MapOIDs replaces OIDs in a RowDescription or ParameterDescription frame, in place: those of types and those of tables. What a
// map of types lacks stays as it is, if users' types may have it, 16384 and above: unknown is the last such one, 0 if there is none. A
// table that is lacking becomes 0, which says that the column is of no table. False: the frame is malformed.
func MapOIDs(frame []byte, types, tables map[uint32]uint32) (unknown uint32, ok bool) {
	replace := func(at int) {
		oid := binary.BigEndian.Uint32(frame[at:])
		if mapped, found := types[oid]; found {
			binary.BigEndian.PutUint32(frame[at:], mapped)
		} else if oid >= 16384 {
			unknown = oid
		}
	}
	if frame[0] == ParameterDescription {
		for at := 7; at+4 <= len(frame); at += 4 {
			replace(at)
		}
		return unknown, true
	}
	for at := 7; at < len(frame); {
		end := bytes.IndexByte(frame[at:], 0)
		if end < 0 || at+end+19 > len(frame) {
			return unknown, false
		}
		at += end + 1
		if table := binary.BigEndian.Uint32(frame[at:]); table >= 16384 {
			binary.BigEndian.PutUint32(frame[at:], tables[table])
		}
		replace(at + 6)
		at += 18
	}
	return unknown, true
}

// ParseRowDescription decodes a RowDescription frame.
func ParseRowDescription(frame []byte) ([]Field, bool) {
	body := BodyOf(frame)
	n := body.Int16()
	fields := make([]Field, 0, max(n, 0))
	for range n {
		f := Field{Name: string(body.Text()), Table: uint32(body.Int32()), Attribute: uint16(body.Int16()), Type: uint32(body.Int32())}
		f.Size, f.Modifier, f.Format = int16(body.Int16()), int32(body.Int32()), int16(body.Int16())
		fields = append(fields, f)
	}
	return fields, n >= 0 && body.Done()
}
