package merge

import (
	"bytes"
	"encoding/binary"
)

// class is a numeric's kind, in the order of PostgreSQL: NaN is greatest.
type class uint8

const (
	negativeInfinity class = iota
	negative
	zero
	positive
	positiveInfinity
	notANumber
)

// numeric is a decoded value of type numeric. For finite ones other than zero it is ± Σ groups[i] × 10000^(weight-i), with
// neither a leading nor a trailing group of zeros.
type numeric struct {
	class  class
	weight int
	scale  int    // decimal digits after the point that are shown
	groups []byte // two bytes each, big-endian, 0 to 9999
}

// Signs of the binary format (PostgreSQL source, numeric_send).
const (
	signPositive         = 0x0000
	signNegative         = 0x4000
	signNaN              = 0xC000
	signPositiveInfinity = 0xD000
	signNegativeInfinity = 0xF000
	infinityScale        = 32 // means nothing, but PostgreSQL sends it, so the bytes are the same

	maxScale      = 0x3FFF  // digits after the point (PostgreSQL manual, "Arbitrary Precision Numbers")
	maxWhole      = 131_072 // digits before it
	groupDigits   = 4
	groupBase     = 10_000
	numericHeader = 8 // bytes before the groups in binary format
	keyHeader     = 5 // bytes before the groups in a sort key
)

func numericText(v *value, data []byte) fault {
	n, ok := parseNumericText(append(v.own[:0], make([]byte, keyHeader)...), data)
	return v.setNumeric(n, ok)
}

func numericBinary(v *value, data []byte) fault {
	n, ok := parseNumericBinary(append(v.own[:0], make([]byte, keyHeader)...), data)
	return v.setNumeric(n, ok)
}

// setNumeric turns n, whose groups stand behind room for a key's header, into bytes that compare as the numbers do: class, weight,
// then groups + 1, all but the class inverted for negative numbers and ended by the greatest group, so that of -1 and -1.5 the
// shorter one is greater.
func (v *value) setNumeric(n numeric, ok bool) fault {
	if !ok {
		return broken
	}
	key := n.groups
	v.own, v.data = key, key
	key[0] = byte(n.class)
	if n.class != negative && n.class != positive {
		v.data = key[:1]
		return sound
	}
	binary.BigEndian.PutUint32(key[1:], uint32(int32(n.weight))^1<<31)
	for at := keyHeader; at < len(key); at += 2 {
		binary.BigEndian.PutUint16(key[at:], binary.BigEndian.Uint16(key[at:])+1)
	}
	if n.class == negative {
		for i := range key[1:] {
			key[1+i] = ^key[1+i]
		}
		key = append(key, 0xff, 0xff)
	}
	v.own, v.data = key, key
	return sound
}

// parseNumericText reads a numeric as PostgreSQL writes it, without an exponent. Its groups are appended to buf.
func parseNumericText(buf, data []byte) (numeric, bool) {
	if n, ok := parseSpecialText(buf, data); ok {
		return n, true
	}
	n := numeric{class: positive, groups: buf}
	digits, isNegative := bytes.CutPrefix(data, []byte("-"))
	if isNegative {
		n.class = negative
	}
	whole, fraction, pointed := bytes.Cut(digits, []byte("."))
	if !allDigits(whole) || pointed && !allDigits(fraction) || len(whole) > maxWhole || len(fraction) > maxScale {
		return n, false
	}
	n.scale = len(fraction)
	start := len(buf)
	weight := (len(whole) - 1) / groupDigits
	for len(whole) > 0 {
		size := (len(whole)-1)%groupDigits + 1
		n.push(start, weight, whole[:size])
		whole, weight = whole[size:], weight-1
	}
	for len(fraction) > 0 {
		size := min(groupDigits, len(fraction))
		n.push(start, weight, fraction[:size])
		fraction, weight = fraction[size:], weight-1
	}
	n.trim(start)
	return n, true
}

func parseSpecialText(buf, data []byte) (numeric, bool) {
	switch string(data) {
	case "NaN":
		return numeric{class: notANumber, groups: buf}, true
	case "Infinity":
		return numeric{class: positiveInfinity, groups: buf}, true
	case "-Infinity":
		return numeric{class: negativeInfinity, groups: buf}, true
	}
	return numeric{}, false
}

