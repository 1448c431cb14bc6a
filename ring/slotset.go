package ring

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// SlotSet is an immutable set of keys: those of some slots, give or take single keys. It is what moves, what is hidden, what a shard
// owns. The zero value is empty; a nil set is, too.
type SlotSet struct {
	words [SlotCount / 64]uint64
	count int
	keys  []Key // sorted. Of a slot that is in the set they are not; of another one they are
}

// NewSlotSet returns the set of these slots; those out of range are left out.
func NewSlotSet(slots []Slot) *SlotSet {
	s := &SlotSet{}
	for _, slot := range slots {
		s.add(slot)
	}
	return s
}

func (s *SlotSet) add(slot Slot) {
	if slot < SlotCount && !s.whole(slot) {
		s.words[slot/64] |= 1 << (slot % 64)
		s.count++
	}
}

// With returns the set with these keys, too.
func (s *SlotSet) With(keys ...Key) *SlotSet {
	return s.toggled(keys, true)
}

// WithoutKeys returns the set without these keys.
func (s *SlotSet) WithoutKeys(keys ...Key) *SlotSet {
	return s.toggled(keys, false)
}

func (s *SlotSet) toggled(keys []Key, want bool) *SlotSet {
	next := &SlotSet{}
	if s != nil {
		next.words, next.count, next.keys = s.words, s.count, slices.Clone(s.keys)
	}
	for _, k := range keys {
		next.put(k, want)
	}
	return next
}

// put lets a set that nobody else knows yet have a key, or not.
func (s *SlotSet) put(k Key, want bool) {
	at, exception := slices.BinarySearchFunc(s.keys, k, Key.Compare)
	switch isOne := s.whole(k.Slot()) != want; {
	case isOne && !exception:
		s.keys = slices.Insert(s.keys, at, k.Clone())
	case !isOne && exception:
		s.keys = slices.Delete(s.keys, at, at+1)
	}
}

// whole reports whether the slot is in the set, single keys apart.
func (s *SlotSet) whole(slot Slot) bool {
	return s != nil && slot < SlotCount && s.words[slot/64]&(1<<(slot%64)) != 0
}

// Has reports whether keys of the slot are in the set: all, or some. It does not allocate.
func (s *SlotSet) Has(slot Slot) bool {
	if s == nil || s.whole(slot) {
		return s != nil
	}
	for i := range s.keys {
		if s.keys[i].Slot() == slot {
			return true
		}
	}
	return false
}

// HasKey reports whether a key is in the set.
func (s *SlotSet) HasKey(k Key) bool {
	if s == nil {
		return false
	}
	_, exception := slices.BinarySearchFunc(s.keys, k, Key.Compare)
	return s.whole(k.Slot()) != exception
}

// Empty reports whether no key is in the set.
func (s *SlotSet) Empty() bool { return s == nil || s.count == 0 && len(s.keys) == 0 }

// Len returns the number of slots, without those of which only single keys are in the set.
func (s *SlotSet) Len() int {
	if s == nil {
		return 0
	}
	return s.count
}

// Slots lists the slots in order, without those of which only single keys are in the set.
func (s *SlotSet) Slots() []Slot {
	slots := make([]Slot, 0, s.Len())
	for slot := range Slot(SlotCount) {
		if s.whole(slot) {
			slots = append(slots, slot)
		}
	}
	return slots
}

// Keys lists the single keys that are in the set, and those that are not though their slot is, each in order.
func (s *SlotSet) Keys() (with, without []Key) {
	if s == nil {
		return nil, nil
	}
	for _, k := range s.keys {
		if s.whole(k.Slot()) {
			without = append(without, k)
		} else {
			with = append(with, k)
		}
	}
	return with, without
}

// Union returns the set of what is in either.
func (s *SlotSet) Union(o *SlotSet) *SlotSet {
	return s.combine(o, func(a, b uint64) uint64 { return a | b }, func(a, b bool) bool { return a || b })
}

// Without returns the set of what is not in the other.
func (s *SlotSet) Without(o *SlotSet) *SlotSet {
	return s.combine(o, func(a, b uint64) uint64 { return a &^ b }, func(a, b bool) bool { return a && !b })
}

// Overlaps reports whether some key is in both. A slot has more keys than a set has exceptions.
func (s *SlotSet) Overlaps(o *SlotSet) bool {
	return !s.combine(o, func(a, b uint64) uint64 { return a & b }, func(a, b bool) bool { return a && b }).Empty()
}

// combine applies an operation to the slots, and then to every key that is an exception in either set.
func (s *SlotSet) combine(o *SlotSet, words func(a, b uint64) uint64, keys func(a, b bool) bool) *SlotSet {
	r := &SlotSet{}
	for i := range r.words {
		r.words[i] = words(s.word(i), o.word(i))
		r.count += bits.OnesCount64(r.words[i])
	}
	for _, set := range []*SlotSet{s, o} {
		if set == nil {
			continue
		}
		for _, k := range set.keys {
			r.put(k, keys(s.HasKey(k), o.HasKey(k)))
		}
	}
	return r
}

