package partition

import (
	"fmt"
	"slices"
	"time"

	"github.com/pgring/pgring/topology"
)

// Rule says which partitions a table is to have.
type Rule struct {
	Table  topology.Name
	Column string // of type timestamptz, timestamp or date, by which the table is PARTITION BY RANGE
	Every  Period // what one partition takes
	Ahead  Period // how far from now on there are partitions
	Keep   Period // rows older than that may go; zero: none may
	Drop   bool   // partitions of which all rows may go are dropped
}

// Span is what a partition takes: from From until just before To. A zero From has no beginning (MINVALUE), a zero To no end (MAXVALUE).
type Span struct{ From, To time.Time }

func (s Span) String() string { return fmt.Sprintf("[%s, %s)", stamp(s.From), stamp(s.To)) }

func stamp(t time.Time) string {
	if t.IsZero() {
		return "…"
	}
	return t.UTC().Format("2006-01-02 15:04:05.999999")
}

// Holds reports whether a row of that moment belongs to it.
func (s Span) Holds(t time.Time) bool { return !t.Before(s.From) && (s.To.IsZero() || t.Before(s.To)) }

func (s Span) overlaps(o Span) bool {
	return (s.To.IsZero() || o.From.Before(s.To)) && (o.To.IsZero() || s.From.Before(o.To))
}

// wanted are the partitions that there must be when it is between earliest and latest: clocks differ.
func (r Rule) wanted(earliest, latest time.Time) []Span {
	var all []Span
	for from, last := r.Every.Floor(earliest), r.Ahead.After(latest); !from.After(last); {
		to := r.Every.After(from)
		all = append(all, Span{from, to})
		from = to
	}
	return all
}

// expired reports whether all rows of a partition may go when it is that time.
func (r Rule) expired(s Span, now time.Time) bool {
	return !r.Keep.Zero() && !s.To.IsZero() && !s.To.After(r.Keep.Before(now))
}

// missing are those that are wanted and can be made beside what is there. One that others take the time of already is not missing; one that
// is taken in part is a problem, unless what is left comes after last.
func missing(wanted, present []Span, last time.Time) (lacking []Span, problems []string) {
	made := slices.Clone(present)
	for _, w := range wanted {
		i := slices.IndexFunc(made, w.overlaps)
		if i < 0 {
			lacking, made = append(lacking, w), append(made, w)
			continue
		}
		if open := gap(made, w.From, w.To); !open.IsZero() && !open.After(last) {
			problems = append(problems, fmt.Sprintf("partition %s cannot be made: it overlaps %s, and no partition takes rows of %s", w, made[i], stamp(open)))
		}
	}
	return lacking, problems
}

// gap is the first moment between two that no partition takes; zero if there is none. A zero to is the end of time.
func gap(present []Span, from, to time.Time) time.Time {
	for to.IsZero() || from.Before(to) {
		i := slices.IndexFunc(present, func(s Span) bool { return s.Holds(from) })
		switch {
		case i < 0:
			return from
		case present[i].To.IsZero():
			return time.Time{}
		}
		from = present[i].To
	}
	return time.Time{}
}
