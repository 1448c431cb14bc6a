package partition

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestPeriodsBeginWhereCalendarsHaveThem(t *testing.T) {
	for _, c := range []struct{ every, moment, from, to string }{
		{"15min", "2026-11-27 06:44", "2026-11-27 06:30", "2026-11-27 06:45"},
		{"1h", "2026-11-27 06:44", "2026-11-27 06:00", "2026-11-27 07:00"},
		{"1d", "2026-11-27 00:00", "2026-11-27 00:00", "2026-11-28 00:00"},
		{"7d", "2026-11-29 23:59", "2026-11-23 00:00", "2026-11-30 00:00"}, // Monday to Sunday
		{"1w", "2026-11-30 00:00", "2026-11-30 00:00", "2026-12-07 00:00"},
		{"1mo", "2028-02-29 12:00", "2028-02-01 00:00", "2028-03-01 00:00"},
		{"3mo", "2026-12-31 23:59", "2026-10-01 00:00", "2027-01-01 00:00"},
		{"1y", "2026-01-01 00:00", "2026-01-01 00:00", "2027-01-01 00:00"},
		{"1d", "1969-12-31 12:00", "1969-12-31 00:00", "1970-01-01 00:00"},
	} {
		every, err := ParsePeriod(c.every)
		if err != nil {
			t.Fatal(err)
		}
		from := every.Floor(at(c.moment))
		if to := every.After(from); !from.Equal(at(c.from)) || !to.Equal(at(c.to)) {
			t.Errorf("%s of %s is %s to %s", c.every, c.moment, from, to)
		}
	}
	for text, want := range map[string]string{"7d": "1w", "24h": "1d", "90min": "90min", "12mo": "1y", "13mo": "13mo", "0": "0", "0d": "0", "200y": "200y"} {
		if p, err := ParsePeriod(text); err != nil || p.String() != want {
			t.Errorf("%s is %v, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "d", "5", "1m", "1month", "-1d", "+1d", "1.5d", "1d12h", "201y", "99999999999999999999d", "9999999999d", "1s", "1M"} {
		if p, err := ParsePeriod(text); err == nil {
			t.Errorf("%q is %v", text, p)
		}
	}
}

// TestWhatIsKeptForAMonthIsKeptForNoLess: the day before is not always there in a shorter month.
func TestWhatIsKeptForAMonthIsKeptForNoLess(t *testing.T) {
	month := Period{Months: 1}
	for moment, want := range map[string]string{"2026-03-31 10:00": "2026-02-28 10:00", "2028-03-31 10:00": "2028-02-29 10:00", "2026-05-31 00:00": "2026-04-30 00:00",
		"2026-01-15 00:00": "2025-12-15 00:00"} {
		if got := month.Before(at(moment)); !got.Equal(at(want)) {
			t.Errorf("a month before %s is %s", moment, got)
		}
	}
}

func drawPeriod(t *rapid.T, name string) Period {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(1, 30), func(n int) Period { return Period{Months: n} }),
		rapid.Map(rapid.IntRange(1, 100), func(n int) Period { return Period{Time: time.Duration(n) * time.Hour} }),
		rapid.Map(rapid.IntRange(1, 20), func(n int) Period { return Period{Time: time.Duration(n) * day} }),
	).Draw(t, name)
}

func drawMoment(t *rapid.T, name string) time.Time {
	return at("2024-01-01 00:00").Add(time.Duration(rapid.IntRange(0, 3*365*24*60).Draw(t, name)) * time.Minute)
}

