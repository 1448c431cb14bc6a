package router

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
)

// Parametric is a statement of the simple protocol with parameters in the places of constants. All that have the same text and types are one
// statement to a server, which need not parse and plan it each time.
//
// In a SELECT those are the constants that its shard keys are compared with, in a write all that it has: see inertly.
type Parametric struct {
	SQL    []byte
	Types  []uint32 // of the parameters; 0: what the server takes it for
	Values [][]byte // in the text format; valid as long as the message is

	client []byte // the client's text, valid as long as the message is
	places []place
}

// place is where a constant stands in the client's text: bytes [start:end).
type place struct{ start, end int }

// int4Digits is how many digits of an integer constant make it an int4 for certain (PostgreSQL manual, "Numeric Constants").
const int4Digits = 9

// parametricLiteral is a literal for which there may be a parameter.
type parametricLiteral struct {
	index   int // of the literals of the text
	integer bool
}

// CallsUser reports whether the statement may call a function of a user's.
func (s *Statement) CallsUser() bool { return s.callsUser }

// IsKey reports whether parameter $(i+1) is compared with a shard key by equality, and stands nowhere else, so that it has the key's type.
func (s *Statement) IsKey(i int) bool {
	for j := range s.needs {
		for k := range s.needs[j].any {
			if o := &s.needs[j].any[k]; o.kind == operandParam && o.index == i {
				return !o.shared && !o.array && !o.stored && o.cast == castNone
			}
		}
	}
	return false
}

// parametric finds the literals for which PostgreSQL reads a parameter in the same way, as the analysis knows. Those of a statement in which
// something asks for the statement's own text are none. Written are those that inertly has found.
func (a *analysis) parametric(written []parametricLiteral) []parametricLiteral {
	st, s := a.st, &a.survey
	if st.Verb != Plain || st.route != routeRows || st.insertion != nil || st.explained != nil || st.out != nil ||
		s.maxParam > 0 || s.into || s.locking || s.callsUser || s.volatileCalls {
		return nil
	}
	switch st.Access {
	case Read:
		return ascending(a.comparedKeys())
	case Write:
		if len(written) == len(a.src.literals) {
			return written
		}
	}
	return nil
}

// comparedKeys finds the literals that are compared with a key by equality, as they stand.
func (a *analysis) comparedKeys() []parametricLiteral {
	var found []parametricLiteral
	for i := range a.st.needs {
		if len(a.st.needs[i].any) != 1 {
			continue
		}
		o := &a.st.needs[i].any[0]
		if o.kind != operandLiteral || o.negative || o.array || o.stored || o.cast != castNone {
			continue
		}
		switch {
		case o.lit == sql.Integer && o.keyType == ring.KeyInt:
			found = append(found, parametricLiteral{index: o.index, integer: true})
		case o.lit == sql.String, o.lit == sql.EString, o.lit == sql.DollarString:
			found = append(found, parametricLiteral{index: o.index})
		}
	}
	return found
}

// ascending sorts literals by their place, and takes out what is there twice.
func ascending(list []parametricLiteral) []parametricLiteral {
	slices.SortFunc(list, func(a, b parametricLiteral) int { return a.index - b.index })
	return slices.Compact(list)
}

// IsFixed reports whether the text that Parametric gives is the same each time that this is so for the Statement.
func (b *Bound) IsFixed() bool {
	l, ok := b.Values.(*literals)
	if !ok || !b.recalled || len(l.list) == 0 || len(l.list) != len(b.literals) {
		return false
	}
	behind := l.text[l.list[len(l.list)-1].End:]
	return bytes.IndexByte(behind, '/') < 0 && bytes.IndexByte(behind, '-') < 0 // comments at the end may differ
}

// Parametric gives the statement with parameters, and its text only if asked for; false if there are none for which it is certain to mean the
// same. What p held before is lost.
func (b *Bound) Parametric(p *Parametric, withText bool) bool {
	l, ok := b.Values.(*literals)
	if !ok || l.rows != nil || len(b.literals) == 0 || b.expanded != "" {
		return false
	}
	p.SQL, p.Types, p.Values, p.places, p.client = p.SQL[:0], p.Types[:0], p.Values[:0], p.places[:0], l.text
	for _, k := range b.literals {
		_, data, ok := l.literal(k.index)
		if !ok || k.integer && !isShortInteger(data) {
			return false
		}
		oid := uint32(0)
		if k.integer {
			oid = oidInt4
		}
		p.Types, p.Values = append(p.Types, oid), append(p.Values, data)
		p.places = append(p.places, place{l.list[k.index].Start, l.list[k.index].End})
	}
	if withText {
		p.write()
	}
	return true
}

// isShortInteger reports whether a constant is a short integer in digits alone: PostgreSQL 15 reads 1_0 as 1 and a name.
func isShortInteger(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) <= int4Digits
}

func (p *Parametric) write() {
	from := 0
	for i, at := range p.places {
		p.SQL = appendParam(append(p.SQL, p.client[from:at.start]...), i)
		from = at.end
	}
	p.SQL = append(p.SQL, p.client[from:]...)
}

// appendParam writes $(i+1), and a space, since a word may follow the literal without one.
func appendParam(out []byte, i int) []byte {
	return append(strconv.AppendInt(append(out, '$'), int64(i+1), 10), ' ')
}

// Position gives the place in the client's text, in characters from 1, for one in SQL, as long as the message is. Of a parameter that is the
// beginning of its constant.
func (p *Parametric) Position(at int) int {
	from, gone := 0, 0 // the client's text is looked at from here; characters of SQL before that
	var param [12]byte
	for i, place := range p.places {
		between := utf8.RuneCount(p.client[from:place.start])
		if at <= gone+between {
			break
		}
		gone, from = gone+between, place.start
		size := len(appendParam(param[:0], i))
		if at <= gone+size {
			at = gone + 1
			break
		}
		gone, from = gone+size, place.end
	}
	return utf8.RuneCount(p.client[:from]) + at - gone
}
