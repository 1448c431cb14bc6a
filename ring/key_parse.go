package ring

import (
	"bytes"
	"encoding/binary"
	"math"
)

// ParseKey reads a value in PostgreSQL's text format, as the type's input function does in the server. Errors are
// *KeyError. What depends on the session or on the server's version (time zones by name, a timestamptz without a zone,
// 0x10 and 1_000 from PostgreSQL 16 on) is not understood rather than guessed.
//
// The text must be in the server's encoding, and the column must store values as given: varchar(n), numeric(p,s) and
// timestamp(p) columns cut or round them, which the caller has to rule out. A key of type text shares the bytes of text.
func ParseKey(t KeyType, text []byte) (Key, error) {
	switch t {
	case KeyInt:
		return parseInt(text)
	case KeyText:
		return textKey(text)
	case KeyUUID:
		return parseUUID(text)
	case KeyTimestamp, KeyTimestampTZ:
		return parseTimestamp(t, text)
	case KeyNumeric:
		return parseNumeric(text)
	case KeyBytea:
		return parseBytea(text)
	}
	if t.isTuple() {
		return parseTuple(t, text)
	}
	return notUnderstood(t, "the type of the key is not known")
}

func textKey(b []byte) (Key, error) {
	if bytes.IndexByte(b, 0) >= 0 {
		return invalid(KeyText, codeCharacter, "a text cannot hold a zero byte")
	}
	return Key{typ: KeyText, data: b}, nil
}

func intKey(v int64) Key { return Key{typ: KeyInt, lo: uint64(v)} }

func parseInt(text []byte) (Key, error) {
	digits, negative := cutSign(trimSpace(text))
	var n uint64 // of the magnitude; one more fits below zero than above
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	for i, c := range digits {
		if !isDigit(c) {
			return parseIntFailed(digits, i)
		}
		if n > math.MaxInt64/10 || n*10+uint64(c-'0') > limit {
			return invalid(KeyInt, codeRange, "value is out of range for type bigint")
		}
		n = n*10 + uint64(c-'0')
	}
	if len(digits) == 0 {
		return invalid(KeyInt, codeSyntax, "invalid input syntax for type bigint")
	}
	if negative {
		n = -n
	}
	return intKey(int64(n)), nil
}

// parseIntFailed tells invalid text from the spellings that PostgreSQL 16 added. i is the first byte that is no digit.
func parseIntFailed(digits []byte, i int) (Key, error) {
	if spelledForPG16(digits, i) {
		return notUnderstood(KeyInt, "whether this spelling is a number depends on the server's version")
	}
	return invalid(KeyInt, codeSyntax, "invalid input syntax for type bigint")
}

// spelledForPG16 reports whether a number that stops being decimal at byte i looks like 0x1F, 0o17, 0b11 or 1_000.
func spelledForPG16(number []byte, i int) bool {
	if i == 0 || i == len(number) {
		return false
	}
	radix := bytes.IndexByte([]byte("xXoObB"), number[i]) >= 0 && i == 1 && number[0] == '0'
	return radix || number[i] == '_'
}

// parseUUID reads 32 hex digits of either case; a hyphen may follow each group of four, braces may enclose them all.
func parseUUID(text []byte) (Key, error) {
	if len(text) >= 2 && text[0] == '{' && text[len(text)-1] == '}' {
		text = text[1 : len(text)-1]
	}
	k := Key{typ: KeyUUID}
	n := 0
	for i, c := range text {
		if c == '-' && n > 0 && n < 32 && n%4 == 0 && text[i-1] != '-' {
			continue
		}
		d, ok := hexDigit(c)
		if !ok || n == 32 {
			return invalid(KeyUUID, codeSyntax, "invalid input syntax for type uuid")
		}
		k.hi, k.lo = k.hi<<4|k.lo>>60, k.lo<<4|uint64(d)
		n++
	}
	if n != 32 {
		return invalid(KeyUUID, codeSyntax, "invalid input syntax for type uuid")
	}
	return k, nil
}

// parseBytea reads both input formats: \x and hex digits, with blanks between the bytes, or the escape format.
func parseBytea(text []byte) (Key, error) {
	if bytes.HasPrefix(text, []byte(`\x`)) {
		return parseByteaHex(text[2:])
	}
	data := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c, rest := text[i], text[i+1:]
		switch {
		case c == 0:
			return invalid(KeyBytea, codeCharacter, "a text cannot hold a zero byte")
		case c != '\\':
			data = append(data, c)
		case len(rest) > 0 && rest[0] == '\\':
			data = append(data, '\\')
			i++
		case len(rest) > 2 && rest[0] >= '0' && rest[0] <= '3' && isOctal(rest[1]) && isOctal(rest[2]):
			data = append(data, (rest[0]-'0')<<6|(rest[1]-'0')<<3|(rest[2]-'0'))
			i += 3
		default:
			return invalid(KeyBytea, codeSyntax, "invalid input syntax for type bytea")
		}
	}
	return Key{typ: KeyBytea, data: data}, nil
}

func parseByteaHex(text []byte) (Key, error) {
	data := make([]byte, 0, len(text)/2)
	for i := 0; i < len(text); i++ {
		if c := text[i]; c == ' ' || c == '\n' || c == '\t' || c == '\r' {
			continue
		}
		high, ok := hexDigit(text[i])
		if i++; !ok || i == len(text) {
			return invalid(KeyBytea, codeHex, "invalid hexadecimal data")
		}
		low, ok := hexDigit(text[i])
		if !ok {
			return invalid(KeyBytea, codeHex, "invalid hexadecimal data")
		}
		data = append(data, high<<4|low)
	}
	return Key{typ: KeyBytea, data: data}, nil
}

// DecodeKey reads a value in PostgreSQL's binary format, as the type's receive function does; KeyInt takes the two,
// four or eight bytes of int2, int4 and int8. Errors are *KeyError. A key of type text or bytea shares bin's bytes.
func DecodeKey(t KeyType, bin []byte) (Key, error) {
	switch t {
	case KeyInt:
		return decodeInt(bin)
	case KeyText:
		return textKey(bin)
	case KeyUUID:
		if len(bin) != 16 {
			return wrongLength(t)
		}
		return Key{typ: t, hi: binary.BigEndian.Uint64(bin), lo: binary.BigEndian.Uint64(bin[8:])}, nil
	case KeyTimestamp, KeyTimestampTZ:
		if len(bin) != 8 {
			return wrongLength(t)
		}
		return timestampKey(t, int64(binary.BigEndian.Uint64(bin)))
	case KeyNumeric:
		return decodeNumeric(bin)
	case KeyBytea:
		return Key{typ: t, data: bin}, nil
	default:
		return notUnderstood(t, "the type of the key is not known")
	}
}

func decodeInt(bin []byte) (Key, error) {
	switch len(bin) {
	case 2:
		return intKey(int64(int16(binary.BigEndian.Uint16(bin)))), nil
	case 4:
		return intKey(int64(int32(binary.BigEndian.Uint32(bin)))), nil
	case 8:
		return intKey(int64(binary.BigEndian.Uint64(bin))), nil
	default:
		return wrongLength(KeyInt)
	}
}

func wrongLength(t KeyType) (Key, error) {
	return invalid(t, codeBinary, "incorrect binary data format")
}

// trimSpace cuts what isspace() of the C locale calls space off both ends.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// cutSign cuts one leading sign off.
func cutSign(b []byte) (rest []byte, negative bool) {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		return b[1:], b[0] == '-'
	}
	return b, false
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isOctal(c byte) bool { return c >= '0' && c <= '7' }

func hexDigit(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}
