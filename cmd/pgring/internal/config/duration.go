package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time, written 250ms, 5s, 1h30m, 90d. It is never negative.
type Duration time.Duration

const day = 24 * time.Hour

// Or is the duration, or what holds when it was left out.
func (d Duration) Or(otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d.Std()
}

// ParseDuration reads a duration: Go's syntax plus d for days in front, units required except for 0.
func ParseDuration(text string) (Duration, error) {
	if text == "0" {
		return 0, nil
	}
	if text == "" || strings.ContainsAny(text, "+-") {
		return 0, errors.New("expected a duration such as 250ms, 5s, 1h or 90d")
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, errors.New("the duration needs a unit, such as 250ms, 5s, 1h or 90d")
	}
	var days time.Duration
	rest := text
	if head, tail, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseInt(head, 10, 64)
		if err != nil || n > math.MaxInt64/int64(day) {
			return 0, errors.New("expected a duration such as 250ms, 5s, 1h or 90d")
		}
		days, rest = time.Duration(n)*day, tail
	}
	if rest == "" {
		return Duration(days), nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || days+d < days {
		return 0, errors.New("expected a duration such as 250ms, 5s, 1h or 90d")
	}
	return Duration(days + d), nil
}

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns d in the largest unit that divides it, so that ParseDuration reads the same value back.
func (d Duration) String() string {
	units := []struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}, {1, "ns"}}
	if d == 0 {
		return "0s"
	}
	for _, u := range units {
		if d.Std()%u.size == 0 {
			return strconv.FormatInt(int64(d.Std()/u.size), 10) + u.name
		}
	}
	return d.Std().String()
}
