package router

import (
	"encoding/binary"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// Further types whose values are looked at, by oid.
const (
	oidBool    = 16
	oidJSON    = 114
	oidFloat4  = 700
	oidFloat8  = 701
	oidBPChar  = 1042
	oidDate    = 1082
	oidJSONB   = 3802
	firstOwned = 16384 // the first oid that is none of PostgreSQL's own
)

// certainly reads a value, and says whether its column takes it as it is, and will later. What cannot be known here, such as the labels of an enum or
// what a CHECK says, is left to the shard: if it refuses, there is a dead letter. Own is the type of a parameter, 0 of a constant.
func (in *input) certainly(v *laterValue, types []uint32) (value Value, own uint32, ok bool) {
	value, literal, err := in.value(&v.operand)
	switch {
	case err != nil || literal == sql.Error:
		return value, 0, false
	case v.operand.kind == operandParam && v.operand.index < len(types):
		own = types[v.operand.index]
	}
	if own == oidUnknown {
		own = 0
	}
	switch {
	case own >= firstOwned:
		return value, own, false // it has another number on another shard
	case value.Null:
		return value, own, !v.column.NotNull
	case value.Binary:
		return value, own, binaryFits(&v.column, own, value.Data)
	case literal == sql.Integer, literal == sql.Float:
		if v.operand.negative {
			value.Data = append([]byte("-"), value.Data...)
		}
		return value, own, numberFits(&v.column, string(value.Data))
	case own != 0 && !sameFamily(own, v.column.Type), sameFamily(own, oidInt8) && !integerFits(own, string(value.Data)):
		return value, own, false
	}
	return value, own, textFits(&v.column, string(value.Data))
}

// isRead says whether textFits and numberFits know all that PostgreSQL refuses in a type's values.
func isRead(oid uint32) bool {
	switch oid {
	case oidInt2, oidInt4, oidInt8, oidFloat8, oidNumeric, oidBool, oidUUID, oidText, oidVarchar, oidBPChar, oidJSON, oidJSONB, oidDate, oidTimestamp,
		oidTimestampTZ, oidBytea:
		return true
	}
	return false
}

// sameFamily says whether text of one type is text of the other.
func sameFamily(a, b uint32) bool {
	family := func(oid uint32) uint32 {
		switch oid {
		case oidInt2, oidInt4:
			return oidInt8
		case oidVarchar, oidBPChar:
			return oidText
		}
		return oid
	}
	return family(a) == family(b)
}

// numberFits says whether a column takes a number that stands in the text.
func numberFits(c *topology.Column, digits string) bool {
	switch c.Type {
	case oidInt2, oidInt4, oidInt8:
		return integerFits(c.Type, digits)
	case oidFloat8: // PostgreSQL reads the number as a numeric, which has no negative zero
		return plainNumber.MatchString(digits) && (digits[0] != '-' || strings.ContainsAny(digits, "123456789"))
	case oidNumeric:
		return c.Modifier == -1 && plainNumber.MatchString(digits)
	}
	return false
}

func integerFits(oid uint32, digits string) bool {
	size := map[uint32]int{oidInt2: 16, oidInt4: 32, oidInt8: 64}[oid]
	_, err := strconv.ParseInt(digits, 10, size)
	return err == nil
}

var (
	plainNumber = regexp.MustCompile(`^-?[0-9]{1,300}(\.[0-9]{1,300})?$`)
	plainMoment = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)?)?$`)
)

// textFits says whether a column takes a text. Of types that are not known here it says yes.
func textFits(c *topology.Column, text string) bool {
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return false
	}
	switch c.Type {
	case oidInt2, oidInt4, oidInt8:
		return integerFits(c.Type, text)
	case oidFloat8:
		return plainNumber.MatchString(text)
	case oidNumeric:
		return c.Modifier == -1 && plainNumber.MatchString(text)
	case oidBool:
		return text == "t" || text == "f" || text == "true" || text == "false"
	case oidUUID:
		_, err := ring.ParseKey(ring.KeyUUID, []byte(text))
		return err == nil
	case oidText:
		return true
	case oidVarchar, oidBPChar:
		return lengthFits(c, text)
	case oidJSON, oidJSONB:
		return jsonFits(text)
	case oidDate, oidTimestamp, oidTimestampTZ:
		return momentFits(text)
	case oidBytea:
		return strings.HasPrefix(text, `\x`) && len(text)%2 == 0 && strings.Trim(text[2:], "0123456789abcdefABCDEF") == ""
	}
	return (c.Modifier == -1 || !isLimited(c.Type)) && (undatedColumn(c) || !clockWord(text))
}

// isLimited says whether PostgreSQL refuses values of a type by its modifier: bit strings, and arrays of what is limited in length.
func isLimited(oid uint32) bool {
	switch oid {
	case 1560, 1562, 1561, 1563, 1014, 1015, 1231: // bit, varbit; arrays of these, and of bpchar, varchar and numeric
		return true
	}
	return false
}

func lengthFits(c *topology.Column, text string) bool {
	return c.Modifier == -1 || utf8.RuneCountInString(text) <= int(c.Modifier)-modifierHeader
}

// jsonFits is stricter than PostgreSQL: no escapes of code points that jsonb may not hold, no numbers that are too large, little depth.
func jsonFits(text string) bool {
	return json.Valid([]byte(text)) && !strings.Contains(text, `\u`) && !strings.ContainsAny(text, "\x00") && !hugeExponent.MatchString(text)
}

var hugeExponent = regexp.MustCompile(`[0-9][eE][+-]?[0-9]{3}`)

// momentFits knows one form of dates and times, that of ISO 8601, which means the same under any DateStyle.
func momentFits(text string) bool {
	if !plainMoment.MatchString(text) {
		return false
	}
	layout := "2006-01-02 15:04:05"
	day := strings.Replace(text[:min(len(text), len(layout))], "T", " ", 1)
	if len(day) == len(time.DateOnly) {
		layout = time.DateOnly
	}
	at, err := time.Parse(layout, day)
	return err == nil && at.Year() > 0
}

// binaryFits says whether a column takes a parameter in binary.
func binaryFits(c *topology.Column, own uint32, data []byte) bool {
	if own == 0 {
		own = c.Type
	}
	switch own {
	case oidInt2, oidInt4, oidInt8:
		return binaryIntegerFits(c.Type, own, data)
	case oidText, oidVarchar, oidBPChar:
		return sameFamily(own, c.Type) && textFits(c, string(data))
	}
	if own != c.Type {
		return false
	}
	switch own {
	case oidBool:
		return len(data) == 1
	case oidFloat4:
		return len(data) == 4
	case oidDate:
		// Days since 2000; as with timestamps, its ends are infinity.
		return len(data) == 4 && func(days int32) bool { return days > -(1<<21) && days < 1<<21 }(int32(binary.BigEndian.Uint32(data)))
	case oidFloat8:
		return len(data) == 8
	case oidTimestamp, oidTimestampTZ:
		// Microseconds since 2000; its ends are infinity, and what is near them is not taken.
		return len(data) == 8 && func(us int64) bool { return us > -(1<<57) && us < 1<<57 }(int64(binary.BigEndian.Uint64(data)))
	case oidUUID:
		return len(data) == 16
	case oidJSON:
		return utf8.Valid(data) && jsonFits(string(data))
	case oidJSONB:
		return len(data) > 1 && data[0] == 1 && utf8.Valid(data) && jsonFits(string(data[1:]))
	}
	return c.Modifier == -1 // what has a limit may be beyond it
}

func binaryIntegerFits(column, own uint32, data []byte) bool {
	var n int64
	switch {
	case own == oidInt2 && len(data) == 2:
		n = int64(int16(binary.BigEndian.Uint16(data)))
	case own == oidInt4 && len(data) == 4:
		n = int64(int32(binary.BigEndian.Uint32(data)))
	case own == oidInt8 && len(data) == 8:
		n = int64(binary.BigEndian.Uint64(data))
	default:
		return false
	}
	return sameFamily(column, oidInt8) && integerFits(column, strconv.FormatInt(n, 10))
}
