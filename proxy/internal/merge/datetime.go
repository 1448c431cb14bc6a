package merge

import (
	"bytes"
	"math"
)

// Dates and times in text format are read in ISO style only (PostgreSQL manual, "Date/Time Output"): the other styles are
// ambiguous or abbreviate time zones. They map to the numbers of the binary format: days and microseconds since 2000-01-01.

const (
	second      = 1_000_000 // microseconds
	day         = 86_400 * second
	maxYear     = 5_874_897             // of a date, the widest of the types
	maxDays     = math.MaxInt64/day - 1 // whole days that microseconds can count
	daysTo2000  = 730_425               // from 1 March of year 0
	daysPer400y = 146_097
)

func dateText(v *value, data []byte) fault {
	switch string(data) {
	case "infinity":
		return v.setInt(math.MaxInt32)
	case "-infinity":
		return v.setInt(math.MinInt32)
	}
	data, beforeChrist := bytes.CutSuffix(data, []byte(" BC"))
	days, rest, f := isoDate(data, beforeChrist)
	if f != sound {
		return f
	}
	if len(rest) != 0 {
		return foreign
	}
	return v.setInt(days)
}

func timeText(v *value, data []byte) fault {
	micros, rest, ok := isoTime(data)
	if !ok || len(rest) != 0 || micros > day {
		return broken
	}
	return v.setInt(micros)
}

func timestampText(v *value, data []byte) fault { return v.setTimestamp(data, false) }

func timestampTZText(v *value, data []byte) fault { return v.setTimestamp(data, true) }

func (v *value) setTimestamp(data []byte, zoned bool) fault {
	switch string(data) {
	case "infinity":
		return v.setInt(math.MaxInt64)
	case "-infinity":
		return v.setInt(math.MinInt64)
	}
	data, beforeChrist := bytes.CutSuffix(data, []byte(" BC"))
	days, rest, f := isoDate(data, beforeChrist)
	if f != sound {
		return f
	}
	if len(rest) == 0 || rest[0] != ' ' {
		return foreign
	}
	micros, rest, ok := isoTime(rest[1:])
	if !ok {
		return foreign
	}
	if zoned {
		var offset int64
		if offset, rest, ok = isoZone(rest); !ok {
			return foreign
		}
		micros -= offset
	}
	if len(rest) != 0 {
		return foreign
	}
	if days > maxDays || days < -maxDays {
		return broken
	}
	return v.setInt(days*day + micros)
}

// isoDate reads YYYY-MM-DD, where the year has four digits or more, as days since 2000-01-01.
func isoDate(data []byte, beforeChrist bool) (days int64, rest []byte, f fault) {
	year, rest, n := number(data, 7)
	if n < 4 || len(rest) < 6 || rest[0] != '-' || rest[3] != '-' {
		return 0, nil, foreign
	}
	month, ok := twoDigits(rest[1:])
	dayOfMonth, ok2 := twoDigits(rest[4:])
	if !ok || !ok2 {
		return 0, nil, foreign
	}
	if year < 1 || year > maxYear || month < 1 || month > 12 {
		return 0, nil, broken
	}
	if beforeChrist {
		year = 1 - year // 1 BC is followed by 1 AD
	}
	if dayOfMonth < 1 || dayOfMonth > daysIn(year, month) {
		return 0, nil, broken
	}
	return daysSince2000(year, month, dayOfMonth), rest[6:], sound
}

// daysSince2000 counts days in the proleptic Gregorian calendar. Years are counted from March, so that a leap day is a year's last.
func daysSince2000(year, month, dayOfMonth int64) int64 {
	month -= 3
	if month < 0 {
		month += 12
		year--
	}
	era := year / 400
	if year%400 < 0 {
		era--
	}
	year -= era * 400
	days := year*365 + year/4 - year/100 + (153*month+2)/5 + dayOfMonth - 1 // five months from March on have 153 days
	return era*daysPer400y + days - daysTo2000
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// isoTime reads HH:MM:SS with up to six digits of a fraction, as microseconds.
func isoTime(data []byte) (micros int64, rest []byte, ok bool) {
	if len(data) < 8 || data[2] != ':' || data[5] != ':' {
		return 0, nil, false
	}
	hour, ok := twoDigits(data)
	minute, ok2 := twoDigits(data[3:])
	sec, ok3 := twoDigits(data[6:])
	if !ok || !ok2 || !ok3 || hour > 24 || minute > 59 || sec > 59 {
		return 0, nil, false
	}
	micros = ((hour*60+minute)*60 + sec) * second
	rest = data[8:]
	if len(rest) == 0 || rest[0] != '.' {
		return micros, rest, true
	}
	fraction, rest, n := number(rest[1:], 6)
	if n == 0 {
		return 0, nil, false
	}
	for ; n < 6; n++ {
		fraction *= 10
	}
	return micros + fraction, rest, true
}

// isoZone reads the offset from UTC: a sign, hours, and minutes and seconds where they are not zero.
func isoZone(data []byte) (micros int64, rest []byte, ok bool) {
	if len(data) < 3 || data[0] != '+' && data[0] != '-' {
		return 0, nil, false
	}
	negative, rest := data[0] == '-', data[1:]
	var total int64
	for unit := int64(3600); unit > 0; unit /= 60 {
		n, ok := twoDigits(rest)
		if !ok || unit < 3600 && n > 59 {
			return 0, nil, false
		}
		total += n * unit
		if rest = rest[2:]; len(rest) == 0 || rest[0] != ':' || unit == 1 {
			break
		}
		rest = rest[1:]
	}
	if negative {
		total = -total
	}
	return total * second, rest, true
}

// number reads up to limit leading digits and says how many there were.
func number(data []byte, limit int) (n int64, rest []byte, digits int) {
	for digits < len(data) && digits < limit && data[digits] >= '0' && data[digits] <= '9' {
		n = n*10 + int64(data[digits]-'0')
		digits++
	}
	return n, data[digits:], digits
}

func twoDigits(data []byte) (int64, bool) {
	n, _, digits := number(data, 2)
	return n, digits == 2
}