// TestExactlyOnePartitionForEveryMomentAhead: whatever is there, what is made overlaps nothing, and a moment that is left without a partition is
// spoken of. Doing it again makes nothing.
func TestExactlyOnePartitionForEveryMomentAhead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{Every: drawPeriod(t, "every"), Ahead: Period{Time: time.Duration(rapid.IntRange(0, 20).Draw(t, "ahead days")) * day}}
		earliest := drawMoment(t, "now")
		latest := earliest.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "skew")) * time.Second)
		var present []Span
		for range rapid.IntRange(0, 5).Draw(t, "present") {
			from := drawMoment(t, "from").Truncate(time.Hour)
			s := Span{from, from.Add(time.Duration(rapid.IntRange(1, 2000).Draw(t, "hours")) * time.Hour)}
			if rapid.IntRange(0, 9).Draw(t, "open") == 0 {
				s.To = time.Time{}
			}
			if n := len(present); n == 0 || !overlapsAny(s, present) {
				present = append(present, s)
			}
		}
		last := rule.Ahead.After(latest)
		lacking, problems := missing(rule.wanted(earliest, latest), present, last)
		all := present
		for _, s := range lacking {
			if overlapsAny(s, all) {
				t.Fatalf("%s overlaps one of %s", s, all)
			}
			all = append(all, s)
		}
		if open := gap(all, earliest, last); !open.IsZero() && len(problems) == 0 {
			t.Fatalf("nothing takes %s, of %s: %s", open, all, lacking)
		}
		for range 20 {
			moment := earliest.Add(time.Duration(rapid.Int64Range(0, int64(last.Sub(earliest))).Draw(t, "moment")))
			n := 0
			for _, s := range all {
				if s.Holds(moment) {
					n++
				}
			}
			if n > 1 || n == 0 && len(problems) == 0 {
				t.Fatalf("%d partitions take %s: %s, problems %s", n, moment, all, problems)
			}
		}
		if again, _ := missing(rule.wanted(earliest, latest), all, last); len(again) > 0 {
			t.Fatalf("made again: %s", again)
		}
	})
}

func overlapsAny(s Span, all []Span) bool {
	for _, o := range all {
		if s.overlaps(o) || o.overlaps(s) {
			return true
		}
	}
	return false
}

// TestNoRowNewerThanTheRetentionIsIn what may be dropped, and what has nothing newer may be.
func TestNoRowNewerThanTheRetentionIsInWhatIsDropped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Rule{Keep: drawPeriod(t, "keep")}
		now, from := drawMoment(t, "now"), drawMoment(t, "from")
		s := Span{from, from.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "hours")) * time.Hour)}
		youngest := s.To.Add(-time.Microsecond)
		if got, want := rule.expired(s, now), youngest.Before(rule.Keep.Before(now)); got != want {
			t.Fatalf("partition %s at %s, kept for %s: expired is %t", s, now, rule.Keep, got)
		}
		if rule.expired(Span{From: from}, now) || (Rule{}).expired(s, now) {
			t.Fatal("what has no end, or what is kept for ever, expires")
		}
	})
}

func TestBoundsAreReadAsTheyAreWritten(t *testing.T) {
	for _, typ := range []string{"timestamptz", "timestamp", "date"} {
		for _, s := range []Span{{at("2026-11-27 00:00"), at("2026-11-28 00:00")}, {To: at("2026-11-27 00:00")}, {From: at("1999-01-01 00:00")}, {}} {
			if got, err := parseBound(s.bounds(typ)); err != nil || got != s {
				t.Errorf("%s of %s was read as %s, %v", s.bounds(typ), typ, got, err)
			}
		}
	}
	s := Span{at("2026-11-27 05:30").Add(123456 * time.Microsecond), at("2026-11-28 00:15")}
	if got, err := parseBound(s.bounds("timestamptz")); err != nil || got != s {
		t.Errorf("%s was read as %s, %v", s, got, err)
	}
	for text, want := range map[string]Span{"FOR VALUES FROM ('infinity') TO (MAXVALUE)": {From: farAhead}, "FOR VALUES FROM ('-infinity') TO ('0044-03-15 00:00:00+00 BC')": {To: longAgo},
		"FOR VALUES FROM ('2026-01-01') TO ('12000-01-01')": {at("2026-01-01 00:00"), farAhead}} {
		if s, err := parseBound(text); err != nil || s != want {
			t.Errorf("%q was read as %s, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "FOR VALUES IN (1)", "FOR VALUES FROM (1) TO (2)", "FOR VALUES FROM ('2026-01-01', 1) TO ('2026-01-02', 1)"} {
		if s, err := parseBound(text); err == nil {
			t.Errorf("%q was read as %s", text, s)
		}
	}
}

func TestNamesFitAndSayWhen(t *testing.T) {
	long := Rule{Every: Period{Time: time.Hour}}
	for range 30 {
		long.Table.Table += "äb"
	}
	if name := partName(long, Span{From: at("2026-11-27 14:00")}); len(name) > 60 || name[len(name)-14:] != "_p20261127_1400"[1:] {
		t.Errorf("name %s of %d bytes", name, len(name))
	}
	for every, want := range map[Period]string{{Months: 1}: "e_p202611", {Time: day}: "e_p20261101", {Time: time.Hour}: "e_p20261101"} {
		if name := partName(Rule{Table: long.Table, Every: every}, Span{From: at("2026-11-01 00:00")}); name[len(name)-len(want)+1:] != want[1:] {
			t.Errorf("name %s", name)
		}
	}
}
