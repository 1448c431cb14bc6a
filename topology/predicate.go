package topology

import (
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/ring"
)

// predicate writes the SQL condition of the rows that a shard owns. Values travel as text parameters, cast to the key's type.
type predicate struct {
	columns []string // quoted
	keyType ring.KeyType
	format  string // of a key of one column, the SQL type to cast values to: the widest of the key type, so that no value is rounded or cut
	args    []any
}

func newPredicate(columns []string, keyType ring.KeyType) *predicate {
	format := keyType.String() // uuid, text, … are the names of SQL types too
	if keyType == ring.KeyInt {
		format = "int8"
	}
	quoted := make([]string, len(columns))
	for i, name := range columns {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	return &predicate{columns: quoted, keyType: keyType, format: format}
}

// owned is the condition on the key for the rows that a shard owns under the group's placement.
func (p *predicate) owned(g group, id ring.ShardID) string {
	switch g.strategy {
	case Range:
		return p.ownedRanges(g.layout, id)
	case List:
		return p.ownedLists(g.layout, id)
	case Consistent, Hash, StrategyUnset:
	}
	return p.ownedSlots(g.slots, id)
}

// ownedSlots is: the slot is owned and the key not pinned away, or the key is pinned here.
func (p *predicate) ownedSlots(m *ring.Map, id ring.ShardID) string {
	owned := ring.NewSlotSet(m.Slots(id))
	for _, pin := range m.Pins() {
		switch {
		case pin.Key.Type() != p.keyType:
		case pin.Shard == id:
			owned = owned.With(pin.Key)
		default:
			owned = owned.WithoutKeys(pin.Key)
		}
	}
	return owned.InSQL(p.keyType, p.columns...)
}

func (p *predicate) ownedRanges(l Layout, id ring.ShardID) string {
	column := p.columns[0]
	if p.keyType == ring.KeyText {
		column += ` COLLATE "C"` // the order of ring.Key
	}
	ranges := []string{"false"}
	for i, b := range l.Ranges {
		if b.Shard != id {
			continue
		}
		within := []string{column + " IS NOT NULL"}
		if b.From != nil {
			within = append(within, column+" >= "+p.value(*b.From))
		}
		if i+1 < len(l.Ranges) && l.Ranges[i+1].From != nil {
			within = append(within, column+" < "+p.value(*l.Ranges[i+1].From))
		}
		ranges = append(ranges, "("+strings.Join(within, " AND ")+")")
	}
	return strings.Join(ranges, " OR ")
}

func (p *predicate) ownedLists(l Layout, id ring.ShardID) string {
	var here, all []string
	for _, listed := range l.Lists {
		all = append(all, listed.Values...)
		if listed.Shard == id {
			here = append(here, listed.Values...)
		}
	}
	where := p.in(here)
	if l.Default == id {
		where += " OR NOT " + p.in(all)
	}
	return where
}

// in is the condition that the key is one of the values.
func (p *predicate) in(values []string) string {
	return p.columns[0] + " = ANY (" + p.arg(append([]string{}, values...)) + "::text[]::" + p.format + "[])"
}

func (p *predicate) value(text string) string { return "(" + p.arg(text) + "::text)::" + p.format }

// arg adds a parameter and gives its name.
func (p *predicate) arg(value any) string {
	p.args = append(p.args, value)
	return "$" + strconv.Itoa(len(p.args))
}
