package config

import (
	"fmt"
	"strconv"
	"strings"
)

// writeSection writes a mapping in block style. The library's encoder is not used: it writes texts with line breaks or odd
// blanks in ways that its own parser does not read back.
func writeSection(out *strings.Builder, section []entry, indent string) {
	for _, e := range section {
		out.WriteString(indent + e.key + ":")
		writeValue(out, e.value, indent+"  ")
	}
}

func writeValue(out *strings.Builder, value any, indent string) {
	switch v := value.(type) {
	case []entry:
		out.WriteString("\n")
		writeSection(out, v, indent)
	case []any:
		writeList(out, v, indent)
	default:
		fmt.Fprintf(out, " %v\n", v)
	}
}

func writeList(out *strings.Builder, items []any, indent string) {
	if len(items) == 0 {
		out.WriteString(" []\n")
		return
	}
	out.WriteString("\n")
	for _, item := range items {
		section, ok := item.([]entry)
		if !ok {
			fmt.Fprintf(out, "%s- %v\n", indent, item)
			continue
		}
		var text strings.Builder
		writeSection(&text, section, indent+"  ")
		out.WriteString(indent + "- " + strings.TrimPrefix(text.String(), indent+"  "))
	}
}

// quote writes a text so that YAML reads it as this text: bare when it looks like nothing else, else in double quotes.
func quote(text string) string {
	if bare(text) {
		return text
	}
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteString("\\" + string(r))
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case strconv.IsPrint(r):
			out.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			fmt.Fprintf(&out, `\U%08X`, r)
		}
	}
	return out.String() + `"`
}

func bare(text string) bool {
	for i, r := range text {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '/'
		digit := r >= '0' && r <= '9'
		inside := i > 0 && (r == '_' || r == '-' || r == '.' || r == ':')
		if !letter && !digit && !inside {
			return false
		}
	}
	_, notFloat := strconv.ParseFloat(text, 64)
	_, notInt := strconv.ParseInt(text, 0, 64)
	switch strings.ToLower(text) {
	case "", "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return notFloat != nil && notInt != nil && !strings.HasSuffix(text, ":")
}
