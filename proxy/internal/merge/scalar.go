package merge

import (
	"encoding/binary"
	"math"
	"strconv"
)

// The decoders of fixed-width types map each value to numbers of the same order: signed integers with their sign bit flipped,
// floats with their bits arranged so.

func (v *value) setInt(n int64) fault {
	v.hi = uint64(n) ^ 1<<63
	return sound
}

func boolText(v *value, data []byte) fault {
	b, ok := parseBool(data, formatText)
	return v.setBool(b, ok)
}

func boolBinary(v *value, data []byte) fault {
	b, ok := parseBool(data, formatBinary)
	return v.setBool(b, ok)
}

func (v *value) setBool(b, ok bool) fault {
	if !ok {
		return broken
	}
	v.hi = 0
	if b {
		v.hi = 1
	}
	return sound
}

func parseBool(data []byte, format int16) (b, ok bool) {
	if len(data) != 1 {
		return false, false
	}
	if format == formatBinary {
		return data[0] != 0, data[0] <= 1
	}
	return data[0] == 't', data[0] == 't' || data[0] == 'f'
}

func int2Binary(v *value, data []byte) fault {
	if len(data) != 2 {
		return broken
	}
	return v.setInt(int64(int16(binary.BigEndian.Uint16(data))))
}

// int4Binary also reads dates: days since 2000-01-01, with the extremes as infinities.
func int4Binary(v *value, data []byte) fault {
	if len(data) != 4 {
		return broken
	}
	return v.setInt(int64(int32(binary.BigEndian.Uint32(data))))
}

// int8Binary also reads times and timestamps: microseconds, with the extremes as infinities.
func int8Binary(v *value, data []byte) fault {
	if len(data) != 8 {
		return broken
	}
	return v.setInt(int64(binary.BigEndian.Uint64(data)))
}

func oidBinary(v *value, data []byte) fault {
	if len(data) != 4 {
		return broken
	}
	return v.setInt(int64(binary.BigEndian.Uint32(data)))
}

func intText(v *value, data []byte) fault {
	n, ok := parseInt(data)
	if !ok {
		return broken
	}
	return v.setInt(n)
}

// parseInt reads an integer as PostgreSQL writes it: an optional minus sign and digits.
func parseInt(data []byte) (int64, bool) {
	digits := data
	negative := len(data) > 0 && data[0] == '-'
	if negative {
		digits = data[1:]
	}
	if len(digits) == 0 || len(digits) > 19 { // 19 digits fit in 64 bits without a sign
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

func float4Binary(v *value, data []byte) fault {
	if len(data) != 4 {
		return broken
	}
	return v.setFloat(float64(math.Float32frombits(binary.BigEndian.Uint32(data))))
}

func float8Binary(v *value, data []byte) fault {
	if len(data) != 8 {
		return broken
	}
	return v.setFloat(math.Float64frombits(binary.BigEndian.Uint64(data)))
}

func float4Text(v *value, data []byte) fault { return v.setFloatText(data, 32) }

func float8Text(v *value, data []byte) fault { return v.setFloatText(data, 64) }

func (v *value) setFloatText(data []byte, bits int) fault {
	switch string(data) {
	case "NaN":
		return v.setFloat(math.NaN())
	case "Infinity":
		return v.setFloat(math.Inf(1))
	case "-Infinity":
		return v.setFloat(math.Inf(-1))
	}
	for _, c := range data {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' {
			return broken // strconv also takes hexadecimal, underscores and words
		}
	}
	f, err := strconv.ParseFloat(string(data), bits)
	if err != nil {
		return broken
	}
	return v.setFloat(f)
}

// setFloat orders floats as PostgreSQL does: -0 equals 0, all NaNs are equal and greater than Infinity.
func (v *value) setFloat(f float64) fault {
	switch bits := math.Float64bits(f); {
	case f != f:
		v.hi = math.MaxUint64
	case f == 0:
		v.hi = 1 << 63
	case f < 0:
		v.hi = ^bits
	default:
		v.hi = bits | 1<<63
	}
	return sound
}

func uuidBinary(v *value, data []byte) fault {
	if len(data) != 16 {
		return broken
	}
	v.hi, v.lo = binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])
	return sound
}

func uuidText(v *value, data []byte) fault {
	if len(data) != 36 {
		return broken
	}
	var word [2]uint64
	digits := 0
	for i, c := range data {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return broken
			}
			continue
		}
		n, ok := hexDigit(c)
		if !ok {
			return broken
		}
		word[digits/16] = word[digits/16]<<4 | uint64(n)
		digits++
	}
	v.hi, v.lo = word[0], word[1]
	return sound
}

// hexDigit reads a lower-case digit: PostgreSQL writes no others.
func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// byteOrder takes the bytes as they are: bytea in binary format, text under collation C.
func byteOrder(v *value, data []byte) fault {
	v.data = data
	return sound
}

// byteaText accepts the hex form, whose digits have the order of the bytes they stand for. The escape form, which starts with
// `\x` for no value, has not.
func byteaText(v *value, data []byte) fault {
	if len(data) < 2 || data[0] != '\\' || data[1] != 'x' {
		return foreign
	}
	if len(data)%2 != 0 {
		return broken
	}
	for _, c := range data[2:] {
		if _, ok := hexDigit(c); !ok {
			return broken
		}
	}
	v.data = data
	return sound
}
