package router

import "bytes"

// arrayScanner reads the elements of an array's text format, of one dimension.
type arrayScanner struct {
	rest  []byte
	first bool
	bad   bool // not an array that is understood here
	buf   []byte
}

// open reads the opening brace.
func (s *arrayScanner) open() bool {
	if len(s.rest) < 2 || s.rest[0] != '{' || s.rest[len(s.rest)-1] != '}' {
		return false
	}
	s.rest = s.rest[1:]
	s.first = true
	return true
}

// next returns the next element; more is false after the last. The element is
// valid until the next call.
func (s *arrayScanner) next() (element []byte, null, more bool) {
	s.space()
	if len(s.rest) == 1 && s.rest[0] == '}' && s.first {
		return nil, false, false
	}
	if !s.first {
		switch {
		case len(s.rest) == 1 && s.rest[0] == '}':
			return nil, false, false
		case len(s.rest) > 1 && s.rest[0] == ',':
			s.rest = s.rest[1:]
			s.space()
		default:
			s.bad = true
			return nil, false, false
		}
	}
	s.first = false
	if len(s.rest) > 0 && s.rest[0] == '"' {
		return s.quoted(), false, true
	}
	return s.bare()
}

func (s *arrayScanner) space() {
	s.rest = bytes.TrimLeft(s.rest, " \t\n\r\v\f")
}

// bare reads an element without quotes.
func (s *arrayScanner) bare() (element []byte, null, more bool) {
	n := bytes.IndexAny(s.rest, ",}")
	if n < 0 || bytes.IndexAny(s.rest[:n], `"\{`) >= 0 {
		s.bad = true
		return nil, false, false
	}
	element = bytes.TrimRight(s.rest[:n], " \t\n\r\v\f")
	s.rest = s.rest[n:]
	if len(element) == 0 {
		s.bad = true
	}
	return element, bytes.EqualFold(element, []byte("null")), true
}

// quoted reads an element in double quotes.
func (s *arrayScanner) quoted() []byte {
	s.buf = s.buf[:0]
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			s.rest = s.rest[i+1:]
			s.space()
			return s.buf
		case '\\':
			i++
			if i >= len(s.rest) {
				s.bad = true
				return nil
			}
		}
		s.buf = append(s.buf, s.rest[i])
	}
	s.bad = true
	return nil
}
