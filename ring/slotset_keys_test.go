package ring

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgring/pgring/internal/pgtest"
)

// crowd are keys of few slots, several of each.
func crowd() []Key {
	of := map[Slot][]Key{}
	for n := int64(0); len(of) < 6 || len(of[intKey(1).Slot()]) < 3; n++ {
		if k := intKey(n); len(of) < 6 || len(of[k.Slot()]) > 0 {
			of[k.Slot()] = append(of[k.Slot()], k)
		}
	}
	var all []Key
	for _, keys := range of {
		all = append(all, keys...)
	}
	slices.SortFunc(all, Key.Compare)
	return all
}

func drawSet(t *rapid.T, keys []Key, label string) (*SlotSet, map[string]bool) {
	some := rapid.SliceOfDistinct(rapid.SampledFrom(keys), Key.String)
	var slots []Slot
	for _, k := range some.Draw(t, label+" slots") {
		slots = append(slots, k.Slot())
	}
	with, without := some.Draw(t, label+" with"), some.Draw(t, label+" without")
	set := NewSlotSet(slots).With(with...).WithoutKeys(without...)
	holds := map[string]bool{}
	same := func(k Key) func(Key) bool { return func(o Key) bool { return o.Compare(k) == 0 } }
	for _, k := range keys {
		holds[k.String()] = !slices.ContainsFunc(without, same(k)) && (slices.Contains(slots, k.Slot()) || slices.ContainsFunc(with, same(k)))
	}
	return set, holds
}

func TestSlotSetsWithSingleKeysAreSetsOfKeys(t *testing.T) {
	keys := crowd()
	rapid.Check(t, func(t *rapid.T) {
		a, inA := drawSet(t, keys, "a")
		b, inB := drawSet(t, keys, "b")
		again, err := ParseSlotSet(a.String())
		if err != nil || again.String() != a.String() {
			t.Fatalf("%q is read as %q, %v", a, again, err)
		}
		union, without, both := a.Union(b), a.Without(b), false
		for _, k := range keys {
			inside, other := inA[k.String()], inB[k.String()]
			both = both || inside && other
			if a.HasKey(k) != inside || again.HasKey(k) != inside || union.HasKey(k) != (inside || other) || without.HasKey(k) != (inside && !other) {
				t.Fatalf("key %s (slot %d): a %s, b %s, union %s, without %s", k, k.Slot(), a, b, union, without)
			}
			if inside && !a.Has(k.Slot()) {
				t.Fatalf("%s does not concern slot %d of its key %s", a, k.Slot(), k)
			}
		}
		if both && !a.Overlaps(b) || a.Overlaps(b) != b.Overlaps(a) || !without.Union(b).Without(union).Empty() || without.Overlaps(b) {
			t.Fatalf("a %s, b %s: overlap %t, one without the other %s", a, b, a.Overlaps(b), without)
		}
		if !a.Without(a).Empty() || a.Empty() != (a.String() == "") {
			t.Fatalf("%s without itself is %s", a, a.Without(a))
		}
	})
}

// TestASetThatChangesHandsTakesNothingElseAlong moves sets, in any order, about a map with pins.
func TestASetThatChangesHandsTakesNothingElseAlong(t *testing.T) {
	keys := crowd()
	shard := rapid.SampledFrom([]ShardID{"s1", "s2", "s3"})
	rapid.Check(t, func(t *rapid.T) {
		m := Modulo([]ShardID{"s1", "s2"})
		for range 3 {
			set, _ := drawSet(t, keys, "moved")
			to := shard.Draw(t, "to")
			next := m.WithSet(set, to)
			for _, k := range keys {
				want := m.Locate(k).Shard
				if set.HasKey(k) {
					want = to
				}
				if got := next.Locate(k).Shard; got != want {
					t.Fatalf("%s to %s: key %s is on %s, want %s", set, to, k, got, want)
				}
			}
			for _, id := range []ShardID{"s1", "s2", "s3"} {
				part := next.Part(id)
				for _, k := range keys {
					if part.HasKey(k) != (next.Locate(k).Shard == id) {
						t.Fatalf("key %s is on %s, and the part of %s is %s", k, next.Locate(k).Shard, id, part)
					}
				}
			}
			m = next
		}
	})
}

