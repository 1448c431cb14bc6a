package config

import (
	"errors"
	"strings"
)

// Path is a file's path. A relative one is taken from the folder of the configuration file; Parse has already joined them.
type Path string

// Ident is an SQL identifier as the catalogs have it: folded to lower case unless it was written in double quotes.
type Ident string

// String returns the identifier as SQL, quoted when it needs to be.
func (i Ident) String() string {
	for n, r := range string(i) {
		plain := r == '_' || r >= 'a' && r <= 'z' || n > 0 && r >= '0' && r <= '9'
		if !plain {
			return `"` + strings.ReplaceAll(string(i), `"`, `""`) + `"`
		}
	}
	return string(i)
}

// ParseIdent reads one SQL identifier.
func ParseIdent(text string) (Ident, error) {
	ident, rest, err := cutIdent(text)
	if err == nil && rest != "" {
		return "", errors.New(`expected one column name, written as in SQL`)
	}
	return ident, err
}

// Name is the name of a table.
type Name struct {
	Schema Ident
	Table  Ident
}

// ParseName reads schema.table or table (then the schema is public), written as in SQL.
func ParseName(text string) (Name, error) {
	first, rest, err := cutIdent(text)
	if err != nil || rest == "" {
		return Name{Schema: "public", Table: first}, err
	}
	if rest[0] != '.' {
		return Name{}, errors.New("expected schema.table, written as in SQL")
	}
	second, rest, err := cutIdent(rest[1:])
	if err == nil && rest != "" {
		err = errors.New("expected schema.table, written as in SQL")
	}
	return Name{Schema: first, Table: second}, err
}

// String returns schema.table as SQL.
func (n Name) String() string {
	if n == (Name{}) {
		return ""
	}
	return n.Schema.String() + "." + n.Table.String()
}

// Short returns the name without the schema public.
func (n Name) Short() string {
	if n.Schema == "public" {
		return n.Table.String()
	}
	return n.String()
}

// cutIdent reads an identifier at the start of text and returns what follows it.
func cutIdent(text string) (Ident, string, error) {
	if strings.HasPrefix(text, `"`) {
		return cutQuoted(text[1:])
	}
	end := 0
	for end < len(text) && identByte(text[end], end) {
		end++
	}
	if end == 0 {
		return "", "", errors.New("expected a name, written as in SQL")
	}
	if end > maxIdent {
		return "", "", errors.New("the name is longer than the 63 bytes that PostgreSQL keeps")
	}
	return Ident(lowerASCII(text[:end])), text[end:], nil
}

// maxIdent is NAMEDATALEN - 1 of PostgreSQL.
const maxIdent = 63

func identByte(b byte, position int) bool {
	letter := b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
	return letter || position > 0 && (b >= '0' && b <= '9' || b == '$')
}

// lowerASCII folds as PostgreSQL does in a UTF-8 database: ASCII letters only.
func lowerASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

func cutQuoted(text string) (Ident, string, error) {
	var name strings.Builder
	for {
		part, rest, ok := strings.Cut(text, `"`)
		name.WriteString(part)
		if !ok {
			return "", "", errors.New(`the quoted name has no closing "`)
		}
		if !strings.HasPrefix(rest, `"`) {
			return checkQuoted(name.String(), rest)
		}
		name.WriteByte('"')
		text = rest[1:]
	}
}

func checkQuoted(name, rest string) (Ident, string, error) {
	switch {
	case name == "" || strings.ContainsRune(name, 0):
		return "", "", errors.New("the quoted name is empty or holds a zero byte")
	case len(name) > maxIdent:
		return "", "", errors.New("the name is longer than the 63 bytes that PostgreSQL keeps")
	default:
		return Ident(name), rest, nil
	}
}
