package ring

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// SlotSet is an immutable set of slots. The zero value is empty; a nil set is, too.
type SlotSet struct {
	words [SlotCount / 64]uint64
	count int
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
	if slot < SlotCount && !s.Has(slot) {
		s.words[slot/64] |= 1 << (slot % 64)
		s.count++
	}
}

// Has reports whether the slot is in the set. It does not allocate.
func (s *SlotSet) Has(slot Slot) bool {
	return s != nil && slot < SlotCount && s.words[slot/64]&(1<<(slot%64)) != 0
}

// Len returns the number of slots.
func (s *SlotSet) Len() int {
	if s == nil {
		return 0
	}
	return s.count
}

// Slots lists the set in order.
func (s *SlotSet) Slots() []Slot {
	slots := make([]Slot, 0, s.Len())
	for slot := range Slot(SlotCount) {
		if s.Has(slot) {
			slots = append(slots, slot)
		}
	}
	return slots
}

// Union returns the set of what is in either.
func (s *SlotSet) Union(o *SlotSet) *SlotSet {
	u := &SlotSet{}
	for i := range u.words {
		u.words[i] = s.word(i) | o.word(i)
		u.count += bits.OnesCount64(u.words[i])
	}
	return u
}

// Without returns the set of what is not in the other.
func (s *SlotSet) Without(o *SlotSet) *SlotSet {
	d := &SlotSet{}
	for i := range d.words {
		d.words[i] = s.word(i) &^ o.word(i)
		d.count += bits.OnesCount64(d.words[i])
	}
	return d
}

// Overlaps reports whether some slot is in both.
func (s *SlotSet) Overlaps(o *SlotSet) bool {
	for i := range SlotCount / 64 {
		if s.word(i)&o.word(i) != 0 {
			return true
		}
	}
	return false
}

func (s *SlotSet) word(i int) uint64 {
	if s == nil {
		return 0
	}
	return s.words[i]
}

// String writes the set as ranges: "0-5,7". It is what [ParseSlotSet] reads.
func (s *SlotSet) String() string {
	var b strings.Builder
	for from := 0; from < SlotCount; from++ {
		if !s.Has(Slot(from)) {
			continue
		}
		to := from
		for s.Has(Slot(to + 1)) {
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
	return b.String()
}

// ParseSlotSet reads what String writes.
func ParseSlotSet(text string) (*SlotSet, error) {
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

// InSQL is the SQL condition that the slot of a column of key type t is in the set: true, false, or NULL for a NULL key. Like
// [SlotExpr], of which it is made, it is IMMUTABLE and depends on nothing but the column, and its cost does not grow with the set:
// it looks up one bit (PostgreSQL manual, "Binary String Functions and Operators": get_bit counts from the lowest bit of a byte).
func (s *SlotSet) InSQL(t KeyType, column string) string {
	data := make([]byte, SlotCount/8)
	for i := range data {
		data[i] = byte(s.word(i/8) >> (i % 8 * 8))
	}
	return `(pg_catalog.get_bit('\x` + hex.EncodeToString(data) + `'::pg_catalog.bytea, ` + SlotExpr(t, column) + `) OPERATOR(pg_catalog.=) 1)`
}
