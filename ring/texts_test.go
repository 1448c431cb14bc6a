package ring

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// edgeTexts are the texts at the edges of each type, valid or not.
func edgeTexts(t KeyType) []string {
	switch t {
	case KeyInt:
		return []string{"0", "-0", "+0", "1", "-1", "42", "32767", "32768", "-32768", "2147483647", "2147483648", "-2147483648", "-2147483649",
			"4294967295", "4294967296", "-4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
			"-9223372036854775809", "18446744073709551616", "99999999999999999999999", " 7", "7 ", "\t\n\v\f\r 7 \t", "007", "+7", "- 7", "--7",
			"", " ", "-", "+", "7a", "a7", "7 7", "7.0", "7e0", "7.", "1_000", "0x10", "0X1f", "-0x10", "0b101", "0o17", "0x", "_1", "1_", "٣", "7\u00a0", "infinity"}
	case KeyText:
		return []string{"", " ", "a", "ab", "abc", "abcd", "abcde", "abcdefg", "abcdefgh", "abcdefghi", "abcdefghij", "abcdefghijk",
			"abcdefghijkl", "abcdefghijklm", "abc ", " abc", "ABC", "é", "e\u0301", "日本語", "🐘", "\x01\x7f", "'", `\`, `\x41`, strings.Repeat("x", 3000)}
	case KeyUUID:
		return []string{"00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff",
			"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
			"a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "a0eebc999c0b-4ef8bb6d6bb9bd380a11",
			"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "{}", "", "{", "}", "a0e-ebc999c0b4ef8bb6d6bb9bd380a11",
			"-a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11-", "a0eebc99--9c0b4ef8bb6d6bb9bd380a11",
			" a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11 ", "a0eebc999c0b4ef8bb6d6bb9bd380a1", "a0eebc999c0b4ef8bb6d6bb9bd380a111",
			"g0eebc999c0b4ef8bb6d6bb9bd380a11", "{{a0eebc999c0b4ef8bb6d6bb9bd380a11}}", "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}
	case KeyTimestamp, KeyTimestampTZ:
		return edgeTimestamps()
	case KeyNumeric:
		return edgeNumerics()
	case KeyBytea:
		return []string{"", `\x`, `\x00`, `\xDEADbeef`, `\xde ad be ef`, "\\x de\n\tad\r", `\xd`, `\xd e`, `\xdg`, `\x 0`, `\X00`, " \\x00", "abc", `a\\b`, `\000`, `\001\377`,
			`\400`, `\38`, `\1`, `\12`, `\`, `\\`, `\\\`, `\a`, `a\`, "é", "\x01\x7f", `\x` + strings.Repeat("ab", 127), `\x` + strings.Repeat("ab", 128),
			`\x` + strings.Repeat("cd", 129), `\x` + strings.Repeat("00", 1500)}
	default:
		return nil
	}
}

func edgeTimestamps() []string {
	texts := []string{"infinity", "-infinity", "+infinity", "Infinity", " -INFINITY ", "inf", "-inf", "now", "epoch", "today", "", " "}
	for _, s := range []string{"2000-01-01 00:00:00", "1999-12-31 23:59:59.999999", "1970-01-01 00:00:00", "2024-02-29 12:34:56", "2023-02-29 12:34:56",
		"2100-02-29 00:00:00", "2000-02-29T23:59", "2024-01-02", " 2024-01-02 03:04:05 ", "2024-01-02T03:04:05.1", "2024-01-02 03:04:05.000001",
		"2024-01-02 03:04:05.1234567", "2024-01-02 03:04:05.", "2024-01-02 03:04:60", "2024-01-02 03:04:61", "2024-01-02 03:60:00", "2024-01-02 24:00:00",
		"2024-01-02 24:00:01", "2024-01-02 25:00:00", "2024-13-02 00:00:00", "2024-00-02 00:00:00", "2024-01-00 00:00:00", "2024-01-32 00:00:00", "2024-04-31 00:00:00",
		"0000-01-01 00:00:00", "0001-01-01 00:00:00", "0001-12-31 23:59:59 BC", "0004-02-29 00:00:00 BC", "0005-02-29 00:00:00 BC", "0044-03-15 BC",
		"4714-11-24 00:00:00 BC", "4714-11-23 23:59:59.999999 BC", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "294277-01-01 00:00:00",
		"999999-01-01 00:00:00", "10000-01-01 00:00:00", "99999-12-31 00:00:00", "24-01-02 00:00:00", "2024-1-2 3:4:5", "20240102 030405", "01/02/2024 00:00:00",
		"2024-01-02 10:30.5", "2024-01-02  03:04:05", "2024-01-02\t03:04:05", "2024-01-02t03:04:05", "2024-01-02 03:04:05 AD", "2024-01-02 03:04:05 PM", "2024-01-02 03",
		"2024-01-02 ", "2024-01-02T", "2024-001", "Jan 2 2024", "2024-01-02 03:04:05BC", "2024-01-02 03:04:05 bc"} {
		texts = append(texts, s)
		era := ""
		if strings.HasSuffix(s, " BC") {
			s, era = s[:len(s)-3], " BC"
		}
		for _, zone := range []string{"Z", "z", "+00", "-00", "+05:30", "-0330", "+15:59:59", "-15:59:59", "+14", "+16", "+5", "+053", "+05:3", "+05:60", "+05:30:60", " +02", " UTC", " CET", "+", "-02:00:00"} {
			texts = append(texts, s+zone+era)
		}
	}
	return texts
}

func edgeNumerics() []string {
	texts := []string{"NaN", "nan", " NaN ", "+NaN", "-NaN", "Infinity", "inf", "+inf", "-inf", "-Infinity", "+Infinity", "infi", "Infinityy", "- inf",
		"", " ", ".", "-", "+", "e5", ".e5", "1e", "1e+", "1e-", "1e5x", "1.2.3", "1..2", "1 2", "0x10", "1_000", "1e 5", "1e1_0", "--1", "+-1", "1,5", "..1", "1.e", "_1", "1._5"}
	for _, s := range []string{"0", "0.0", "00", ".0", "0.", "0e5", "0e-5", "0e16383", "0e-16383", "0e-16384", "0e99999", "0e1073741822", "0e1073741823", "0e-1073741823", "1e1073741823", "1", "1.0", "1.00", "01", "10", "100", "1000", "10000", "100000", "1e4", "1e8", "1e-4",
		"1e-3", "1e-5", "0.1", "0.01", "0.001", "0.0001", "0.00001", "9999", "9999.9999", "10000.0001", "99999999.99999999", "1.5", "12.34e5", "12.34e-5", "1E5", "1e+5", "1e0", "1.e2", ".5e1", "5.",
		"123456789012345678901234567890.123456789", "1e131071", "1e131072", "9e131071", "1e131068", "1e200000", "1e-16383", "1e-16384", "1.5e-16382", "1.5e-16383", "1e99999999999999999999",
		"0." + strings.Repeat("0", 16382) + "1", "0." + strings.Repeat("0", 16383) + "1", strings.Repeat("9", 131072), strings.Repeat("9", 131073), "1" + strings.Repeat("0", 999) + "." + strings.Repeat("0", 500) + "1"} {
		texts = append(texts, s, "-"+s, " +"+s+"\n")
	}
	return texts
}

// randomTexts mixes valid values in many spellings with some that are damaged.
func randomTexts(t KeyType, n int, rnd *rand.Rand) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = randomText(t, rnd)
		if rnd.IntN(8) == 0 {
			texts[i] = damage(texts[i], rnd)
		}
	}
	return texts
}

func randomText(t KeyType, rnd *rand.Rand) string {
	switch t {
	case KeyInt:
		return pad(strconv.FormatInt(int64(rnd.Uint64())>>rnd.IntN(64), 10), rnd)
	case KeyText:
		runes := make([]rune, rnd.IntN(40))
		for i := range runes {
			runes[i] = rune(1 + rnd.IntN([]int{0x7e, 0x7ff, 0xd000}[rnd.IntN(3)]))
		}
		return string(runes)
	case KeyUUID:
		return randomUUID(rnd)
	case KeyTimestamp, KeyTimestampTZ:
		return randomTimestamp(rnd)
	case KeyNumeric:
		return pad(randomNumeric(rnd), rnd)
	case KeyBytea:
		return randomBytea(rnd)
	default:
		return ""
	}
}

// damage replaces, drops or inserts one character.
func damage(s string, rnd *rand.Rand) string {
	runes := []rune(s)
	at := rnd.IntN(len(runes) + 1)
	c := []rune("0123456789aAfFgxX-+.:eE_ \\{}TZBC\té")
	with := []rune{c[rnd.IntN(len(c))]}
	if rnd.IntN(3) == 0 {
		with = nil
	}
	until := min(at+rnd.IntN(2), len(runes))
	return string(runes[:at]) + string(with) + string(runes[until:])
}

func pad(s string, rnd *rand.Rand) string {
	blanks := []string{"", "", "", " ", "\t ", "\n"}
	return blanks[rnd.IntN(len(blanks))] + s + blanks[rnd.IntN(len(blanks))]
}

func randomUUID(rnd *rand.Rand) string {
	s := fmt.Sprintf("%016x%016x", rnd.Uint64()>>rnd.IntN(64), rnd.Uint64())
	hyphens := rnd.IntN(256)
	if rnd.IntN(2) == 0 {
		hyphens = 0b0011110 // as printed
	}
	var b strings.Builder
	for i := 0; i < 32; i += 4 {
		b.WriteString(s[i : i+4])
		if i < 28 && hyphens>>(i/4)&1 == 1 {
			b.WriteByte('-')
		}
	}
	switch rnd.IntN(4) {
	case 0:
		return "{" + b.String() + "}"
	case 1:
		return strings.ToUpper(b.String())
	default:
		return b.String()
	}
}

func randomTimestamp(rnd *rand.Rand) string {
	year := []int{1 + rnd.IntN(9999), 1900 + rnd.IntN(200), 1 + rnd.IntN(294300)}[rnd.IntN(3)]
	s := fmt.Sprintf("%04d-%02d-%02d%c%02d:%02d:%02d", year, 1+rnd.IntN(12), 1+rnd.IntN(31), " T"[rnd.IntN(2)], rnd.IntN(24), rnd.IntN(60), rnd.IntN(60))
	if rnd.IntN(2) == 0 {
		digits := 1 + rnd.IntN(6)
		s += "." + fmt.Sprintf("%06d", rnd.IntN(1_000_000))[:digits]
	}
	if rnd.IntN(5) > 0 {
		s += []string{"Z", "+00", fmt.Sprintf("%+03d", rnd.IntN(31)-15), fmt.Sprintf("%+03d:%02d", rnd.IntN(31)-15, rnd.IntN(60)), "-03:30:15"}[rnd.IntN(5)]
	}
	if rnd.IntN(10) == 0 && year < 4714 {
		s += " BC"
	}
	return s
}

func randomNumeric(rnd *rand.Rand) string {
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = '0'
			if rnd.IntN(3) > 0 {
				b[i] += byte(rnd.IntN(10))
			}
		}
		return string(b)
	}
	s := []string{"", "-", "+"}[rnd.IntN(3)] + digits(rnd.IntN(25))
	if rnd.IntN(2) == 0 {
		s += "." + digits(rnd.IntN(25))
	}
	if rnd.IntN(3) == 0 {
		s += fmt.Sprintf("%c%d", "eE"[rnd.IntN(2)], rnd.IntN(400)-200)
	}
	return s
}

func randomBytea(rnd *rand.Rand) string {
	raw := make([]byte, rnd.IntN(60))
	for i := range raw {
		raw[i] = byte(rnd.Uint32())
	}
	if rnd.IntN(2) == 0 {
		return `\x` + hex.EncodeToString(raw)
	}
	var b strings.Builder
	for _, c := range raw {
		switch {
		case c == '\\':
			b.WriteString(`\\`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// randomNumericBinary is often valid, never short of digits, with zero digits and a scale that hides some.
func randomNumericBinary(rnd *rand.Rand) []byte {
	n := rnd.IntN(5)
	signs := []uint16{0, 0, 0, 0x4000, 0x4000, 0xC000, 0xD000, 0xF000, 0x8000}
	scales := []uint16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 16383, 16384}
	b := binary.BigEndian.AppendUint16(nil, uint16(n))
	b = binary.BigEndian.AppendUint16(b, uint16([]int{rnd.IntN(8) - 4, rnd.IntN(8) - 4, rnd.IntN(65536)}[rnd.IntN(3)]))
	b = binary.BigEndian.AppendUint16(b, signs[rnd.IntN(len(signs))])
	b = binary.BigEndian.AppendUint16(b, scales[rnd.IntN(len(scales))])
	for range n {
		b = binary.BigEndian.AppendUint16(b, uint16([]int{0, 1, 9999, rnd.IntN(10000), rnd.IntN(10000), rnd.IntN(10100)}[rnd.IntN(6)]))
	}
	return b
}
