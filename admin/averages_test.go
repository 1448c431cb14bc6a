package admin

import (
	"testing"
	"time"
)

func TestAveragesLookBackOneMinute(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var a averages
	if _, ok := a.before(); ok {
		t.Error("a sample out of nothing")
	}
	for i := range 30 { // 5 minutes, with ever more to do
		n := int64(i * i)
		a.add(sample{at: start.Add(time.Duration(i) * sampleEvery), queries: n, transactions: n, received: 10 * n, sent: 20 * n, queryMicros: 300 * n, waitMicros: n})
	}
	now := sample{at: start.Add(29 * sampleEvery), queries: 29 * 29, transactions: 29 * 29, received: 10 * 29 * 29, sent: 20 * 29 * 29, queryMicros: 300 * 29 * 29, waitMicros: 29 * 29}
	before, _ := a.before()
	if age := now.at.Sub(before.at); age != statsPeriod || len(a.samples) > 10 {
		t.Errorf("looks back %s over %d samples", age, len(a.samples))
	}
	n := float64(29*29-23*23) / 60
	want := rates{transactions: int64(n), queries: int64(n), received: int64(10 * n), sent: int64(20 * n), waitMicros: int64(n), queryMicros: 300}
	if got := now.since(before); got != want {
		t.Errorf("rates %+v, want %+v", got, want)
	}
	if got := before.since(before); got != (rates{}) {
		t.Errorf("rates within no time: %+v", got)
	}
}

func TestRatesNeedTwoLooksThatAreNear(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	before := look{at: start, known: true, written: 100, read: 1000}
	for name, test := range map[string]struct {
		before        look
		now           look
		writes, reads any
	}{
		"ten seconds later":             {before, look{at: start.Add(10 * time.Second), written: 150, read: 1000}, 5.0, 0.0},
		"an hour later":                 {before, look{at: start.Add(time.Hour), written: 150, read: 1001}, nil, nil},
		"after a reset of the counters": {before, look{at: start.Add(10 * time.Second), written: 1, read: 2}, nil, nil},
		"for the first time":            {look{}, look{at: start, written: 150, read: 1}, nil, nil},
	} {
		test.now.since(test.before)
		if test.now.writes != test.writes || test.now.reads != test.reads {
			t.Errorf("%s: %v writes and %v reads", name, test.now.writes, test.now.reads)
		}
	}
	if (look{}).size() != nil || !(look{}).old() {
		t.Error("what was never looked at is known")
	}
}
