package sql

import (
	"bytes"
)

// CopyFormat is the format of the data of a COPY.
type CopyFormat uint8

// The formats. The zero value means unset.
const (
	CopyFormatUnset CopyFormat = iota
	CopyText
	CopyCSV
	CopyBinary
)

// CopyOptions say how the data of a COPY … FROM STDIN are written.
type CopyOptions struct {
	Format       CopyFormat
	Delimiter    byte
	Quote        byte   // CSV
	Escape       byte   // CSV
	Null         string // what stands for NULL
	Header       bool
	Key          int       // the field to be read, from 0
	ForceNotNull bool      // CSV: of that field
	ForceNull    bool      // CSV: of that field
	More         []CopyKey // further fields to be read, see CopyScanner.More
}

// CopyKey is a further field to be read.
type CopyKey struct {
	Field        int // from 0
	ForceNotNull bool
	ForceNull    bool
}

// CopyKind is what a row of COPY data is.
type CopyKind uint8

// The kinds. The zero value means unset.
const (
	CopyRowUnset CopyKind = iota
	CopyRow               // a row whose key was read
	CopyHeader            // the header line, or the header of binary data
	CopyBad               // something PostgreSQL may refuse, or read in another way: its key is not certain
	CopyEnd               // the end marker: PostgreSQL ignores what follows
)

// CopyRecord is one row of COPY data with its end. Its slices are valid until
// the next call of Give.
type CopyRecord struct {
	Kind  CopyKind
	Data  []byte
	Value []byte // of the key, unescaped
	Null  bool
	Lines int // how many lines PostgreSQL counts for it
	First int // how many it counts if it is the first row of some data

	line []byte // without its end; not of binary data
}

// CopyScanner cuts COPY data into rows as PostgreSQL does (copyfromparse.c): text
// and CSV at newlines that are neither escaped nor quoted, binary by its
// lengths. It holds what has come of one row at most.
type CopyScanner struct {
	CopyOptions
	data []byte
	from int
	eol  newline
	head bool // the header has passed
	buf  []byte

	// Of the row that is not complete: how far it was looked at, and whether
	// that end is within quotes, and behind an escape there.
	seen            int
	quoted, escaped bool
}

// newline is how lines end; the first line decides.
type newline uint8

const (
	newlineUnset newline = iota
	newlineLF
	newlineCRLF
	newlineCR
)

// Give adds data to what has not been cut into rows yet.
func (s *CopyScanner) Give(data []byte) {
	if s.from > 0 {
		s.data = s.data[:copy(s.data, s.data[s.from:])]
		s.from = 0
	}
	s.data = append(s.data, data...)
}

// Held returns how many bytes wait for the rest of their row.
func (s *CopyScanner) Held() int { return len(s.data) - s.from }

// Rest returns what has been given and not been cut into rows, and forgets it.
func (s *CopyScanner) Rest() []byte {
	rest := s.data[s.from:]
	s.from = len(s.data)
	return rest
}

// Next cuts the next row off. last: no more data will come. False: it is not
// complete.
func (s *CopyScanner) Next(last bool) (CopyRecord, bool) {
	rest := s.data[s.from:]
	if len(rest) == 0 {
		return CopyRecord{}, false
	}
	if s.Format == CopyBinary {
		return s.nextBinary(rest, last)
	}
	first := s.eol == newlineUnset
	end, eol, open := s.line(rest, last)
	if end < 0 {
		return CopyRecord{}, false
	}
	s.from += end
	s.seen, s.quoted, s.escaped = 0, false, false
	r := CopyRecord{Kind: CopyRow, Data: rest[:end], Lines: 1, First: 1}
	line := rest[:end-eol]
	r.line = line
	if open {
		r.Kind = CopyBad
		return r, true
	}
	if s.Format == CopyCSV {
		r.First += bytes.Count(line, []byte{'\r'})
		r.Lines += s.quotedLines(line, first)
	}
	switch {
	case string(line) == `\.`:
		r.Kind = CopyEnd // in the place of the header, too
	case s.Header && !s.head:
		s.head = true
		r.Kind = CopyHeader
	case s.strange(line) || !s.field(&r, line):
		r.Kind = CopyBad
	}
	return r, true
}

