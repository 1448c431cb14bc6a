package sql

// Kind is the kind of a token.
type Kind uint8

// The kinds of tokens. Comments are tokens here, white space is not.
const (
	EOF          Kind = iota
	Error             // what PostgreSQL's lexer rejects: unterminated quotes, junk after numbers
	Other             // a byte that starts no token: PostgreSQL's parser rejects it
	Comment           // -- to the end of the line, or /* … */ with its nesting
	Ident             // unquoted identifier or keyword
	QuotedIdent       // "…"
	UIdent            // U&"…"
	Integer           // decimal digits (with _ between), any size
	Radix             // 0x…, 0o…, 0b…
	Float             // a number with a point or an exponent
	String            // '…', continuation lines included
	EString           // E'…'
	UString           // U&'…'
	DollarString      // $tag$…$tag$
	BitString         // b'…' or x'…'
	Param             // $n
	Operator          // an operator of one or more characters
	Punct             // , ( ) [ ] . ; : or one of ..  ::  :=
)

// Token is one token of a text: text[Start:End].
type Token struct {
	Kind       Kind
	Start, End int
}

// The classes of bytes by what they can begin.
const (
	classOther    = '.'
	classSpace    = 's'
	classLetter   = 'l' // starts an identifier
	classDigit    = 'd'
	classOperator = 'o'
	classPunct    = 'p'
	classQuote    = 'q'
	classDouble   = 'w'
	classDollar   = '$'
)

// classMap gives the class of each byte by a letter: s space, l letter, d digit,
// o operator, p punctuation, q quote, w double quote, $ dollar. A constant
// string is a table that nobody can change.
const classMap = "" +
	".........sssss..................sowo$ooqppoopopoddddddddddppoooo" +
	"ollllllllllllllllllllllllllp.polollllllllllllllllllllllllll.o.o." +
	"llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll" +
	"llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll" // bytes above 127 are letters

func isDigit(c byte) bool { return c-'0' <= 9 }

func isSpace(c byte) bool { return classMap[c] == classSpace }

// identMap says y for the bytes that continue an identifier.
const identMap = "" +
	"....................................y...........yyyyyyyyyy......" +
	".yyyyyyyyyyyyyyyyyyyyyyyyyy....y.yyyyyyyyyyyyyyyyyyyyyyyyyy....." +
	"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" +
	"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"

// identPart says whether c continues an identifier.
func identPart(c byte) bool { return identMap[c] == 'y' }
