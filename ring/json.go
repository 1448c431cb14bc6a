package ring

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// entryJSON is an assignment in JSON. A key that is no UTF-8, which JSON could not hold, is written as hex digits.
type entryJSON struct {
	Type  string  `json:"type,omitempty"` // pins only: the other placements name it once
	Key   *string `json:"key,omitempty"`
	Hex   *string `json:"hex,omitempty"`
	Shard ShardID `json:"shard,omitempty"` // of a slot set's key: none
}

func encodeEntry(a Assignment) entryJSON {
	text := a.Key.String()
	if !utf8.ValidString(text) {
		text = hex.EncodeToString([]byte(text))
		return entryJSON{Hex: &text, Shard: a.Shard}
	}
	return entryJSON{Key: &text, Shard: a.Shard}
}

func (e entryJSON) decode(t KeyType) (Assignment, error) {
	if e.Shard == "" {
		return Assignment{}, errors.New("a key has no shard")
	}
	k, err := e.decodeKey(t)
	if err != nil {
		return Assignment{}, fmt.Errorf("key of shard %q: %w", e.Shard, err)
	}
	return Assignment{Key: k, Shard: e.Shard}, nil
}

func (e entryJSON) decodeKey(t KeyType) (Key, error) {
	switch {
	case e.Key != nil:
		return ParseKey(t, []byte(*e.Key))
	case e.Hex != nil:
		raw, err := hex.DecodeString(*e.Hex)
		if err != nil {
			return Key{}, err
		}
		return ParseKey(t, raw)
	}
	return Key{}, errors.New("there is none")
}

func encodeEntries(all []Assignment) []entryJSON {
	entries := make([]entryJSON, len(all))
	for i, a := range all {
		entries[i] = encodeEntry(a)
	}
	return entries
}

func decodeEntries(typeName string, entries []entryJSON) (KeyType, []Assignment, error) {
	t, ok := ParseKeyType(typeName)
	if !ok {
		return t, nil, fmt.Errorf("unknown key type %q", typeName)
	}
	all := make([]Assignment, len(entries))
	for i, e := range entries {
		a, err := e.decode(t)
		if err != nil {
			return t, nil, err
		}
		all[i] = a
	}
	return t, all, nil
}

// mapJSON: shards is sorted; slots lists the owners of slots 0, 1, 2 … as positions in shards, counted from 0, where
// "3x5" is short for "3 3 3 3 3". With 64 shards it has at most 50 kB.
type mapJSON struct {
	Shards []ShardID   `json:"shards"`
	Slots  string      `json:"slots"`
	Pins   []entryJSON `json:"pins,omitempty"`
}

// MarshalJSON writes {"shards":["s1","s2"],"slots":"0x8192 1x8192","pins":[{"type":"int","key":"42","shard":"s1"}]}:
// the owners of the slots in order, as positions in shards, "1x3" being short for "1 1 1". Equal maps have equal texts.
func (m *Map) MarshalJSON() ([]byte, error) {
	out := mapJSON{Shards: m.shards, Slots: m.runs()}
	if out.Shards == nil {
		out.Shards = []ShardID{""}
	}
	for _, p := range m.pins.sorted {
		e := encodeEntry(p)
		e.Type = p.Key.typ.String()
		out.Pins = append(out.Pins, e)
	}
	return json.Marshal(out)
}

func (m *Map) runs() string {
	var b strings.Builder
	for s := 0; s < SlotCount; {
		end := s + 1
		for end < SlotCount && m.owner[end] == m.owner[s] {
			end++
		}
		if s > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(int(m.owner[s])))
		if end-s > 1 {
			b.WriteString("x" + strconv.Itoa(end-s))
		}
		s = end
	}
	return b.String()
}

// UnmarshalJSON reads what MarshalJSON writes into a Map that nobody uses yet.
func (m *Map) UnmarshalJSON(data []byte) error {
	var in mapJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("read slot map: %w", err)
	}
	owner, err := in.owners()
	if err != nil {
		return fmt.Errorf("read slot map: %w", err)
	}
	var pins []Assignment
	for _, e := range in.Pins {
		_, pin, err := decodeEntries(e.Type, []entryJSON{e})
		if err != nil {
			return fmt.Errorf("read slot map: %w", err)
		}
		pins = insert(pins, pin[0].Key, pin[0].Shard)
	}
	*m = *newMap(owner, newAssignments(pins))
	return nil
}

func (in *mapJSON) owners() ([]ShardID, error) {
	owner := make([]ShardID, 0, SlotCount)
	for run := range strings.FieldsSeq(in.Slots) {
		index, times, repeated := strings.Cut(run, "x")
		i, err := strconv.Atoi(index)
		n := 1
		if err == nil && repeated {
			n, err = strconv.Atoi(times)
		}
		if err != nil || i < 0 || i >= len(in.Shards) || n < 1 || n > SlotCount-len(owner) {
			return nil, fmt.Errorf("run %q at slot %d is out of range", run, len(owner))
		}
		owner = append(owner, slices.Repeat(in.Shards[i:i+1], n)...)
	}
	if len(owner) != SlotCount {
		return nil, fmt.Errorf("%d slots instead of %d", len(owner), SlotCount)
	}
	return owner, nil
}

// rangesJSON: the first range has no key, the others their lower bounds.
type rangesJSON struct {
	Type   string      `json:"type"`
	Ranges []entryJSON `json:"ranges"`
}

// MarshalJSON writes {"type":"int","ranges":[{"shard":"s1"},{"key":"1000000","shard":"s2"}]}: keys are inclusive lower
// bounds, and the first range, which has none, is open below.
func (r *Ranges) MarshalJSON() ([]byte, error) {
	ranges := append([]entryJSON{{Shard: r.first}}, encodeEntries(r.bounds)...)
	return json.Marshal(rangesJSON{Type: r.keyType.String(), Ranges: ranges})
}

// UnmarshalJSON reads what MarshalJSON writes into Ranges that nobody uses yet.
func (r *Ranges) UnmarshalJSON(data []byte) error {
	var in rangesJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("read ranges: %w", err)
	}
	if len(in.Ranges) == 0 || in.Ranges[0].Key != nil || in.Ranges[0].Hex != nil {
		return errors.New("read ranges: the first range must be open below")
	}
	t, bounds, err := decodeEntries(in.Type, in.Ranges[1:])
	if err != nil {
		return fmt.Errorf("read ranges: %w", err)
	}
	ranges, err := NewRanges(t, in.Ranges[0].Shard, bounds)
	if err != nil {
		return fmt.Errorf("read ranges: %w", err)
	}
	*r = *ranges
	return nil
}

type listJSON struct {
	Type    string      `json:"type"`
	Values  []entryJSON `json:"values"`
	Default ShardID     `json:"default,omitempty"`
}

// MarshalJSON writes {"type":"text","values":[{"key":"de","shard":"s1"}],"default":"s2"}, the values sorted.
func (l *List) MarshalJSON() ([]byte, error) {
	values := encodeEntries(l.values.sorted)
	return json.Marshal(listJSON{Type: l.keyType.String(), Values: values, Default: l.other})
}

// UnmarshalJSON reads what MarshalJSON writes into a List that nobody uses yet.
func (l *List) UnmarshalJSON(data []byte) error {
	var in listJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("read list: %w", err)
	}
	t, values, err := decodeEntries(in.Type, in.Values)
	if err != nil {
		return fmt.Errorf("read list: %w", err)
	}
	list, err := NewList(t, values, in.Default)
	if err != nil {
		return fmt.Errorf("read list: %w", err)
	}
	*l = *list
	return nil
}