func TestAMoveLeavesPinnedKeysWhereTheyAre(t *testing.T) {
	key := intKey(42)
	m := Modulo([]ShardID{"s1"}).With(Move{To: "s9", Keys: []Key{key}})
	set := m.Moving(Move{From: "s1", To: "s2", Slots: []Slot{key.Slot(), 5}})
	if set.HasKey(key) || !set.Has(key.Slot()) || set.Len() != 2 || !set.Without(m.Part("s1")).Empty() {
		t.Errorf("slot %d moves as %s", key.Slot(), set)
	}
	if got := m.WithSet(set, "s9").With(Move{To: "s1", Slots: []Slot{key.Slot()}}).Locate(key).Shard; got != "s9" {
		t.Errorf("the pinned key went with its slot, to %s", got)
	}
	if set := m.Moving(Move{From: "s9", To: "s1", Keys: []Key{key}}); !set.HasKey(key) || set.Len() != 0 {
		t.Errorf("the key moves as %s", set)
	}
}

// TestSetsWithSingleKeysInSQLAgree asks a server about keys of every type, in a column of each.
func TestSetsWithSingleKeysInSQLAgree(t *testing.T) {
	conn := pgtest.Start(t, 1)[0].Connect(t)
	texts := map[KeyType][]string{
		KeyInt:         {"42", "-1", "0", "9223372036854775807", "7"},
		KeyText:        {"", "abc", `it's "quoted", {braced} and \back\slashed`, "NULL", "Ünï\ncode"},
		KeyUUID:        {"00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		KeyTimestamp:   {"2020-01-02 03:04:05.678901", "infinity", "0044-03-15 00:00:00 BC"},
		KeyTimestampTZ: {"2020-01-02 03:04:05.678901+00", "-infinity", "1999-12-31 23:59:59+00"},
		KeyNumeric:     {"0", "1.50", "-123456789.000001", "NaN"},
		KeyBytea:       {`\x`, `\x00ff5c27`, `\x6142`},
	}
	for _, typ := range sqlTypes {
		var keys []Key
		for _, text := range texts[typ.key] {
			keys = append(keys, key(t, typ.key, text))
		}
		sets := []*SlotSet{NewSlotSet(nil).With(keys[0]), NewSlotSet([]Slot{keys[0].Slot(), keys[1].Slot()}).WithoutKeys(keys[1]),
			NewSlotSet([]Slot{keys[1].Slot(), 3}).With(keys[0]).WithoutKeys(keys[1]), NewSlotSet(nil).With(keys...), {}}
		for _, set := range sets {
			for _, k := range keys {
				var inside bool
				sql := fmt.Sprintf("SELECT %s FROM (SELECT $1::text::%s AS k) x", set.InSQL(typ.key, "k"), typ.name)
				if err := conn.QueryRow(t.Context(), sql, k.String()).Scan(&inside); err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
				if inside != set.HasKey(k) {
					t.Errorf("%s key %q in %s: the server says %t", typ.name, k, set, inside)
				}
				sql = fmt.Sprintf("SELECT %s FROM (SELECT $1::bigint AS h, $2::text AS k) x", set.InHashSQL("h", "k"))
				if err := conn.QueryRow(t.Context(), sql, int64(k.Hash()), k.String()).Scan(&inside); err != nil || inside != set.HasKey(k) {
					t.Errorf("%s key %q in %s: the server says %t of its hash, %v", typ.name, k, set, inside, err)
				}
			}
			var none *bool
			if err := conn.QueryRow(t.Context(), fmt.Sprintf("SELECT %s FROM (SELECT NULL::%s AS k) x", set.InSQL(typ.key, "k"), typ.name)).Scan(&none); err != nil || none != nil {
				t.Errorf("%s: a NULL key in %s is %v, %v", typ.name, set, none, err)
			}
		}
	}
}