// Split cuts what moves in one go into parts of no more than so many slots each.
func (s *SlotSet) Split(most int) []*SlotSet {
	slots, all := s.Slots(), []*SlotSet{}
	if most < 1 || len(slots) <= most {
		return append(all, s)
	}
	rest := s
	for part := range slices.Chunk(slots, most) {
		whole := NewSlotSet(part)
		all = append(all, whole.Without(whole.Without(s)))
		rest = rest.Without(whole)
	}
	if !rest.Empty() { // single keys
		all = append(all, rest)
	}
	return all
}

func (s *SlotSet) word(i int) uint64 {
	if s == nil {
		return 0
	}
	return s.words[i]
}

// String writes the slots as ranges, and behind a semicolon the keys that are exceptions: "0-5,7", "9;[{"type":"int","key":"42"}]".
// It is what [ParseSlotSet] reads.
func (s *SlotSet) String() string {
	var b strings.Builder
	for from := 0; from < SlotCount; from++ {
		if !s.whole(Slot(from)) {
			continue
		}
		to := from
		for s.whole(Slot(to + 1)) {
			to++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(from))
		if to > from {
			b.WriteString("-" + strconv.Itoa(to))
		}
		from = to
	}
	if s != nil && len(s.keys) > 0 {
		var entries []entryJSON
		for _, k := range s.keys {
			e := encodeEntry(Assignment{Key: k})
			e.Type = k.typ.String()
			entries = append(entries, e)
		}
		text, _ := json.Marshal(entries) // strings in a list can always be written
		b.WriteByte(';')
		b.Write(text)
	}
	return b.String()
}

// ParseSlotSet reads what String writes.
func ParseSlotSet(text string) (*SlotSet, error) {
	ranges, keys, exceptions := strings.Cut(text, ";")
	s, err := parseRanges(ranges)
	if err != nil || !exceptions {
		return s, err
	}
	var entries []entryJSON
	if err := json.Unmarshal([]byte(keys), &entries); err != nil {
		return nil, fmt.Errorf("read the keys of slots %q: %w", text, err)
	}
	for _, e := range entries {
		t, known := ParseKeyType(e.Type)
		if !known {
			return nil, fmt.Errorf("read the keys of slots %q: unknown key type %q", text, e.Type)
		}
		k, err := e.decodeKey(t)
		if err != nil {
			return nil, fmt.Errorf("read the keys of slots %q: %w", text, err)
		}
		s.put(k, !s.whole(k.Slot()))
	}
	return s, nil
}

func parseRanges(text string) (*SlotSet, error) {
	s := &SlotSet{}
	if text == "" {
		return s, nil
	}
	for _, part := range strings.Split(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("read slots %q: %w", part, err)
		}
		to, err := strconv.ParseUint(last, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("read slots %q: %w", part, err)
		}
		if to < from || to >= SlotCount {
			return nil, fmt.Errorf("read slots %q: there are %d slots", part, SlotCount)
		}
		for slot := from; slot <= to; slot++ {
			s.add(Slot(slot))
		}
	}
	return s, nil
}

// InSQL is the SQL condition that a key of type t is in the set: true, false, or NULL for a NULL key. Like [SlotExpr], of which
// it is made, it is IMMUTABLE and depends on nothing but the key's columns. Its cost grows with the single keys, not with the slots: it looks
// up one bit (PostgreSQL manual, "Binary String Functions and Operators": get_bit counts from the lowest bit of a byte).
func (s *SlotSet) InSQL(t KeyType, columns ...string) string {
	return s.inSQL(SlotExpr(t, columns...), func(keys []Key) string { return keysInSQL(t, columns, keys) })
}

// InHashSQL is InSQL for rows that have, in columns of their own, the hash of a key and its text as [Key.String] writes it.
func (s *SlotSet) InHashSQL(hash, text string) string {
	return s.inSQL(SlotOfHashExpr(hash), func(keys []Key) string { return textsInSQL(text, keys) })
}

func (s *SlotSet) inSQL(slot string, among func([]Key) string) string {
	with, without := s.Keys()
	if s.Len() == 0 && len(with) > 0 {
		return among(with)
	}
	data := make([]byte, SlotCount/8)
	for i := range data {
		data[i] = byte(s.word(i/8) >> (i % 8 * 8))
	}
	sql := `(pg_catalog.get_bit('\x` + hex.EncodeToString(data) + `'::pg_catalog.bytea, ` + slot + `) OPERATOR(pg_catalog.=) 1)`
	if len(without) > 0 {
		sql = "(" + sql + " AND NOT " + among(without) + ")"
	}
	if len(with) > 0 {
		sql = "(" + sql + " OR " + among(with) + ")"
	}
	return sql
}