// quotedLines counts the newlines within quotes that PostgreSQL counts as
// lines. Before it knows how lines end it counts carriage returns.
func (s *CopyScanner) quotedLines(line []byte, first bool) int {
	if s.eol == newlineLF && !first {
		return bytes.Count(line, []byte{'\n'})
	}
	return bytes.Count(line, []byte{'\r'})
}

// line returns where the first line of data ends, and the length of what ends
// it; -1: it has no end yet. open: the data end within it.
func (s *CopyScanner) line(data []byte, last bool) (end, eol int, open bool) {
	mark := byte('\n')
	if s.eol == newlineCR {
		mark = '\r'
	}
	for s.seen < len(data) {
		at := bytes.IndexByte(data[s.seen:], mark)
		if s.eol == newlineUnset {
			at = bytes.IndexAny(data[s.seen:], "\r\n")
		}
		if at < 0 {
			s.pass(data, len(data))
			break
		}
		s.pass(data, s.seen+at)
		if s.within(data[:s.seen]) {
			s.pass(data, s.seen+1)
			continue
		}
		if s.eol == newlineUnset && !s.learn(data[s.seen:], last) {
			return -1, 0, false
		}
		return s.lineEnd(data, s.seen)
	}
	if !last {
		return -1, 0, false
	}
	return len(data), 0, s.within(data)
}

// pass follows the quotes up to a position.
func (s *CopyScanner) pass(data []byte, to int) {
	part := data[s.seen:to]
	s.seen = to
	switch {
	case s.Format == CopyText:
	case s.Escape == s.Quote:
		s.quoted = s.quoted != (bytes.Count(part, []byte{s.Quote})%2 == 1)
	default:
		for _, c := range part {
			s.quote(c)
		}
	}
}

// quote follows one byte of CSV whose escape is not its quote.
func (s *CopyScanner) quote(c byte) {
	if s.quoted && c == s.Escape {
		s.escaped = !s.escaped
	}
	if c == s.Quote && !s.escaped {
		s.quoted = !s.quoted
	}
	if c != s.Escape {
		s.escaped = false
	}
}

// lineEnd returns the end of a line whose newline mark is at a position.
func (s *CopyScanner) lineEnd(data []byte, at int) (end, eol int, open bool) {
	switch {
	case s.eol == newlineCRLF && data[at] == '\r':
		return at + 2, 2, false
	case s.eol == newlineCRLF && at > 0 && data[at-1] == '\r' && (s.Format == CopyCSV || !s.within(data[:at-1])):
		return at + 1, 2, false
	case s.eol == newlineCRLF:
		return at + 1, 1, true // a newline alone: PostgreSQL refuses it
	}
	return at + 1, 1, false
}

// learn finds out how lines end from the first end of a line.
func (s *CopyScanner) learn(data []byte, last bool) bool {
	switch {
	case data[0] == '\n':
		s.eol = newlineLF
	case len(data) > 1 && data[1] == '\n':
		s.eol = newlineCRLF
	case len(data) > 1 || last:
		s.eol = newlineCR
	default:
		return false
	}
	return true
}

// within says whether a newline behind this part of a line, up to which all was
// looked at, belongs to the data.
func (s *CopyScanner) within(line []byte) bool {
	if s.Format != CopyText {
		return s.quoted
	}
	n := 0
	for n < len(line) && line[len(line)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// strange says whether a line has something in it that PostgreSQL refuses or
// reads in its own way: a newline of another kind, or an end marker.
func (s *CopyScanner) strange(line []byte) bool {
	if s.Format == CopyText {
		if bytes.IndexByte(line, '\\') >= 0 {
			return s.strangeText(line)
		}
		return bytes.IndexByte(line, '\r') >= 0 || s.eol != newlineLF && bytes.IndexByte(line, '\n') >= 0
	}
	if bytes.IndexByte(line, '\r') < 0 && bytes.IndexByte(line, '\n') < 0 {
		return false
	}
	return s.strangeCSV(line)
}

func (s *CopyScanner) strangeText(line []byte) bool {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			if i++; i < len(line) && line[i] == '.' {
				return true
			}
		case '\r', '\n':
			return true
		}
	}
	return false
}

