package ring

// KeyError says why a value is no key. There are two classes: PostgreSQL itself would refuse the value (Code is the
// SQLSTATE it would answer with), or PostgreSQL may well accept it but what it means cannot be told here (Code is
// empty), so that a router must refuse rather than guess. The value is left out on purpose: errors reach logs.
type KeyError struct {
	Type   KeyType
	Code   string // SQLSTATE, e.g. 22P02; empty: not understood here
	Reason string // lower-case phrase for a person
}

// The SQLSTATEs with which PostgreSQL refuses the text or the binary form of a key.
const (
	codeSyntax    = "22P02" // invalid_text_representation
	codeRange     = "22003" // numeric_value_out_of_range
	codeDateRange = "22008" // datetime_field_overflow
	codeBinary    = "22P03" // invalid_binary_representation
	codeHex       = "22023" // invalid_parameter_value
	codeCharacter = "22021" // character_not_in_repertoire
)

// Error implements error.
func (e *KeyError) Error() string { return "read " + e.Type.String() + " key: " + e.Reason }

// Understood reports whether the value is surely invalid (PostgreSQL refuses it with Code), as opposed to one that
// PostgreSQL may accept and only pgring cannot read.
func (e *KeyError) Understood() bool { return e.Code != "" }

func invalid(t KeyType, code, reason string) (Key, error) {
	return Key{}, &KeyError{Type: t, Code: code, Reason: reason}
}

func notUnderstood(t KeyType, reason string) (Key, error) {
	return Key{}, &KeyError{Type: t, Reason: reason}
}
