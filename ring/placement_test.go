package ring

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func key(t testing.TB, typ KeyType, text string) Key {
	t.Helper()
	k, err := ParseKey(typ, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustRanges(t testing.TB, typ KeyType, first ShardID, bounds ...Assignment) *Ranges {
	t.Helper()
	r, err := NewRanges(typ, first, bounds)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustList(t testing.TB, typ KeyType, other ShardID, values ...Assignment) *List {
	t.Helper()
	l, err := NewList(typ, values, other)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestModuloGivesSlotsInTurn(t *testing.T) {
	m := Modulo([]ShardID{"b", "a", "c"})
	for s, want := range []ShardID{"b", "a", "c", "b"} {
		if got := m.Owner(Slot(s)); got != want {
			t.Errorf("slot %d belongs to %q, not %q", s, got, want)
		}
	}
	if got := m.Owners(); !slices.Equal(got, []ShardID{"a", "b", "c"}) {
		t.Errorf("owners are %v", got)
	}
	if got := Modulo(nil).Owners(); len(got) != 0 {
		t.Errorf("nobody's map has owners %v", got)
	}
	if got := m.Owner(SlotCount); got != "" {
		t.Errorf("a slot out of range belongs to %q", got)
	}
}

func TestWithLeavesTheFormerMapAsItWas(t *testing.T) {
	k := key(t, KeyText, "abc")
	old := Modulo([]ShardID{"s1", "s2"}).With(Move{To: "s3", Keys: []Key{k}})
	next := old.With(Move{From: "s1", To: "s4", Slots: []Slot{0, SlotCount}}, Move{From: "s3", To: "s5", Keys: []Key{k}})
	if old.Owner(0) != "s1" || old.Locate(k).Shard != "s3" {
		t.Errorf("the old map changed: %v %v", old.Owner(0), old.Locate(k))
	}
	if next.Owner(0) != "s4" || next.Locate(k).Shard != "s5" || next.Owner(2) != "s1" {
		t.Errorf("the new map: %v %v %v", next.Owner(0), next.Locate(k), next.Owner(2))
	}
}

func TestRangesIncludeTheirLowerBounds(t *testing.T) {
	r := mustRanges(t, KeyInt, "s1", Assignment{key(t, KeyInt, "0"), "s2"}, Assignment{key(t, KeyInt, "1000000"), "s3"}, Assignment{key(t, KeyInt, "2000000"), "s1"})
	for text, want := range map[string]ShardID{
		"-9223372036854775808": "s1", "-1": "s1", "0": "s2", "999999": "s2", "1000000": "s3", "2000000": "s1", "9223372036854775807": "s1",
	} {
		k := key(t, KeyInt, text)
		if got := r.Locate(k); got != (Location{k.Slot(), want}) {
			t.Errorf("%s is at %v, not %s", text, got, want)
		}
	}
	if got := r.Owners(); !slices.Equal(got, []ShardID{"s1", "s2", "s3"}) {
		t.Errorf("owners are %v", got)
	}
}

func TestRangesAgreeWithASearchOneByOne(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		numbers := rapid.SliceOfNDistinct(rapid.Int64Range(-50, 50), 0, 20, rapid.ID).Draw(rt, "bounds")
		slices.Sort(numbers)
		bounds := make([]Assignment, len(numbers))
		for i, n := range numbers {
			bounds[i] = Assignment{intKey(n), ShardID(strconv.Itoa(i))}
		}
		r := mustRanges(t, KeyInt, "first", bounds...)
		n := rapid.Int64Range(-60, 60).Draw(rt, "key")
		want := ShardID("first")
		for i, b := range numbers {
			if b <= n {
				want = ShardID(strconv.Itoa(i))
			}
		}
		if got := r.Locate(intKey(n)).Shard; got != want {
			rt.Fatalf("%d is at %s, not %s", n, got, want)
		}
	})
}

func TestListFallsBackToItsDefault(t *testing.T) {
	values := []Assignment{{key(t, KeyText, "de"), "s1"}, {key(t, KeyText, "fr"), "s2"}}
	for other, want := range map[ShardID][]ShardID{"": {"s1", "s2"}, "s9": {"s1", "s2", "s9"}} {
		l := mustList(t, KeyText, other, values...)
		if got := l.Locate(key(t, KeyText, "fr")).Shard; got != "s2" {
			t.Errorf("fr is at %q", got)
		}
		if got := l.Locate(key(t, KeyText, "it")).Shard; got != other {
			t.Errorf("it is at %q, not %q", got, other)
		}
		if got := l.Owners(); !slices.Equal(got, want) {
			t.Errorf("owners are %v, not %v", got, want)
		}
	}
}

func TestContradictoryPlacementsAreRefused(t *testing.T) {
	one, two, text := Assignment{intKey(1), "s1"}, Assignment{intKey(2), "s2"}, Assignment{key(t, KeyText, "1"), "s1"}
	for name, err := range map[string]error{
		"no first shard":   second(NewRanges(KeyInt, "", nil)),
		"descending":       second(NewRanges(KeyInt, "s1", []Assignment{two, one})),
		"same bound twice": second(NewRanges(KeyInt, "s1", []Assignment{one, one})),
		"other type":       second(NewRanges(KeyInt, "s1", []Assignment{text})),
		"bound's shard":    second(NewRanges(KeyInt, "s1", []Assignment{{intKey(1), ""}})),
		"value twice":      second(NewList(KeyInt, []Assignment{one, two, one}, "")),
		"value's type":     second(NewList(KeyInt, []Assignment{text}, "")),
		"value's shard":    second(NewList(KeyInt, []Assignment{{intKey(1), ""}}, "s1")),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestPlacementsSurviveJSON(t *testing.T) {
	latin1 := Key{typ: KeyText, data: []byte("caf\xe9")}
	pinned := mustRing(t, equalShards(5)).Place().With(
		Move{To: "s9", Keys: []Key{intKey(42), latin1, key(t, KeyNumeric, "NaN"), key(t, KeyBytea, `\x00ff`)}})
	for _, c := range []struct {
		strategy  string
		placement Placement
	}{
		{StrategyConsistent, pinned},
		{StrategyHash, Modulo([]ShardID{"s1", "s2", "s3"})},
		{StrategyHash, Modulo(nil)},
		{StrategyRange, mustRanges(t, KeyInt, "s1")},
		{StrategyRange, mustRanges(t, KeyText, "s1", Assignment{latin1, "s2"}, Assignment{key(t, KeyText, "z"), "s1"})},
		{StrategyList, mustList(t, KeyTimestampTZ, "s2", Assignment{key(t, KeyTimestampTZ, "2024-01-01 00:00:00+00"), "s1"})},
	} {
		data, err := json.Marshal(c.placement)
		if err != nil {
			t.Fatal(err)
		}
		got, err := UnmarshalPlacement(c.strategy, data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		again, err := json.Marshal(got)
		if err != nil || string(again) != string(data) || !slices.Equal(got.Owners(), c.placement.Owners()) {
			t.Errorf("%s became %s (%v)", data, again, err)
		}
		for i := range int64(100) {
			if a, b := c.placement.Locate(intKey(i)), got.Locate(intKey(i)); a != b {
				t.Errorf("%s: key %d at %v, was at %v", data, i, b, a)
			}
		}
	}
}

func TestMapReadsWell(t *testing.T) {
	half := make([]Slot, SlotCount/2)
	for i := range half {
		half[i] = Slot(i)
	}
	m := Modulo([]ShardID{"s2"}).With(Move{To: "s1", Slots: half}, Move{To: "s2", Slots: []Slot{1}}, Move{To: "s1", Keys: []Key{key(t, KeyText, "abc")}})
	want := `{"shards":["s1","s2"],"slots":"0 1 0x8190 1x8192","pins":[{"type":"text","key":"abc","shard":"s1"}]}`
	if data, err := json.Marshal(m); err != nil || string(data) != want {
		t.Errorf("%s (%v)", data, err)
	}
}

func TestMapOfSixtyFourShardsIsSmall(t *testing.T) {
	var ids []ShardID
	for _, s := range equalShards(64) {
		ids = append(ids, s.ID)
	}
	for name, m := range map[string]*Map{"consistent": mustRing(t, equalShards(64)).Place(), "modulo": Modulo(ids)} {
		data, err := json.Marshal(m)
		if err != nil || len(data) > 50_000 {
			t.Errorf("%s: %d bytes (%v)", name, len(data), err)
		}
	}
}

func TestDamagedJSONIsRefused(t *testing.T) {
	for _, c := range []struct{ strategy, data string }{
		{"", `{}`},
		{StrategyConsistent, `{}`},
		{StrategyConsistent, `[]`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"0x16383"}`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"0x16385"}`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"0x-1 0x16385"}`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"1x16384"}`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"-1x16384"}`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"0x16384","pins":[{"type":"int","key":"x","shard":"s1"}]}`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"0x16384","pins":[{"type":"float","key":"1","shard":"s1"}]}`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"0x16384","pins":[{"type":"int","key":"1"}]}`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"0x16384","pins":[{"type":"int","shard":"s1"}]}`},
		{StrategyConsistent, `{"shards":["s1"],"slots":"0x16384","pins":[{"type":"text","hex":"0g","shard":"s1"}]}`},
		{StrategyRange, `{"type":"int","ranges":[]}`},
		{StrategyRange, `{"type":"int","ranges":[{"key":"1","shard":"s1"}]}`},
		{StrategyRange, `{"type":"int","ranges":[{"shard":"s1"},{"shard":"s2"}]}`},
		{StrategyRange, `{"type":"","ranges":[{"shard":"s1"}]}`},
		{StrategyList, `{"type":"int","values":[{"key":"1","shard":"s1"},{"key":"1","shard":"s2"}]}`},
		{StrategyList, `{"type":"int","values":[{"key":"1","shard":""}]}`},
	} {
		if p, err := UnmarshalPlacement(c.strategy, []byte(c.data)); err == nil || p != nil {
			t.Errorf("%s %s: accepted", c.strategy, c.data)
		}
	}
}

func TestKeyTypesHaveNames(t *testing.T) {
	for typ := KeyInt; typ <= KeyBytea; typ++ {
		if got, ok := ParseKeyType(typ.String()); !ok || got != typ {
			t.Errorf("%v is read as %v", typ, got)
		}
	}
	if _, ok := ParseKeyType(KeyUnset.String()); ok {
		t.Error("unset is a type")
	}
}

// placements are one of each kind, with what makes look-ups slow.
func placements(t testing.TB) map[string]Placement {
	var bounds, values []Assignment
	for i := range int64(15) {
		bounds = append(bounds, Assignment{intKey(i * 62_500), ShardID(fmt.Sprint("s", i))})
		values = append(values, Assignment{intKey(i * 1000), ShardID(fmt.Sprint("s", i))})
	}
	m := mustRing(t, equalShards(64)).Place()
	return map[string]Placement{
		"map": m, "map with pins": m.With(Move{To: "s9", Keys: []Key{intKey(1), intKey(2)}}), "modulo": Modulo(m.Owners()),
		"ranges": mustRanges(t, KeyInt, "s0", bounds...), "list": mustList(t, KeyInt, "s0", values...),
	}
}

func TestLocateDoesNotAllocate(t *testing.T) {
	keys := randomInts()
	for name, p := range placements(t) {
		i := 0
		if n := testing.AllocsPerRun(1000, func() { p.Locate(keys[i%len(keys)]); i++ }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkLocate(b *testing.B) {
	keys := randomInts()
	for name, p := range placements(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Locate(keys[i%len(keys)])
			}
		})
	}
}

func TestCompareIsAnOrder(t *testing.T) {
	ascending := map[KeyType][]string{
		KeyInt:       {"-9223372036854775808", "-1", "0", "1", "9223372036854775807"},
		KeyText:      {"", "A", "a", "aa", "b", "é"},
		KeyUUID:      {"00000000-0000-0000-0000-000000000001", "00000000-0000-0001-0000-000000000000", "80000000-0000-0000-0000-000000000000"},
		KeyTimestamp: {"-infinity", "4714-11-24 BC", "0001-01-01", "1999-12-31 23:59:59.999999", "2000-01-01", "infinity"},
		KeyNumeric:   {"-Infinity", "-1e20", "-10000.5", "-10000", "-9999.0001", "-1", "-0.5", "-0.00005", "0", "0.00005", "0.5", "1", "9999.0001", "10000", "10000.5", "1e20", "Infinity", "NaN"},
		KeyBytea:     {`\x`, `\x00`, `\x0000`, `\x01`, `\xff`},
	}
	for typ, texts := range ascending {
		for i, a := range texts {
			for j, b := range texts {
				want := 0
				if i < j {
					want = -1
				} else if i > j {
					want = 1
				}
				if got := key(t, typ, a).Compare(key(t, typ, b)); got != want {
					t.Errorf("%v: %s compared with %s is %d", typ, a, b, got)
				}
			}
		}
	}
	if intKey(1).Compare(key(t, KeyText, "1")) >= 0 || !reflect.DeepEqual(Key{}.Compare(Key{}), 0) {
		t.Error("keys of different types are not ordered by type")
	}
}
