package partition

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Period is a length of time as calendars have it, written 15min, 1h, 1d, 1w, 1mo, 1y. Days are days of UTC.
type Period struct {
	Months int           // twelve for each year
	Time   time.Duration // if there are no Months
}

const (
	day  = 24 * time.Hour
	week = 7 * day

	longest = 200 // years: what calendars and PostgreSQL's types take without a thought
)

// ParsePeriod reads a period: a whole number above zero, and a unit.
func ParsePeriod(text string) (Period, error) {
	bad := errors.New("expected a period such as 15min, 1h, 1d, 1w, 1mo or 1y")
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || strings.HasPrefix(text, "+") {
		return Period{}, bad
	}
	if text == "0" {
		return Period{}, nil
	}
	p, unit := Period{}, text[len(digits):]
	switch unit {
	case "m":
		return Period{}, errors.New("m may be minutes or months: write min or mo")
	case "mo":
		p.Months = 1
	case "y":
		p.Months = 12
	default:
		p.Time = map[string]time.Duration{"min": time.Minute, "h": time.Hour, "d": day, "w": week}[unit]
	}
	switch {
	case p.Zero():
		return Period{}, bad
	case n == 0:
		return Period{}, nil
	case p.Months > 0 && n > longest*12/int64(p.Months), p.Time > 0 && n > longest*366*int64(day/time.Minute)/int64(p.Time/time.Minute) || n > math.MaxInt64/int64(max(p.Time, 1)):
		return Period{}, errors.New("the period is longer than 200 years")
	}
	return Period{Months: p.Months * int(n), Time: p.Time * time.Duration(n)}, nil
}

// String writes it in the largest unit that divides it, so that ParsePeriod reads the same.
func (p Period) String() string {
	if p.Months > 0 {
		if p.Months%12 == 0 {
			return strconv.Itoa(p.Months/12) + "y"
		}
		return strconv.Itoa(p.Months) + "mo"
	}
	for _, u := range []struct {
		size time.Duration
		name string
	}{{week, "w"}, {day, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if p.Time != 0 && p.Time%u.size == 0 {
			return strconv.FormatInt(int64(p.Time/u.size), 10) + u.name
		}
	}
	return "0"
}

// Zero reports whether it is no time at all.
func (p Period) Zero() bool { return p == Period{} }

// Roughly is about how long it is, a month being 30 days.
func (p Period) Roughly() time.Duration { return p.Time + time.Duration(p.Months)*30*day }

// Days reports whether it begins and ends at midnight.
func (p Period) Days() bool { return p.Time%day == 0 }

// Floor gives the beginning of the period that a moment is in. Periods are counted from midnight, UTC, of 1 January 1970, those of whole
// weeks from the Monday after it, those of months from January of year 0: so quarters and years are where calendars have them.
func (p Period) Floor(t time.Time) time.Time {
	t = t.UTC()
	if p.Months > 0 {
		months := t.Year()*12 + int(t.Month()) - 1
		months -= ((months % p.Months) + p.Months) % p.Months
		return time.Date(0, time.Month(months+1), 1, 0, 0, 0, 0, time.UTC)
	}
	origin := time.Unix(0, 0).UTC()
	if p.Time%week == 0 {
		origin = origin.Add(4 * day)
	}
	size := int64(p.Time / time.Second)
	since := t.Unix() - origin.Unix()
	since -= ((since % size) + size) % size
	return time.Unix(origin.Unix()+since, 0).UTC()
}

// After gives the moment that is a period later.
func (p Period) After(t time.Time) time.Time { return p.add(t, 1) }

// Before gives the moment that is a period earlier. A month before 31 March is the last day of February: the earlier one in doubt, so that
// what is kept for a month is kept for no less.
func (p Period) Before(t time.Time) time.Time { return p.add(t, -1) }

func (p Period) add(t time.Time, times int) time.Time {
	t = t.UTC()
	if p.Months == 0 {
		return t.Add(time.Duration(times) * p.Time)
	}
	first := time.Date(t.Year(), t.Month()+time.Month(times*p.Months), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}
