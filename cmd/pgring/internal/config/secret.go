package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Mask is what is printed in place of a secret.
const Mask = "******"

// Secret is a text that is never printed: every way of formatting it gives Mask. It came from a file, an environment
// variable or the configuration file itself, and is read when the configuration is, so RELOAD reads it again.
type Secret struct {
	text *string // a pointer, because fmt prints the fields of a struct inside an unexported field without asking
	file string
	env  string
}

// PlainSecret returns a secret that is written in the configuration itself.
func PlainSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the secret text. What it returns must not be logged or shown.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet tells whether the file gave this secret, be it empty.
func (s Secret) IsSet() bool { return s.text != nil }

// Equal tells whether both secrets have the same text and are both set.
func (s Secret) Equal(o Secret) bool { return s.IsSet() == o.IsSet() && s.Reveal() == o.Reveal() }

// Source returns where the secret is kept, as the file says it: "{file: /run/x}", "{env: X}", or Mask for a plain one.
func (s Secret) Source() string {
	switch {
	case s.file != "":
		return "{file: " + s.file + "}"
	case s.env != "":
		return "{env: " + s.env + "}"
	default:
		return s.String()
	}
}

// String returns Mask, or nothing when the secret is not set.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return Mask
}

// Format writes Mask for every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText gives Mask, which covers XML, map keys and YAML encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON gives Mask.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue gives Mask to slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
