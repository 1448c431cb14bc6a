package pgwire

import (
	"testing"

	"pgregory.net/rapid"
)

func TestErrorsRoundTrip(t *testing.T) {
	text := rapid.StringMatching(`[^\x00]*`)
	rapid.Check(t, func(t *rapid.T) {
		want := Error{
			Severity: rapid.SampledFrom([]string{"", "ERROR", "FATAL", "PANIC"}).Draw(t, "severity"),
			Code:     text.Draw(t, "code"), Message: text.Draw(t, "message"), Detail: text.Draw(t, "detail"),
			Hint: text.Draw(t, "hint"), Where: text.Draw(t, "where"), Position: rapid.IntRange(0, 1<<31).Draw(t, "position"),
		}
		got := ParseError(AppendError([]byte("before"), &want)[len("before"):])
		if want.Severity == "" {
			want.Severity = "ERROR"
		}
		if *got != want {
			t.Fatalf("error %+v came back as %+v", want, *got)
		}
	})
}

func TestErrorsHaveTheFieldsOfTheManual(t *testing.T) {
	got := string(AppendError(nil, &Error{Code: "22P02", Message: "bad", Hint: "good", Position: 7}))
	if want := "E\x00\x00\x00\x28SERROR\x00VERROR\x00C22P02\x00Mbad\x00Hgood\x00P7\x00\x00"; got != want {
		t.Errorf("error is\n%q, want\n%q", got, want)
	}
	got = string(AppendNotice(nil, &Error{Severity: "WARNING", Code: "01000", Message: "m"}))
	if want := "N\x00\x00\x00\x21SWARNING\x00VWARNING\x00C01000\x00Mm\x00\x00"; got != want {
		t.Errorf("notice is\n%q, want\n%q", got, want)
	}
	if got := ParseError(AppendNotice(nil, &Error{Message: "m"})); got.Severity != "NOTICE" {
		t.Errorf("severity of a notice is %q", got.Severity)
	}
	if got := (&Error{Code: "22P02", Message: "bad"}).Error(); got != "bad (SQLSTATE 22P02)" {
		t.Errorf("error reads %q", got)
	}
}

func TestNULInAnErrorDoesNotBreakTheFrame(t *testing.T) {
	got := ParseError(AppendError(nil, &Error{Code: "22P02", Message: "invalid input \"a\x00CXXXXX\x00\"", Detail: "still here"}))
	if got.Code != "22P02" || got.Message != "invalid input \"a" || got.Detail != "still here" {
		t.Errorf("error came back as %+v", got)
	}
}

func TestMalformedErrorGivesWhatCouldBeRead(t *testing.T) {
	frame := AppendError(nil, &Error{Code: "22P02", Message: "bad", Detail: "torn"})
	for cut := HeaderSize; cut < len(frame); cut++ {
		if got := ParseError(frame[:cut]); cut > len(frame)-3 && (got.Code != "22P02" || got.Message != "bad") {
			t.Errorf("cut after %d bytes: %+v", cut, got)
		}
	}
	if got := ParseError([]byte("E\x00\x00\x00\x0dSWARNUNG\x00Pxx\x00Znew\x00\x00")); got.Severity != "WARNUNG" || got.Position != 0 {
		t.Errorf("unknown fields: %+v", got)
	}
}
