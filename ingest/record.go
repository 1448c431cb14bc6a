package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/topology"
)

// MaxRecord bounds a record in bytes. What is larger is written synchronously, or refused.
const MaxRecord = 1 << 20

// sourceSize is that of a source's secret in bytes.
const sourceSize = 16

// Record is one INSERT that was accepted and is to be done: everything that it depends on, so that it does later, from wherever, what it
// would have done then.
type Record struct {
	Table    topology.Name
	Group    string
	Hash     uint64 // of the shard key
	ShardKey string // as ring.Key writes it

	User     string            // the client's, at pgring
	Settings []backend.Setting // of its session
	SQL      string
	Types    []uint32 // of the parameters, 0: the server decides
	Formats  []int16  // of the parameters: 0 text, 1 binary
	Values   [][]byte // nil is NULL

	Letter string    // id of the dead letter that this is another try of; empty: none
	At     time.Time // when it was accepted; set by Append

	source [sourceSize]byte // secret of who has accepted it
	index  uint64           // its place in the log
	number uint64           // its source's number of it
}

// recordVersion begins every record.
const recordVersion = 1

var errRecord = errors.New("record of the log is not understood: was it written by a newer version?")

// encode writes the record behind b.
func (r *Record) encode(b []byte) []byte {
	b = append(b, recordVersion)
	b = append(b, r.source[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Hash)
	b = appendText(b, r.Group)
	b = appendText(b, r.ShardKey)
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMicro()))
	b = appendText(b, r.Table.Schema)
	b = appendText(b, r.Table.Table)
	b = appendText(b, r.User)
	b = appendText(b, r.Letter)
	b = appendText(b, r.SQL)
	b = binary.AppendUvarint(b, uint64(len(r.Settings)))
	for _, s := range r.Settings {
		b = appendText(appendText(b, s.Name), s.SQL)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Types)))
	for _, oid := range r.Types {
		b = binary.BigEndian.AppendUint32(b, oid)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Values)))
	for i, value := range r.Values {
		b = append(b, byte(r.format(i)))
		if value == nil {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(value))+1)
		b = append(b, value...)
	}
	return b
}

func (r *Record) format(i int) int16 {
	if i < len(r.Formats) {
		return r.Formats[i]
	}
	return 0
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decoder reads what encode has written.
type decoder struct {
	rest []byte
	bad  bool
}

// decodeKey reads where a record belongs, and the decoder stands behind that. Group is the one that it probably has.
func decodeKey(data []byte, group string) (r Record, d decoder, err error) {
	d.rest = data
	if version := d.bytes(1); len(version) != 1 || version[0] != recordVersion {
		return r, d, errRecord
	}
	copy(r.source[:], d.bytes(sourceSize))
	r.Hash = d.number()
	if own := d.bytes(d.varint()); string(own) == group {
		r.Group = group
	} else {
		r.Group = string(own)
	}
	r.ShardKey = d.text()
	if d.bad {
		return r, d, errRecord
	}
	return r, d, nil
}

// decodeRecord reads a whole record. It keeps nothing of data.
func decodeRecord(data []byte) (*Record, error) {
	r, d, err := decodeKey(data, "")
	if err != nil {
		return nil, err
	}
	return r.decodeRest(d, new(form))
}

// form is what many records have in common: all but the key, the time and the values. It is remembered as it is written, and what is the same
// again is not read again.
type form struct {
	written      []byte // behind the time
	table        topology.Name
	user, letter string
	sql          string
	settings     []backend.Setting
	types        []uint32
}

// read reads the form of a record, if it is not this one.
func (f *form) read(d *decoder) {
	if len(f.written) > 0 && bytes.HasPrefix(d.rest, f.written) { // each part of it says how long it is: so this is all of it
		d.rest = d.rest[len(f.written):]
		return
	}
	before := d.rest
	*f = form{table: topology.Name{Schema: d.text(), Table: d.text()}, user: d.text(), letter: d.text(), sql: d.text()}
	for range d.count() {
		f.settings = append(f.settings, backend.Setting{Name: d.text(), SQL: d.text()})
	}
	for range d.count() {
		if four := d.bytes(4); len(four) == 4 {
			f.types = append(f.types, binary.BigEndian.Uint32(four))
		}
	}
	f.written = bytes.Clone(before[:len(before)-len(d.rest)])
}

// decodeRest reads what is behind the key. Like is the form that it probably has, and then the one that it has.
func (r Record) decodeRest(d decoder, like *form) (*Record, error) {
	r.At = time.UnixMicro(int64(d.number()))
	like.read(&d)
	r.Table, r.User, r.Letter, r.SQL, r.Settings, r.Types = like.table, like.user, like.letter, like.sql, like.settings, like.types
	d.rest = bytes.Clone(d.rest)
	n := d.count()
	r.Values, r.Formats = make([][]byte, 0, n), make([]int16, 0, n)
	for range n {
		format := d.bytes(1)
		size := d.varint()
		if d.bad {
			break
		}
		r.Formats = append(r.Formats, int16(format[0]))
		if size == 0 {
			r.Values = append(r.Values, nil)
			continue
		}
		value := d.bytes(size - 1)
		r.Values = append(r.Values, value[:len(value):len(value)])
	}
	if d.bad || len(d.rest) > 0 {
		return nil, errRecord
	}
	return &r, nil
}

func (d *decoder) bytes(n uint64) []byte {
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) number() uint64 {
	if b := d.bytes(8); len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) varint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.bad = true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count reads how many elements follow: no more than there are bytes.
func (d *decoder) count() uint64 {
	n := d.varint()
	if n > uint64(len(d.rest)) {
		d.bad = true
	}
	if d.bad {
		return 0
	}
	return n
}

func (d *decoder) text() string { return string(d.bytes(d.varint())) }
