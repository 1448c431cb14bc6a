package ring

import (
	"bytes"
	"fmt"
	"math"
	"time"
)

// PostgreSQL counts microseconds from 2000-01-01 (datatype/timestamp.h). The ends of int64 mean ±infinity; what is
// representable starts in 4714 BC and ends before the year 294277.
const (
	timestampEpoch    = 946684800 // 2000-01-01 00:00:00 UTC in seconds of Unix time
	timestampMin      = -211813488000000000
	timestampEnd      = 9223371331200000000
	timestampInfinity = math.MaxInt64
	timestampMinusInf = math.MinInt64
)

func timestampKey(t KeyType, micros int64) (Key, error) {
	infinite := micros == timestampInfinity || micros == timestampMinusInf
	if !infinite && (micros < timestampMin || micros >= timestampEnd) {
		return invalid(t, codeDateRange, "timestamp out of range")
	}
	return Key{typ: t, lo: uint64(micros)}, nil
}

// parseTimestamp reads only what means the same in every session: ISO dates with a year of four digits or more,
// whatever DateStyle says, and numeric zones. As in PostgreSQL, a timestamp without time zone ignores the zone given.
func parseTimestamp(t KeyType, text []byte) (Key, error) {
	text = trimSpace(text)
	switch {
	case bytes.EqualFold(text, []byte("infinity")):
		return timestampKey(t, timestampInfinity)
	case bytes.EqualFold(text, []byte("-infinity")):
		return timestampKey(t, timestampMinusInf)
	}
	c := cursor{rest: text, ok: true}
	p := c.timestamp()
	switch {
	case !c.ok || len(c.rest) > 0 || p.year == 0:
		return notUnderstood(t, "only ISO dates with numeric time zones are understood")
	case t == KeyTimestampTZ && !p.zoned:
		return notUnderstood(t, "without a time zone the value depends on the session's TimeZone")
	case !p.inRange():
		return invalid(t, codeDateRange, "date/time field value out of range")
	case p.hour == 24 || p.second == 60:
		return notUnderstood(t, "hour 24 and second 60 are not understood")
	}
	seconds := p.unix() - timestampEpoch
	if t == KeyTimestampTZ {
		seconds -= int64(p.offset)
	}
	if seconds < timestampMin/1_000_000 || seconds >= timestampEnd/1_000_000 {
		return invalid(t, codeDateRange, "timestamp out of range")
	}
	return timestampKey(t, seconds*1_000_000+int64(p.micros))
}

// civil is a timestamp taken apart.
type civil struct {
	year, month, day             int
	hour, minute, second, micros int
	zoned                        bool
	offset                       int // seconds east of UTC
	bc                           bool
}

// timestamp reads YYYY-MM-DD[( |T)HH:MM[:SS[.ffffff]][zone]][ BC].
func (c *cursor) timestamp() civil {
	p := civil{year: c.number(4, 6)}
	c.expect('-')
	p.month = c.number(2, 2)
	c.expect('-')
	p.day = c.number(2, 2)
	if !c.is(" BC") && (c.take(" ") || c.take("T")) {
		c.clock(&p)
	}
	p.bc = c.take(" BC")
	return p
}

func (c *cursor) clock(p *civil) {
	p.hour = c.number(2, 2)
	c.expect(':')
	p.minute = c.number(2, 2)
	if c.take(":") {
		p.second = c.number(2, 2)
		if c.take(".") {
			p.micros = c.fraction()
		}
	}
	p.zoned, p.offset = c.zone()
}

// zone reads Z, ±HH, ±HHMM, ±HH:MM or ±HH:MM:SS.
func (c *cursor) zone() (zoned bool, offset int) {
	if c.take("Z") {
		return true, 0
	}
	sign := 1
	switch {
	case c.take("-"):
		sign = -1
	case !c.take("+"):
		return false, 0
	}
	hours, minutes, seconds := c.number(2, 2), 0, 0
	if c.take(":") {
		minutes = c.number(2, 2)
		if c.take(":") {
			seconds = c.number(2, 2)
		}
	} else if len(c.rest) > 0 && isDigit(c.rest[0]) {
		minutes = c.number(2, 2)
	}
	c.ok = c.ok && hours <= 15 && minutes <= 59 && seconds <= 59
	return true, sign * (hours*3600 + minutes*60 + seconds)
}

func (p *civil) inRange() bool {
	if p.month < 1 || p.month > 12 || p.day < 1 || p.hour > 24 || p.minute > 59 || p.second > 60 {
		return false
	}
	last := time.Date(p.astronomicalYear(), time.Month(p.month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return p.day <= last && (p.hour < 24 || p.minute == 0 && p.second == 0 && p.micros == 0)
}

// astronomicalYear counts 1 BC as 0.
func (p *civil) astronomicalYear() int {
	if p.bc {
		return 1 - p.year
	}
	return p.year
}

func (p *civil) unix() int64 {
	return time.Date(p.astronomicalYear(), time.Month(p.month), p.day, p.hour, p.minute, p.second, 0, time.UTC).Unix()
}

// appendTimestamp writes what PostgreSQL prints with DateStyle ISO and TimeZone UTC.
func appendTimestamp(b []byte, t KeyType, micros int64) []byte {
	switch micros {
	case timestampInfinity:
		return append(b, "infinity"...)
	case timestampMinusInf:
		return append(b, "-infinity"...)
	}
	at := time.Unix(timestampEpoch+micros/1_000_000, micros%1_000_000*1000).UTC()
	year, era := at.Year(), ""
	if year <= 0 {
		year, era = 1-year, " BC"
	}
	b = fmt.Appendf(b, "%04d", year)
	b = at.AppendFormat(b, "-01-02 15:04:05.999999")
	if t == KeyTimestampTZ {
		b = append(b, "+00"...)
	}
	return append(b, era...)
}

// cursor reads a text from its front. ok turns false at the first thing that is not as expected and stays so.
type cursor struct {
	rest []byte
	ok   bool
}

func (c *cursor) is(prefix string) bool {
	return len(c.rest) >= len(prefix) && string(c.rest[:len(prefix)]) == prefix
}

func (c *cursor) take(prefix string) bool {
	if !c.is(prefix) {
		return false
	}
	c.rest = c.rest[len(prefix):]
	return true
}

func (c *cursor) expect(b byte) {
	if len(c.rest) == 0 || c.rest[0] != b {
		c.ok = false
		return
	}
	c.rest = c.rest[1:]
}

// number reads at least min and at most max digits.
func (c *cursor) number(min, max int) int {
	n, i := 0, 0
	for ; i < max && i < len(c.rest) && isDigit(c.rest[i]); i++ {
		n = n*10 + int(c.rest[i]-'0')
	}
	c.ok = c.ok && i >= min
	c.rest = c.rest[i:]
	return n
}

// fraction reads up to six digits after the point, as microseconds; more would have to be rounded as the server does.
func (c *cursor) fraction() int {
	before := len(c.rest)
	n := c.number(1, 6)
	for i := before - len(c.rest); i < 6; i++ {
		n *= 10
	}
	return n
}
