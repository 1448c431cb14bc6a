package merge

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// intSum adds bigints: counts, and sums of smallint and integer. It adds in 128 bits, so that only the total can be out of range.
type intSum struct {
	format int16
	hi, lo uint64
}

func (s *intSum) add(data []byte) fault {
	n, ok := parseInt8(data, s.format)
	if !ok {
		return broken
	}
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, uint64(n), 0)
	s.hi += uint64(n>>63) + carry
	return sound
}

func parseInt8(data []byte, format int16) (int64, bool) {
	if format == formatText {
		return parseInt(data)
	}
	if len(data) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(data)), true
}

func (s *intSum) appendResult(b []byte) ([]byte, fault) {
	if int64(s.hi) != int64(s.lo)>>63 {
		return b, overflow
	}
	if s.format == formatBinary {
		return binary.BigEndian.AppendUint64(b, s.lo), sound
	}
	return strconv.AppendInt(b, int64(s.lo), 10), sound
}

// numericSum adds numerics exactly. As in PostgreSQL the result shows as many decimal digits as the operand with most of them,
// and special values win: NaN over all, infinities of both signs make NaN.
type numericSum struct {
	format        int16
	nan           bool
	infinity      bool
	minusInfinity bool
	total         big.Int // × 10^-scale
	scale         int
	buf           []byte
}

func (s *numericSum) add(data []byte) fault {
	parse := parseNumericText
	if s.format == formatBinary {
		parse = parseNumericBinary
	}
	n, ok := parse(s.buf[:0], data)
	if !ok {
		return broken
	}
	s.buf = n.groups
	switch n.class {
	case notANumber:
		s.nan = true
	case positiveInfinity:
		s.infinity = true
	case negativeInfinity:
		s.minusInfinity = true
	case negative, zero, positive:
		return s.addFinite(&n)
	}
	return sound
}

func (s *numericSum) addFinite(n *numeric) fault {
	digits := bytes.ReplaceAll(n.appendText(nil), []byte("."), nil)
	term, ok := new(big.Int).SetString(string(digits), 10)
	if !ok {
		return broken
	}
	if n.scale > s.scale {
		s.total.Mul(&s.total, powerOfTen(n.scale-s.scale))
		s.scale = n.scale
	}
	s.total.Add(&s.total, term.Mul(term, powerOfTen(s.scale-n.scale)))
	return sound
}

func powerOfTen(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func (s *numericSum) appendResult(b []byte) ([]byte, fault) {
	n, ok := parseNumericText(nil, []byte(s.text()))
	if !ok { // more digits than a numeric may have
		return b, overflow
	}
	if s.format == formatBinary {
		return n.appendBinary(b), sound
	}
	return n.appendText(b), sound
}

// text is the sum as PostgreSQL writes it.
func (s *numericSum) text() string {
	switch {
	case s.nan || s.infinity && s.minusInfinity:
		return "NaN"
	case s.infinity:
		return "Infinity"
	case s.minusInfinity:
		return "-Infinity"
	}
	digits, minus := strings.CutPrefix(s.total.String(), "-")
	sign := ""
	if minus {
		sign = "-"
	}
	if s.scale == 0 {
		return sign + digits
	}
	digits = strings.Repeat("0", max(0, s.scale+1-len(digits))) + digits
	point := len(digits) - s.scale
	return sign + digits[:point] + "." + digits[point:]
}
