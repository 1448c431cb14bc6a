package router

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
)

// Parametric is a SELECT of the simple protocol with parameters in the places of the constants that its shard keys are compared with. All that
// have the same text and types are one statement to a server, which need not parse and plan it each time.
type Parametric struct {
	SQL    []byte
	Types  []uint32 // of the parameters; 0: what the server takes it for
	Values [][]byte // in the text format; valid as long as the message is
}

// The type of an integer constant (PostgreSQL manual, "Numeric Constants").
const (
	int4OID    = 23
	int4Digits = 9 // so many fit for certain
)

// keyLiteral is a literal that stands for a parameter as well as for itself.
type keyLiteral struct {
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

// keyLiterals finds the literals of a SELECT that are compared with a key by equality, as they stand: of them the analysis knows that PostgreSQL
// reads a parameter in the same way. Those of a statement in which something asks for the statement's own text are none.
func (a *analysis) keyLiterals() []keyLiteral {
	st, s := a.st, &a.survey
	if st.Verb != Plain || st.Access != Read || st.route != routeRows || st.insertion != nil || st.explained != nil || st.out != nil ||
		s.maxParam > 0 || s.into || s.locking || s.callsUser || s.volatileCalls {
		return nil
	}
	var found []keyLiteral
	for i := range st.needs {
		if len(st.needs[i].any) != 1 {
			continue
		}
		o := &st.needs[i].any[0]
		if o.kind != operandLiteral || o.negative || o.array || o.stored || o.cast != castNone {
			continue
		}
		switch {
		case o.lit == sql.Integer && o.keyType == ring.KeyInt:
			found = append(found, keyLiteral{index: o.index, integer: true})
		case o.lit == sql.String, o.lit == sql.EString, o.lit == sql.DollarString:
			found = append(found, keyLiteral{index: o.index})
		}
	}
	return ascending(found)
}

// ascending sorts literals by their place, and takes out what is there twice.
func ascending(list []keyLiteral) []keyLiteral {
	slices.SortFunc(list, func(a, b keyLiteral) int { return a.index - b.index })
	return slices.Compact(list)
}

// IsFixed reports whether the text that Parametric gives is the same each time that this is so for the Statement.
func (b *Bound) IsFixed() bool {
	l, ok := b.Values.(*literals)
	if !ok || !b.recalled || len(l.list) == 0 || len(l.list) != len(b.keyLiterals) {
		return false
	}
	behind := l.text[l.list[len(l.list)-1].End:]
	return bytes.IndexByte(behind, '/') < 0 && bytes.IndexByte(behind, '-') < 0 // comments at the end may differ
}

// Parametric gives a SELECT with parameters in the places of its keys, and its text only if asked for; false if it has none for which that is
// certain to mean the same. What p held before is lost.
func (b *Bound) Parametric(p *Parametric, withText bool) bool {
	l, ok := b.Values.(*literals)
	if !ok || l.rows != nil || len(b.keyLiterals) == 0 || b.expanded != "" {
		return false
	}
	p.SQL, p.Types, p.Values = p.SQL[:0], p.Types[:0], p.Values[:0]
	for _, k := range b.keyLiterals {
		_, data, ok := l.literal(k.index)
		if !ok || k.integer && len(data) > int4Digits {
			return false
		}
		oid := uint32(0)
		if k.integer {
			oid = int4OID
		}
		p.Types, p.Values = append(p.Types, oid), append(p.Values, data)
	}
	if withText {
		p.write(l, b.keyLiterals)
	}
	return true
}

func (p *Parametric) write(l *literals, keys []keyLiteral) {
	from := 0
	for i, k := range keys {
		lit := l.list[k.index]
		p.SQL = append(append(p.SQL, l.text[from:lit.Start]...), '$')
		p.SQL = append(strconv.AppendInt(p.SQL, int64(i+1), 10), ' ') // a word may follow the literal without a space
		from = lit.End
	}
	p.SQL = append(p.SQL, l.text[from:]...)
}
