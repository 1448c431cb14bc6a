package sql

import "bytes"

// number scans a number that starts with a digit at i.
func (s *Scanner) number(i int) (Kind, int) {
	text := s.Text
	if text[i] == '0' && i+1 < len(text) {
		if kind, end, ok := s.radix(i); ok {
			return kind, end
		}
	}
	end := s.digits(i, isDigit)
	if end < len(text) && text[end] == '.' {
		if end+1 < len(text) && text[end+1] == '.' {
			return Integer, end // 1..10
		}
		return s.fraction(end)
	}
	return s.exponent(end, Integer)
}

// digits returns the end of the digits from i, single underscores between
// digits included.
func (s *Scanner) digits(i int, digit func(byte) bool) int {
	text := s.Text
	for i < len(text) {
		switch {
		case digit(text[i]):
			i++
		case text[i] == '_' && i+1 < len(text) && digit(text[i+1]):
			i += 2
		default:
			return i
		}
	}
	return i
}

// radix scans 0x1F, 0o17, 0b11, which may have an underscore after the prefix.
func (s *Scanner) radix(i int) (Kind, int, bool) {
	var digit func(byte) bool
	switch s.Text[i+1] | 0x20 {
	case 'x':
		digit = isHex
	case 'o':
		digit = isOctal
	case 'b':
		digit = isBinary
	default:
		return 0, 0, false
	}
	end := s.digits(i+2, digit)
	if end == i+2 {
		return Error, end, true
	}
	if end < len(s.Text) && identPart(s.Text[end]) {
		return Error, end + 1, true
	}
	return Radix, end, true
}

func isHex(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

func isBinary(c byte) bool { return c == '0' || c == '1' }

// fraction scans from the point at i: .5, or the rest of 1.5.
func (s *Scanner) fraction(i int) (Kind, int) {
	i++
	if i < len(s.Text) && isDigit(s.Text[i]) {
		i = s.digits(i, isDigit)
	}
	return s.exponent(i, Float)
}

// exponent scans an optional exponent at i; whatever letter follows a number
// is junk.
func (s *Scanner) exponent(i int, kind Kind) (Kind, int) {
	text := s.Text
	if i >= len(text) || classMap[text[i]] != classLetter {
		return kind, i
	}
	if text[i]|0x20 != 'e' {
		return Error, i + 1
	}
	j := i + 1
	if j < len(text) && (text[j] == '+' || text[j] == '-') {
		j++
	}
	if j >= len(text) || !isDigit(text[j]) {
		return Error, j
	}
	j = s.digits(j, isDigit)
	if j < len(text) && classMap[text[j]] == classLetter {
		return Error, j + 1
	}
	return Float, j
}

// apart scans a number that must end where an identifier cannot have gone on
// longer: 1_0$a is 1 and the junk _0$a to PostgreSQL's lexer.
func (s *Scanner) apart(i int, scan func(int) (Kind, int)) (Kind, int) {
	kind, end := scan(i)
	if kind != Error && end < len(s.Text) && s.Text[end] == '$' && bytes.IndexByte(s.Text[i:end], '_') >= 0 {
		return Error, end + 1
	}
	return kind, end
}
