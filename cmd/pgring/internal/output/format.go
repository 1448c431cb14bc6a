package output

import (
	"fmt"
	"strings"
)

// Format is how a result is written. It is a flag's value; the zero Format is unset.
type Format string

// The formats.
const (
	AsTable Format = "table"
	AsJSON  Format = "json"
	AsCSV   Format = "csv"
)

// Flag is a flag that takes one of some formats.
type Flag struct {
	Format  Format
	Allowed []Format // the first one is the default
}

// NewFlag returns a flag for the given formats, set to the first one.
func NewFlag(allowed ...Format) *Flag { return &Flag{Format: allowed[0], Allowed: allowed} }

// String returns the chosen format.
func (f *Flag) String() string { return string(f.Format) }

// Set chooses a format.
func (f *Flag) Set(text string) error {
	for _, a := range f.Allowed {
		if text == string(a) {
			f.Format = a
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", strings.Join(f.Names(), ", "))
}

// Type names the choices in help texts.
func (f *Flag) Type() string { return strings.Join(f.Names(), "|") }

// Names lists the allowed formats.
func (f *Flag) Names() []string {
	names := make([]string, len(f.Allowed))
	for i, a := range f.Allowed {
		names[i] = string(a)
	}
	return names
}
