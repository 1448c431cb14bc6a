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

// class is what a byte can begin.
type class uint8

const (
	classOther class = iota
	classSpace
	classLetter // starts an identifier
	classDigit
	classOperator
	classPunct
	classQuote
	classDouble
	classDollar
)

// classes maps a byte to its class, and identPart to whether it continues an
// identifier. They are arrays filled by constant expressions of the compiler's
// own, so they are read-only data.
var classes = [256]class{
	' ': classSpace, '\t': classSpace, '\n': classSpace, '\r': classSpace, '\f': classSpace, '\v': classSpace,
	'0': classDigit, '1': classDigit, '2': classDigit, '3': classDigit, '4': classDigit,
	'5': classDigit, '6': classDigit, '7': classDigit, '8': classDigit, '9': classDigit,
	'~': classOperator, '!': classOperator, '@': classOperator, '#': classOperator, '^': classOperator,
	'&': classOperator, '|': classOperator, '`': classOperator, '?': classOperator, '+': classOperator,
	'-': classOperator, '*': classOperator, '/': classOperator, '%': classOperator, '<': classOperator,
	'>': classOperator, '=': classOperator,
	',': classPunct, '(': classPunct, ')': classPunct, '[': classPunct, ']': classPunct, '.': classPunct,
	';': classPunct, ':': classPunct,
	'\'': classQuote, '"': classDouble, '$': classDollar, '_': classLetter,
	'a': classLetter, 'b': classLetter, 'c': classLetter, 'd': classLetter, 'e': classLetter, 'f': classLetter,
	'g': classLetter, 'h': classLetter, 'i': classLetter, 'j': classLetter, 'k': classLetter, 'l': classLetter,
	'm': classLetter, 'n': classLetter, 'o': classLetter, 'p': classLetter, 'q': classLetter, 'r': classLetter,
	's': classLetter, 't': classLetter, 'u': classLetter, 'v': classLetter, 'w': classLetter, 'x': classLetter,
	'y': classLetter, 'z': classLetter,
	'A': classLetter, 'B': classLetter, 'C': classLetter, 'D': classLetter, 'E': classLetter, 'F': classLetter,
	'G': classLetter, 'H': classLetter, 'I': classLetter, 'J': classLetter, 'K': classLetter, 'L': classLetter,
	'M': classLetter, 'N': classLetter, 'O': classLetter, 'P': classLetter, 'Q': classLetter, 'R': classLetter,
	'S': classLetter, 'T': classLetter, 'U': classLetter, 'V': classLetter, 'W': classLetter, 'X': classLetter,
	'Y': classLetter, 'Z': classLetter,
}

func classOf(c byte) class {
	if c >= 0x80 {
		return classLetter
	}
	return classes[c]
}

// identPart says whether c continues an identifier.
func identPart(c byte) bool {
	cl := classOf(c)
	return cl == classLetter || cl == classDigit || c == '$'
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isSpace(c byte) bool { return classes[c] == classSpace }
