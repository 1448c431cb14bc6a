package sql

// atomicBody follows CREATE FUNCTION|PROCEDURE … BEGIN ATOMIC …; …; END: the
// semicolons of such a body do not end the statement. The rule is psql's: in a
// CREATE [OR REPLACE] FUNCTION or PROCEDURE, BEGIN opens, CASE nests, END
// closes.
type atomicBody struct {
	words  int  // words seen, up to 4
	create bool // the statement is CREATE [OR REPLACE] FUNCTION|PROCEDURE
	over   bool // it is not, for certain
	depth  int
}

func (b *atomicBody) open() bool { return b.depth > 0 }

// word takes the next unquoted word of the statement.
func (b *atomicBody) word(w []byte) {
	if b.create {
		b.nest(w)
		return
	}
	b.words++
	switch {
	case b.words == 1 && equalFold(w, "create"):
	case (b.words == 2 || b.words == 4) && (equalFold(w, "function") || equalFold(w, "procedure")):
		b.create = true
	case b.words == 2 && equalFold(w, "or"), b.words == 3 && equalFold(w, "replace"):
	default:
		b.over = true
	}
}

func (b *atomicBody) nest(w []byte) {
	switch {
	case equalFold(w, "begin"):
		b.depth++
	case equalFold(w, "case") && b.depth > 0:
		b.depth++
	case equalFold(w, "end") && b.depth > 0:
		b.depth--
	}
}

// equalFold compares w with a lower-case ASCII word, ignoring ASCII case.
func equalFold(w []byte, word string) bool {
	if len(w) != len(word) {
		return false
	}
	for i, c := range w {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
