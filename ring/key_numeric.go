package ring

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// Limits of the numeric type (utils/adt/numeric.c).
const (
	numericMaxScale    = 16383
	numericMaxExponent = math.MaxInt32 / 2
)

// finiteNumeric makes the key of ±0.d1d2d3… × 10^point, where the digits (ASCII) have no zeros at either end.
func finiteNumeric(negative bool, digits []byte, point int) (Key, error) {
	if len(digits) == 0 {
		return Key{typ: KeyNumeric, hi: numericZero}, nil
	}
	weight := floorDiv(point+3, 4) - 1
	if weight > math.MaxInt16 || weight < math.MinInt16 {
		return invalid(KeyNumeric, codeRange, "value overflows numeric format")
	}
	lead := (weight+1)*4 - point // zeros in front of the first base-10000 digit
	data := make([]byte, 0, (lead+len(digits)+3)/4*2)
	for i := -lead; i < len(digits); i += 4 {
		var d uint16
		for j := i; j < i+4; j++ {
			d *= 10
			if j >= 0 && j < len(digits) {
				d += uint16(digits[j] - '0')
			}
		}
		data = binary.LittleEndian.AppendUint16(data, d)
	}
	return numericKey(negative, data, weight), nil
}

// numericKey makes the key of base-10000 digits without zeros at either end.
func numericKey(negative bool, data []byte, weight int) Key {
	k := Key{typ: KeyNumeric, hi: numericPositive, lo: uint64(int64(weight)), data: data}
	if negative {
		k.hi = numericNegative
	}
	return k
}

func parseNumeric(text []byte) (Key, error) {
	text = trimSpace(text)
	if class, ok := numericWord(text); ok {
		return Key{typ: KeyNumeric, hi: class}, nil
	}
	unsigned, negative := cutSign(text)
	var buf [64]byte
	digits, point, rest := cutDecimal(buf[:0], unsigned)
	if digits == nil {
		return parseNumericFailed(unsigned, len(unsigned)-len(rest))
	}
	scale := len(digits) - point
	if len(rest) > 0 {
		exponent, err := parseExponent(unsigned, rest)
		if err != nil {
			return Key{}, err
		}
		point += exponent
		scale -= exponent
	}
	if scale > numericMaxScale {
		return invalid(KeyNumeric, codeRange, "value overflows numeric format")
	}
	significant := bytes.TrimLeft(digits, "0")
	point -= len(digits) - len(significant)
	return finiteNumeric(negative, bytes.TrimRight(significant, "0"), point)
}

func numericWord(text []byte) (class uint64, ok bool) {
	switch {
	case bytes.EqualFold(text, []byte("NaN")):
		return numericNaN, true
	case bytes.EqualFold(text, []byte("-Infinity")), bytes.EqualFold(text, []byte("-inf")):
		return numericMinusInfinity, true
	}
	if len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	if bytes.EqualFold(text, []byte("Infinity")) || bytes.EqualFold(text, []byte("inf")) {
		return numericInfinity, true
	}
	return 0, false
}

// cutDecimal appends the digits of 12.34 to buf and returns how many stand before the point, and what follows them. It
// returns no digits when the text does not start as a number.
func cutDecimal(buf, text []byte) (digits []byte, point int, rest []byte) {
	point = -1
	for i, c := range text {
		switch {
		case isDigit(c):
			buf = append(buf, c)
		case c == '.' && point < 0 && (len(buf) > 0 || i+1 < len(text) && isDigit(text[i+1])):
			point = len(buf)
		default:
			return decimalEnd(buf, point, text[i:])
		}
	}
	return decimalEnd(buf, point, nil)
}

func decimalEnd(buf []byte, point int, rest []byte) ([]byte, int, []byte) {
	if len(buf) == 0 {
		return nil, 0, rest
	}
	if point < 0 {
		point = len(buf)
	}
	return buf, point, rest
}

// parseExponent reads the e±nn in which rest, the tail of number, must consist.
func parseExponent(number, rest []byte) (int, error) {
	if rest[0] != 'e' && rest[0] != 'E' {
		_, err := parseNumericFailed(number, len(number)-len(rest))
		return 0, err
	}
	digits, negative := cutSign(rest[1:])
	n, i := 0, 0
	for ; i < len(digits) && isDigit(digits[i]); i++ {
		n = min(n*10+int(digits[i]-'0'), numericMaxExponent)
	}
	if n == numericMaxExponent {
		_, err := invalid(KeyNumeric, codeRange, "value overflows numeric format")
		return 0, err
	}
	if i == 0 || i < len(digits) {
		return 0, exponentError(digits, i)
	}
	if negative {
		return -n, nil
	}
	return n, nil
}

// exponentError: PostgreSQL 15 skips blanks in front of an exponent, later versions do not.
func exponentError(digits []byte, i int) error {
	if i < len(digits) && (isSpace(digits[i]) || digits[i] == '_') {
		_, err := notUnderstood(KeyNumeric, "whether this spelling is a number depends on the server's version")
		return err
	}
	_, err := invalid(KeyNumeric, codeSyntax, "invalid input syntax for type numeric")
	return err
}

