package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse: whatever the bytes, Parse returns a Config whose export can be read, or an *Error; it never panics.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range append(files, "../../../../config.example.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(shop))
	f.Add([]byte(minimal("${X:-y}") + "pool: {size: 0x1}\n"))
	f.Add([]byte("a: &a [*a, <<: *a, ? b]\n--- |\n x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := Parse("fuzz.yaml", text, fakeEnv())
		var faults *Error
		switch {
		case err == nil:
			if again, err := Parse("fuzz.yaml", Export(cfg), fakeEnv()); err == nil {
				sameConfig(t, cfg, again)
			} else if !strings.Contains(err.Error(), "in place of a secret") {
				t.Errorf("the exported file: %v", err)
			}
			if changes, err := Compare(cfg, cfg); err != nil || len(changes) == 0 {
				t.Errorf("%d changes to itself: %v", len(changes), err)
			}
		case !errors.As(err, &faults) || len(faults.Problems) == 0 || err.Error() == "":
			t.Errorf("error %T %v", err, err)
		}
	})
}
