package backend_test

import (
	"slices"
	"testing"

	"github.com/pgring/pgring/backend"
)

func TestSettingsAreComparedByContent(t *testing.T) {
	a := settings("b", "SET b TO 1", "a", "SET a TO 2", "b", "SET b TO 3")
	want := []backend.Setting{{Name: "a", SQL: "SET a TO 2"}, {Name: "b", SQL: "SET b TO 3"}}
	if got := a.List(); !slices.Equal(got, want) || a.Len() != 2 {
		t.Errorf("got %v, want %v", got, want)
	}
	b := settings("a", "SET a TO 2").With("b", "SET b TO 0").With("b", "SET b TO 3")
	if !a.Equal(b) || !b.Equal(a) {
		t.Error("equal settings differ")
	}
	if b.With("b", "SET b TO 3") != b || b.Without("c") != b {
		t.Error("what changes nothing makes a new value")
	}
	if a.Equal(b.With("b", "SET b TO 4")) || a.Equal(nil) || a.Equal(b.Without("a")) {
		t.Error("different settings are equal")
	}
	var none *backend.Settings
	if !none.Equal(nil) || none.Len() != 0 || none.List() != nil || none.Without("a") != nil || backend.NewSettings(nil) != nil {
		t.Error("nil is not none")
	}
	if got := none.With("a", "SET a TO 2").Without("a"); got != nil {
		t.Errorf("without its only setting: %v", got.List())
	}
	if sql, ok := a.Lookup("b"); !ok || sql != "SET b TO 3" {
		t.Errorf("lookup: %q, %v", sql, ok)
	}
}

func TestSettingsWithTheSameTextInOtherPlacesDiffer(t *testing.T) {
	if settings("a", "b").Equal(settings("ab", "")) {
		t.Error("name and statement run together")
	}
}

func TestMeaningLeavesOutWhatChangesNone(t *testing.T) {
	base := settings("timezone", "SET timezone TO 'UTC'")
	for name, changes := range map[string][2]bool{"application_name": {}, "statement_timeout": {}, "shop.tenant": {true, false}, "transform_null_equals": {true, true}} {
		s := base.With(name, "SET "+name+" TO '7'")
		if got := [2]bool{s.Meaning() != base.Meaning(), s.CommonMeaning() != base.CommonMeaning()}; got != changes || s.Equal(base) {
			t.Errorf("%s: %v, want %v", name, got, changes)
		}
	}
	if none := (*backend.Settings)(nil); none.Meaning() != "" || none.CommonMeaning() != "" {
		t.Error("no settings have a meaning")
	}
}