func (s *CopyScanner) strangeCSV(line []byte) bool {
	again := CopyScanner{CopyOptions: s.CopyOptions}
	for i, c := range line {
		again.pass(line, i)
		if (c == '\r' || c == '\n') && !again.quoted {
			return true
		}
	}
	return false
}

// More reads the i-th of the further fields of a row. The result's Value is valid until the next call of any method. False: the
// row does not have it.
func (s *CopyScanner) More(row *CopyRecord, i int) (CopyRecord, bool) {
	key := s.CopyOptions.More[i]
	one := CopyScanner{CopyOptions: s.CopyOptions, buf: s.buf}
	one.Key, one.ForceNotNull, one.ForceNull = key.Field, key.ForceNotNull, key.ForceNull
	r := CopyRecord{Kind: row.Kind, Data: row.Data}
	ok := true
	if s.Format == CopyBinary {
		one.binaryField(&r)
	} else {
		ok = one.field(&r, row.line)
	}
	s.buf = one.buf
	return r, ok
}

// field reads the key out of a line; false: it is not there.
func (s *CopyScanner) field(r *CopyRecord, line []byte) bool {
	if s.Format == CopyCSV {
		return s.csvField(r, line)
	}
	at := 0
	for n := 0; ; n++ {
		end := s.textEnd(line, at)
		if n == s.Key {
			raw := line[at:end]
			if r.Null = string(raw) == s.Null; r.Null {
				return true
			}
			var ok bool
			r.Value, ok = s.unescape(raw)
			return ok
		}
		if end == len(line) {
			return false
		}
		at = end + 1
	}
}

// textEnd returns where the field of text data that starts at a position ends.
func (s *CopyScanner) textEnd(line []byte, at int) int {
	for i := at; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case s.Delimiter:
			return i
		}
	}
	return len(line)
}

// unescape resolves the backslashes of text data. False: escapes that are left
// to PostgreSQL.
func (s *CopyScanner) unescape(raw []byte) ([]byte, bool) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	out := s.buf[:0]
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\\' {
			if i++; i == len(raw) {
				return nil, false
			}
			switch c = raw[i]; c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'v':
				c = '\v'
			case 'x', '0', '1', '2', '3', '4', '5', '6', '7':
				return nil, false
			}
		}
		out = append(out, c)
	}
	s.buf = out
	return out, true
}

// csvField reads the key out of a line of CSV.
func (s *CopyScanner) csvField(r *CopyRecord, line []byte) bool {
	at := 0
	for n := 0; ; n++ {
		value, end, quoted, ok := s.csvValue(line, at)
		if !ok {
			return false
		}
		if n == s.Key {
			null := string(value) == s.Null
			r.Value, r.Null = value, null && (!quoted && !s.ForceNotNull || quoted && s.ForceNull)
			return true
		}
		if end == len(line) {
			return false
		}
		at = end + 1
	}
}

// csvValue reads the field that starts at a position.
func (s *CopyScanner) csvValue(line []byte, at int) (value []byte, end int, quoted, ok bool) {
	i := at
	for i < len(line) && line[i] != s.Delimiter && line[i] != s.Quote {
		i++
	}
	if i == len(line) || line[i] == s.Delimiter {
		return line[at:i], i, false, true
	}
	out := append(s.buf[:0], line[at:i]...)
	inside := false
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case !inside && c == s.Delimiter:
			s.buf = out
			return out, i, true, true
		case inside && c == s.Escape && i+1 < len(line) && (line[i+1] == s.Escape || line[i+1] == s.Quote):
			i++
			out = append(out, line[i])
		case c == s.Quote:
			inside = !inside
		default:
			out = append(out, c)
		}
	}
	s.buf = out
	return out, i, true, !inside
}

// binarySignature begins binary data; 4 bytes of flags and the length of an
// extension follow it.
const binarySignature = "PGCOPY\n\xff\r\n\x00"