func allDigits(data []byte) bool {
	for _, c := range data {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(data) > 0
}

// push appends one group of the given weight. Leading groups of zeros are left out; digits of the last group after the point are
// counted from its front.
func (n *numeric) push(start, weight int, digits []byte) {
	var group uint16
	for _, c := range digits {
		group = group*10 + uint16(c-'0')
	}
	if weight < 0 {
		for range groupDigits - len(digits) {
			group *= 10
		}
	}
	n.append(start, weight, group)
}

func (n *numeric) append(start, weight int, group uint16) {
	if len(n.groups) == start {
		if group == 0 {
			return
		}
		n.weight = weight
	}
	n.groups = binary.BigEndian.AppendUint16(n.groups, group)
}

// trim drops trailing groups of zeros.
func (n *numeric) trim(start int) {
	for len(n.groups) > start && n.groups[len(n.groups)-1] == 0 && n.groups[len(n.groups)-2] == 0 {
		n.groups = n.groups[:len(n.groups)-2]
	}
	if len(n.groups) == start {
		n.class, n.weight = zero, 0
	}
}

// parseNumericBinary reads numeric's binary format. Its groups are appended to buf.
func parseNumericBinary(buf, data []byte) (numeric, bool) {
	n := numeric{class: positive, groups: buf}
	if len(data) < numericHeader {
		return n, false
	}
	count := int(binary.BigEndian.Uint16(data))
	weight := int(int16(binary.BigEndian.Uint16(data[2:])))
	n.scale = int(binary.BigEndian.Uint16(data[6:]))
	if len(data) != numericHeader+2*count || n.scale > maxScale {
		return n, false
	}
	switch binary.BigEndian.Uint16(data[4:]) {
	case signPositive:
	case signNegative:
		n.class = negative
	case signNaN:
		return numeric{class: notANumber, groups: buf}, true
	case signPositiveInfinity:
		return numeric{class: positiveInfinity, groups: buf}, true
	case signNegativeInfinity:
		return numeric{class: negativeInfinity, groups: buf}, true
	default:
		return n, false
	}
	start := len(buf)
	for i := range count {
		group := binary.BigEndian.Uint16(data[numericHeader+2*i:])
		if group >= groupBase {
			return n, false
		}
		n.append(start, weight-i, group)
	}
	n.trim(start)
	return n, n.showsAll(start)
}

// showsAll reports whether no digit stands behind the last one that is shown. PostgreSQL keeps it so, and addition relies on it.
func (n *numeric) showsAll(start int) bool {
	if len(n.groups) == start {
		return true
	}
	last := binary.BigEndian.Uint16(n.groups[len(n.groups)-2:])
	digits := groupDigits * ((len(n.groups)-start)/2 - 1 - n.weight)
	for ; last%10 == 0; last /= 10 {
		digits--
	}
	return digits <= n.scale
}

// appendText appends n as PostgreSQL writes it. The groups are all of n.groups.
func (n *numeric) appendText(b []byte) []byte {
	switch n.class {
	case notANumber:
		return append(b, "NaN"...)
	case positiveInfinity:
		return append(b, "Infinity"...)
	case negativeInfinity:
		return append(b, "-Infinity"...)
	case negative:
		b = append(b, '-')
	case zero, positive:
	}
	start := len(b)
	for weight := max(n.weight, 0); weight >= 0; weight-- {
		b = n.appendGroup(b, weight)
	}
	for len(b)-start > 1 && b[start] == '0' {
		b = append(b[:start], b[start+1:]...)
	}
	if n.scale == 0 {
		return b
	}
	b = append(b, '.')
	end := len(b) + n.scale
	for weight := -1; len(b) < end; weight-- {
		b = n.appendGroup(b, weight)
	}
	return b[:end]
}

// appendGroup appends the four digits of the group of a weight.
func (n *numeric) appendGroup(b []byte, weight int) []byte {
	var group uint16
	if at := 2 * (n.weight - weight); at >= 0 && at < len(n.groups) {
		group = binary.BigEndian.Uint16(n.groups[at:])
	}
	return append(b, '0'+byte(group/1000), '0'+byte(group/100%10), '0'+byte(group/10%10), '0'+byte(group%10))
}

// appendBinary appends n in binary format. The groups are all of n.groups.
func (n *numeric) appendBinary(b []byte) []byte {
	header := [4]uint16{uint16(len(n.groups) / 2), uint16(int16(n.weight)), signPositive, uint16(n.scale)}
	switch n.class {
	case notANumber:
		header = [4]uint16{0, 0, signNaN, 0}
	case positiveInfinity:
		header = [4]uint16{0, 0, signPositiveInfinity, infinityScale}
	case negativeInfinity:
		header = [4]uint16{0, 0, signNegativeInfinity, infinityScale}
	case negative:
		header[2] = signNegative
	case zero, positive:
	}
	for _, word := range header {
		b = binary.BigEndian.AppendUint16(b, word)
	}
	return append(b, n.groups...)
}
