package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "250ms": 250 * time.Millisecond, "5s": 5 * time.Second, "1.5s": 1500 * time.Millisecond, "1h30m": 90 * time.Minute,
		"1d": day, "90d": 90 * day, "1d12h": 36 * time.Hour, "106751d": 106751 * day,
	} {
		if got, err := ParseDuration(text); err != nil || got.Std() != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "1.5", "-1s", "+1s", "1x", "d", "1dd", "1h1d", "1.5d", "106752d", "106751d24h", "99999999999999999999d", "inf", "1e3", " 1s"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 90 * day: "90d", 36 * time.Hour: "36h", 1500 * time.Millisecond: "1500ms", 7: "7ns"} {
		if got := Duration(d).String(); got != want {
			t.Errorf("String of %d = %q, want %q", d, got, want)
		}
	}
}

func TestPeriodsAreScalars(t *testing.T) {
	cfg := parse(t, minimal("x")+"tables:\n  - {name: a, shard_key: [b], partition: {column: At, every: 7d, keep: 12mo, drop: true}}\n")
	if p := cfg.Tables[0].Partition; p.Column != "at" || p.Every.String() != "1w" || p.AheadOrDefault().String() != "3w" || p.Keep.String() != "1y" || !p.On() {
		t.Errorf("partition is %+v", p)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "0B": 0, "512B": 512, "64KiB": 64 << 10, "8MiB": 8 << 20, "1GiB": 1 << 30, "2TiB": 2 << 40} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "B", "-1B", "+1B", "64KB", "64kB", "1.5MiB", "1 MiB", "9999999TiB", "1KiBB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %v", text, got)
		}
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]float64{"0/s": 0, "500/s": 500, "5k/s": 5000, "60/m": 1, "12k/m": 200, "36M/h": 10000} {
		if got, err := ParseRate(text); err != nil || got.PerSecond() != want {
			t.Errorf("ParseRate(%q) = %v, %v; want %v per second", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "5/", "/s", "-1/s", "+1/s", "5/d", "5K/s", "1.5/s", "k/s", "9999999999999999999/s", "9223372036854775807M/s"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("ParseRate(%q) = %v", text, got)
		}
	}
	if got := (Rate{}).String(); got != "0/s" {
		t.Errorf("the zero rate is %q", got)
	}
}

func TestTypedValuesReadWhatTheyWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n")
		if got, err := ParseDuration(Duration(n).String()); err != nil || got != Duration(n) {
			t.Errorf("duration %s reads as %v, %v", Duration(n), got, err)
		}
		if got, err := ParseSize(Size(n).String()); err != nil || got != Size(n) {
			t.Errorf("size %s reads as %v, %v", Size(n), got, err)
		}
		rate := Rate{Events: n, Per: rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "per")}
		if got, err := ParseRate(rate.String()); err != nil || got != rate {
			t.Errorf("rate %s reads as %v, %v", rate, got, err)
		}
		name := Name{Schema: drawIdent(t), Table: drawIdent(t)}
		if got, err := ParseName(name.String()); err != nil || got != name {
			t.Errorf("name %s reads as %#v, %v", name, got, err)
		}
		if got, err := ParseName(name.Short()); err != nil || got != name {
			t.Errorf("short name %s reads as %#v, %v", name.Short(), got, err)
		}
	})
}

func drawIdent(t *rapid.T) Ident {
	return Ident(rapid.StringMatching(`[a-zA-Z0-9_ ."ü$-]{1,30}`).Draw(t, "identifier"))
}

func TestNamesAreReadAsSQL(t *testing.T) {
	for text, want := range map[string]Name{
		"orders":             {"public", "orders"},
		"Public.Orders":      {"public", "orders"},
		`shop."Order ""x"""`: {"shop", `Order "x"`},
		`"a.b".c$1`:          {"a.b", "c$1"},
		"ünder.Ä":            {"ünder", "Ä"},
	} {
		if got, err := ParseName(text); err != nil || got != want {
			t.Errorf("ParseName(%q) = %#v, %v; want %#v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "a.", ".a", "a.b.c", `"a`, `""`, "1a", "a b", "a-b", `a"b"`, "a.b c", "\"\x00\"",
		"a123456789012345678901234567890123456789012345678901234567890123"} {
		if got, err := ParseName(text); err == nil {
			t.Errorf("ParseName(%q) = %#v", text, got)
		}
	}
}

func TestSuggestionsAreNear(t *testing.T) {
	known := []string{"password", "database", "role", "s1", "s12"}
	for word, want := range map[string]string{
		"pasword": "password", "pswd": "password", "Password": "password", "databse": "database", "rol": "role", "s2": "s1",
		"xyz": "", "": "", "p": "",
	} {
		hint := ""
		if want != "" {
			hint = `did you mean "` + want + `"?`
		}
		if got := didYouMean(word, known); got != hint {
			t.Errorf("didYouMean(%q) = %q, want %q", word, got, hint)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
