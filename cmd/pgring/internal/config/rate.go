package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rate is a number of events per second, minute or hour, written 500/s, 10k/m, 2M/h. The zero value is no events at all;
// what a limit of zero means is for the key to say.
type Rate struct {
	Events int64
	Per    time.Duration
}

// ParseRate reads a rate.
func ParseRate(text string) (Rate, error) {
	bad := errors.New("expected a rate such as 500/s, 10k/m or 2M/h")
	count, unit, ok := strings.Cut(text, "/")
	if !ok {
		return Rate{}, bad
	}
	factor := int64(1)
	if digits, isThousands := strings.CutSuffix(count, "k"); isThousands {
		count, factor = digits, 1_000
	} else if digits, isMillions := strings.CutSuffix(count, "M"); isMillions {
		count, factor = digits, 1_000_000
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor || strings.HasPrefix(count, "+") {
		return Rate{}, bad
	}
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	if per == 0 {
		return Rate{}, bad
	}
	return Rate{Events: n * factor, Per: per}, nil
}

// PerSecond returns the rate as events per second.
func (r Rate) PerSecond() float64 {
	if r.Per == 0 {
		return 0
	}
	return float64(r.Events) / r.Per.Seconds()
}

// String returns the rate as ParseRate reads it.
func (r Rate) String() string {
	unit := map[time.Duration]string{0: "s", time.Second: "s", time.Minute: "m", time.Hour: "h"}[r.Per]
	switch {
	case r.Events != 0 && r.Events%1_000_000 == 0:
		return strconv.FormatInt(r.Events/1_000_000, 10) + "M/" + unit
	case r.Events != 0 && r.Events%1_000 == 0:
		return strconv.FormatInt(r.Events/1_000, 10) + "k/" + unit
	default:
		return strconv.FormatInt(r.Events, 10) + "/" + unit
	}
}
