package ring

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestSlotsOfTheDesignAreTheSame(t *testing.T) {
	for _, c := range []struct {
		typ  KeyType
		text string
		slot Slot
	}{
		{KeyInt, "42", 7114},
		{KeyText, "abc", 10390},
		{KeyUUID, "00000000-0000-0000-0000-000000000001", 3037},
	} {
		k, err := ParseKey(c.typ, []byte(c.text))
		if err != nil || k.Slot() != c.slot {
			t.Errorf("%v %q is in slot %d (%v), not %d", c.typ, c.text, k.Slot(), err, c.slot)
		}
	}
}

// The answers of PostgreSQL for these are checked by TestVectorsMatchServer; what is not understood is our own choice.
func TestWhatDependsOnSessionOrVersionIsNotUnderstood(t *testing.T) {
	for _, c := range []struct {
		typ  KeyType
		text string
	}{
		{KeyUnset, "1"},
		{KeyInt, "0x10"}, {KeyInt, "-0b1"}, {KeyInt, "0o17"}, {KeyInt, "1_000"},
		{KeyNumeric, "0x10"}, {KeyNumeric, "1_000.5"}, {KeyNumeric, "1e 5"}, {KeyNumeric, "1e1_0"},
		{KeyTimestamp, "now"}, {KeyTimestamp, "epoch"}, {KeyTimestamp, "01/02/2024"}, {KeyTimestamp, "24-01-02"},
		{KeyTimestamp, "2024-01-02 10:30.5"}, {KeyTimestamp, "2024-01-02 10:00:00.1234567"},
		{KeyTimestamp, "2024-01-02 10:00:00 PM"}, {KeyTimestamp, "2024-01-02 10:00 Europe/Paris"},
		{KeyTimestamp, "2024-01-02 24:00:00"}, {KeyTimestamp, "2024-01-02 10:00:60"}, {KeyTimestamp, "20240102"},
		{KeyTimestampTZ, "2024-01-02 10:00:00"}, {KeyTimestampTZ, "2024-01-02"},
		{KeyTimestampTZ, "2024-01-02 10:00:00 CET"}, {KeyTimestampTZ, "2024-01-02 10:00:00+16"},
	} {
		_, err := ParseKey(c.typ, []byte(c.text))
		var keyError *KeyError
		if !errors.As(err, &keyError) || keyError.Understood() {
			t.Errorf("%v %q: %v", c.typ, c.text, err)
		}
	}
}

func TestInvalidBinaryKeysHavePostgresCodes(t *testing.T) {
	numeric := func(words ...uint16) string {
		var b []byte
		for _, w := range words {
			b = append(b, byte(w>>8), byte(w))
		}
		return string(b)
	}
	for _, c := range []struct {
		typ  KeyType
		bin  string
		code string
	}{
		{KeyInt, "", codeBinary}, {KeyInt, "\x00\x00\x01", codeBinary},
		{KeyText, "a\x00b", codeCharacter},
		{KeyUUID, "0123456789abcde", codeBinary},
		{KeyTimestamp, "1234567", codeBinary}, {KeyTimestamp, "\x7f\xff\xff\xff\xff\xff\xff\xfe", codeDateRange},
		{KeyNumeric, "", codeBinary}, {KeyNumeric, numeric(1, 0, 0, 0), codeBinary},
		{KeyNumeric, numeric(1, 0, 0, 0, 10000), codeBinary}, {KeyNumeric, numeric(1, 0, 1, 0, 1), codeBinary},
		{KeyNumeric, numeric(1, 0, 0, 0x4000, 1), codeBinary}, {KeyNumeric, numeric(0, 0, 0, 0, 1), codeBinary},
	} {
		_, err := DecodeKey(c.typ, []byte(c.bin))
		var keyError *KeyError
		if !errors.As(err, &keyError) || keyError.Code != c.code {
			t.Errorf("%v %x: %v, not %s", c.typ, c.bin, err, c.code)
		}
	}
}