func parseNumericFailed(number []byte, i int) (Key, error) {
	if spelledForPG16(number, i) {
		return notUnderstood(KeyNumeric, "whether this spelling is a number depends on the server's version")
	}
	return invalid(KeyNumeric, codeSyntax, "invalid input syntax for type numeric")
}

// decodeNumeric reads what numeric_send writes: the counts of digits, weight, sign and display scale, then the digits in
// base 10000, each of them two bytes. Like numeric_recv it cuts off digits that the display scale would hide.
func decodeNumeric(bin []byte) (Key, error) {
	if len(bin) < 8 || len(bin) != 8+2*int(binary.BigEndian.Uint16(bin)) {
		return wrongLength(KeyNumeric)
	}
	weight := int(int16(binary.BigEndian.Uint16(bin[2:])))
	sign, scale := binary.BigEndian.Uint16(bin[4:]), int(binary.BigEndian.Uint16(bin[6:]))
	if scale > numericMaxScale {
		return invalid(KeyNumeric, codeBinary, `invalid scale in external "numeric" value`)
	}
	digits, ok := decodeDigits(bin[8:])
	if !ok {
		return invalid(KeyNumeric, codeBinary, `invalid digit in external "numeric" value`)
	}
	switch sign {
	case 0x0000, 0x4000:
		digits = hideDigits(digits, (weight+1)*4+scale)
		return storedNumeric(sign == 0x4000, digits, weight)
	case 0xC000:
		return Key{typ: KeyNumeric, hi: numericNaN}, nil
	case 0xD000:
		return Key{typ: KeyNumeric, hi: numericInfinity}, nil
	case 0xF000:
		return Key{typ: KeyNumeric, hi: numericMinusInfinity}, nil
	default:
		return invalid(KeyNumeric, codeBinary, `invalid sign in external "numeric" value`)
	}
}

func decodeDigits(bin []byte) ([]byte, bool) {
	data := make([]byte, 0, len(bin))
	for ; len(bin) > 0; bin = bin[2:] {
		d := binary.BigEndian.Uint16(bin)
		if d > 9999 {
			return nil, false
		}
		data = binary.LittleEndian.AppendUint16(data, d)
	}
	return data, true
}

// hideDigits keeps the first n decimal digits.
func hideDigits(data []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	words := (n + 3) / 4
	if words*2 > len(data) {
		return data
	}
	data = data[:words*2]
	if n%4 != 0 {
		last := data[len(data)-2:]
		d := binary.LittleEndian.Uint16(last)
		unit := [...]uint16{1, 1000, 100, 10}[n%4]
		binary.LittleEndian.PutUint16(last, d-d%unit)
	}
	return data
}

// storedNumeric strips zero digits, as PostgreSQL does before it stores a value.
func storedNumeric(negative bool, data []byte, weight int) (Key, error) {
	for len(data) > 0 && data[0] == 0 && data[1] == 0 {
		data = data[2:]
		weight--
	}
	for len(data) > 0 && data[len(data)-1] == 0 && data[len(data)-2] == 0 {
		data = data[:len(data)-2]
	}
	if len(data) == 0 {
		return Key{typ: KeyNumeric, hi: numericZero}, nil
	}
	if weight < math.MinInt16 {
		return invalid(KeyNumeric, codeRange, "value overflows numeric format")
	}
	return numericKey(negative, data, weight), nil
}

// appendNumeric writes the shortest decimal form; very large and very small values get an exponent.
func appendNumeric(b []byte, k *Key) []byte {
	switch k.hi {
	case numericMinusInfinity:
		return append(b, "-Infinity"...)
	case numericInfinity:
		return append(b, "Infinity"...)
	case numericNaN:
		return append(b, "NaN"...)
	case numericZero:
		return append(b, '0')
	case numericNegative:
		b = append(b, '-')
	}
	var digits []byte
	for d := k.data; len(d) > 0; d = d[2:] {
		n := int64(binary.LittleEndian.Uint16(d))
		digits = append(digits, strconv.FormatInt(10000+n, 10)[1:]...)
	}
	significant := bytes.TrimLeft(digits, "0")
	point := (int(int64(k.lo))+1)*4 - (len(digits) - len(significant))
	return appendDecimal(b, bytes.TrimRight(significant, "0"), point)
}

// appendDecimal writes 0.d1d2d3… × 10^point.
func appendDecimal(b, digits []byte, point int) []byte {
	switch {
	case point > 40 || point < -5:
		b = append(b, digits[0])
		if len(digits) > 1 {
			b = append(append(b, '.'), digits[1:]...)
		}
		b = append(b, 'e')
		return strconv.AppendInt(b, int64(point-1), 10)
	case point <= 0:
		b = append(b, "0."...)
		b = append(b, bytes.Repeat([]byte{'0'}, -point)...)
		return append(b, digits...)
	case point >= len(digits):
		b = append(b, digits...)
		return append(b, bytes.Repeat([]byte{'0'}, point-len(digits))...)
	default:
		b = append(b, digits[:point]...)
		return append(append(b, '.'), digits[point:]...)
	}
}

// floorDiv divides and rounds down, also below zero.
func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
