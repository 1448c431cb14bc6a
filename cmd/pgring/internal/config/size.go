package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written 512B, 64KiB, 8MiB, 1GiB. It is never negative.
type Size int64

// ParseSize reads a size; the unit is required except for 0. Only binary units are read, since KB means two things.
func ParseSize(text string) (Size, error) {
	if text == "0" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "BKMGTikbmgt")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || strings.HasPrefix(text, "+") {
		return 0, errors.New("expected a size such as 64KiB, 8MiB or 1GiB")
	}
	unit := unitBytes(text[len(digits):])
	if unit == 0 {
		return 0, errors.New("the size needs a unit: B, KiB, MiB, GiB or TiB")
	}
	if n > math.MaxInt64/unit {
		return 0, errors.New("the size is too large")
	}
	return Size(n * unit), nil
}

func unitBytes(unit string) int64 {
	switch unit {
	case "B":
		return 1
	case "KiB":
		return 1 << 10
	case "MiB":
		return 1 << 20
	case "GiB":
		return 1 << 30
	case "TiB":
		return 1 << 40
	default:
		return 0
	}
}

// String returns s in the largest unit that divides it, so that ParseSize reads the same value back.
func (s Size) String() string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if n := unitBytes(unit); s != 0 && int64(s)%n == 0 {
			return strconv.FormatInt(int64(s)/n, 10) + unit
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