func TestKeysPrintAsPostgresReadsThem(t *testing.T) {
	for _, c := range []struct {
		typ        KeyType
		text, want string
	}{
		{KeyInt, " +007 ", "7"},
		{KeyInt, "-9223372036854775808", "-9223372036854775808"},
		{KeyUUID, "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{KeyTimestamp, "2024-02-29T12:30:00.5+07", "2024-02-29 12:30:00.5"},
		{KeyTimestampTZ, "2024-02-29T12:30:00.5+07", "2024-02-29 05:30:00.5+00"},
		{KeyTimestamp, "0044-03-15 BC", "0044-03-15 00:00:00 BC"},
		{KeyTimestampTZ, "-INFINITY", "-infinity"},
		{KeyNumeric, "-00012345.67800e2", "-1234567.8"},
		{KeyNumeric, "1.20e100", "1.2e100"},
		{KeyNumeric, "0.0012", "0.0012"},
		{KeyNumeric, "12e-8", "1.2e-7"},
		{KeyNumeric, "-0.000", "0"},
		{KeyNumeric, "-inf", "-Infinity"},
		{KeyBytea, `a\\b\001`, `\x615c6201`},
		{KeyBytea, `\xDE AD`, `\xdead`},
	} {
		k, err := ParseKey(c.typ, []byte(c.text))
		if err != nil || k.String() != c.want {
			t.Errorf("%v %q is %q (%v), not %q", c.typ, c.text, k, err, c.want)
		}
	}
}

func TestCloneOutlivesTheBytesItWasReadFrom(t *testing.T) {
	text := []byte("abc")
	k, err := ParseKey(KeyText, text)
	if err != nil {
		t.Fatal(err)
	}
	kept := k.Clone()
	text[0] = 'x'
	if kept.String() != "abc" || k.String() != "xbc" {
		t.Errorf("clone %q, key %q", kept, k)
	}
}

func TestReadingKeysDoesNotAllocate(t *testing.T) {
	for typ, text := range map[KeyType]string{
		KeyInt: "-1234567890123", KeyText: strings.Repeat("text ", 100), KeyUUID: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
		KeyTimestamp: "2024-02-29 12:30:00.123456", KeyTimestampTZ: "2024-02-29 12:30:00+05:30",
	} {
		b, sum := []byte(text), Slot(0)
		if n := testing.AllocsPerRun(100, func() {
			k, _ := ParseKey(typ, b)
			sum += k.Slot()
		}); n != 0 {
			t.Errorf("%v: %v allocations", typ, n)
		}
	}
	for typ, bin := range map[KeyType]string{
		KeyInt: "1234", KeyText: "abc", KeyUUID: "0123456789abcdef", KeyTimestamp: "\x00\x001234\x00\x00", KeyBytea: "abc",
	} {
		b, sum := []byte(bin), Slot(0)
		if n := testing.AllocsPerRun(100, func() {
			k, _ := DecodeKey(typ, b)
			sum += k.Slot()
		}); n != 0 {
			t.Errorf("binary %v: %v allocations", typ, n)
		}
	}
}

func TestIntRangeIsThatOfBigint(t *testing.T) {
	for text, want := range map[string]int64{"9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64, "-0": 0} {
		if k, err := ParseKey(KeyInt, []byte(text)); err != nil || int64(k.lo) != want {
			t.Errorf("%s is %v (%v)", text, k, err)
		}
	}
}

func BenchmarkParseInt(b *testing.B) {
	text := []byte("123456789")
	for b.Loop() {
		ParseKey(KeyInt, text)
	}
}

func BenchmarkParseUUID(b *testing.B) {
	text := []byte("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
	for b.Loop() {
		ParseKey(KeyUUID, text)
	}
}

func BenchmarkHashText(b *testing.B) {
	k := Key{typ: KeyText, data: []byte("customer-00012345@example.com")}
	for b.Loop() {
		k.Hash()
	}
}
