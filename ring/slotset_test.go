package ring

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgring/pgring/internal/pgtest"
)

func TestSlotSetHoldsWhatItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.SliceOf(rapid.Uint16Range(0, SlotCount-1)).Draw(t, "slots")
		var want []Slot
		for _, s := range slots {
			want = append(want, Slot(s))
		}
		set := NewSlotSet(want)
		slices.Sort(want)
		want = slices.Compact(want)
		if got := set.Slots(); !slices.Equal(got, want) || set.Len() != len(want) {
			t.Fatalf("set of %v holds %v", want, got)
		}
		again, err := ParseSlotSet(set.String())
		if err != nil || again.String() != set.String() || again.Len() != set.Len() {
			t.Fatalf("%q is read as %q, %v", set, again, err)
		}
		for _, s := range want {
			if !set.Has(s) || !set.Overlaps(NewSlotSet([]Slot{s})) {
				t.Fatalf("%d is not in %s", s, set)
			}
		}
		if u := set.Union(again); u.String() != set.String() {
			t.Fatalf("%s with itself is %s", set, u)
		}
	})
}

func TestSlotSetText(t *testing.T) {
	for text, want := range map[string]string{"": "", "0": "0", "16383": "16383", "1,2,3,7": "1-3,7", "5-6,0-1": "0-1,5-6"} {
		set, err := ParseSlotSet(text)
		if err != nil || set.String() != want {
			t.Errorf("%q is read as %q, %v; want %q", text, set, err, want)
		}
	}
	for _, text := range []string{"x", "1-", "-1", "2-1", "16384", "1,,2", "1-99999"} {
		if set, err := ParseSlotSet(text); err == nil {
			t.Errorf("%q is read as %q", text, set)
		}
	}
	var none *SlotSet
	if none.Has(0) || none.Len() != 0 || none.Union(nil).Len() != 0 || none.Overlaps(none) {
		t.Error("a nil set is not empty")
	}
}

func TestSlotSetInSQLAgreesWithHas(t *testing.T) {
	conn := pgtest.Start(t, 1)[0].Connect(t)
	var even []Slot
	for s := range Slot(SlotCount) {
		if s%2 == 0 && s%16 != 4 {
			even = append(even, s)
		}
	}
	set := NewSlotSet(append(even, 16383))
	rows, err := conn.Query(t.Context(), `SELECT k, coalesce(`+set.InSQL(KeyInt, "k")+`, false) FROM generate_series(1, 20000) k`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key int64
		var inside bool
		if err := rows.Scan(&key, &inside); err != nil {
			t.Fatal(err)
		}
		if want := set.Has(intKey(key).Slot()); inside != want {
			t.Fatalf("key %d of slot %d: the server says %t", key, intKey(key).Slot(), inside)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
