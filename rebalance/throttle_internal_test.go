package rebalance

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// copyThrough sends pieces of 100 rows and 10,000 bytes for a while, and returns how many rows went.
func copyThrough(t *testing.T, p *pace, period time.Duration, said *string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), period)
	defer cancel()
	rows := int64(0)
	for p.wait(ctx, "s1", "s2", 100, 10_000, func(reason string) { *said = reason }) == nil && ctx.Err() == nil {
		rows += 100
		if rows > 1_000_000 {
			break
		}
	}
	return rows
}

func TestCopiesKeepToTheThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		said := ""
		for _, test := range []struct {
			limit    Throttle
			low, top int64
		}{
			{Throttle{Rows: 1000}, 9_900, 10_200},
			{Throttle{Bytes: 50_000}, 4_900, 5_200},
			{Throttle{Rows: 1000, Bytes: 50_000}, 4_900, 5_200},
			{Throttle{}, 1_000_000, 2_000_000},
		} {
			p.set(test.limit) // at once: nothing is left of the one before
			if rows := copyThrough(t, &p, 10*time.Second, &said); rows < test.low || rows > test.top {
				t.Errorf("%s lets %d rows through in ten seconds", test.limit, rows)
			}
		}
		p.hold(map[ring.ShardID]string{"s2": "throttled: busy"})
		if rows := copyThrough(t, &p, time.Second, &said); rows != 0 || said != "throttled: busy" {
			t.Errorf("%d rows went to a shard that is busy; said %q", rows, said)
		}
		p.hold(map[ring.ShardID]string{"s3": "throttled: busy"})
		if rows := copyThrough(t, &p, time.Second, &said); rows == 0 {
			t.Error("another shard's load holds a copy up")
		}
	})
}

func TestASlowThrottleThatIsLiftedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		said := ""
		p.set(Throttle{Rows: 1})
		copyThrough(t, &p, time.Second, &said) // takes the next hundred seconds
		began := time.Now()
		time.AfterFunc(time.Second, func() { p.set(Throttle{}) })
		if err := p.wait(t.Context(), "s1", "s2", 1, 1, func(string) {}); err != nil || time.Since(began) > 2*time.Second {
			t.Errorf("waited %s: %v", time.Since(began), err)
		}
	})
}

func TestLoadIsSharedByHeat(t *testing.T) {
	key, err := ring.ParseKey(ring.KeyInt, []byte("42"))
	if err != nil {
		t.Fatal(err)
	}
	m := &topology.Move{Group: "g", Slots: ring.NewSlotSet([]ring.Slot{key.Slot(), 1, 2, 3})}
	for _, test := range []struct {
		perSecond, heat float64
		hot, cold       int64
	}{{1000, 0, 250_000, 250_000}, {1000, 400, 550_000, 150_000}, {1000, 5000, 1_000_000, 0}, {0, 5000, 0, 0}} {
		costs := shareLoad(test.perSecond, m, []Heat{{"g", key.Hash(), test.heat}, {"other", key.Hash(), 1e9}, {"g", 4 << 50, 1e9}})
		if costs[key.Slot()] != test.hot || costs[1] != test.cold || costs[4] != 0 {
			t.Errorf("%v: the hot slot costs %d, a cold one %d, another shard's %d", test, costs[key.Slot()], costs[1], costs[4])
		}
	}
}

func TestLargeMovesAreDivided(t *testing.T) {
	var slots []ring.Slot
	for s := range ring.Slot(100) {
		slots = append(slots, s)
	}
	p := Planned{Move: topology.Move{Group: "g", From: "s1", To: "s2", Slots: ring.NewSlotSet(slots)}, Bytes: 3*largestMove + 1}
	moves := Divide([]Planned{p, {Move: p.Move, Bytes: -1}})
	if len(moves) != 5 || moves[0].Slots.Len() != 25 || moves[4].Slots.Len() != 100 {
		t.Errorf("%d moves, the first of %d slots", len(moves), moves[0].Slots.Len())
	}
}
