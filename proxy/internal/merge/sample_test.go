package merge

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// sample is one value of a type in both formats with what it means, written down without the code under test.
type sample struct {
	text   string
	binary []byte
	means  meaning
}

// meaning is comparable by the plainest means: a rank for special values, then a number, then bytes.
type meaning struct {
	special int // -1 and +1 for infinities, +2 for NaN
	number  *big.Rat
	bytes   string
}

func (m meaning) compare(o meaning) int {
	if m.special != o.special {
		return m.special - o.special
	}
	if m.number != nil && o.number != nil {
		if c := m.number.Cmp(o.number); c != 0 {
			return c
		}
	}
	return strings.Compare(m.bytes, o.bytes)
}

func whole(n int64) meaning { return meaning{number: new(big.Rat).SetInt64(n)} }

// kinds draws samples of each sort type.
var kinds = map[uint32]func(*rapid.T) sample{
	oidBool: func(t *rapid.T) sample {
		if rapid.Bool().Draw(t, "bool") {
			return sample{"t", []byte{1}, whole(1)}
		}
		return sample{"f", []byte{0}, whole(0)}
	},
	oidInt2: func(t *rapid.T) sample {
		n := rapid.Int16().Draw(t, "int2")
		return sample{fmt.Sprint(n), binary.BigEndian.AppendUint16(nil, uint16(n)), whole(int64(n))}
	},
	oidInt4: func(t *rapid.T) sample {
		n := rapid.Int32().Draw(t, "int4")
		return sample{fmt.Sprint(n), binary.BigEndian.AppendUint32(nil, uint32(n)), whole(int64(n))}
	},
	oidInt8: func(t *rapid.T) sample {
		n := rapid.Int64().Draw(t, "int8")
		return sample{fmt.Sprint(n), int8Bytes(n), whole(n)}
	},
	oidOID: func(t *rapid.T) sample {
		n := rapid.Uint32().Draw(t, "oid")
		return sample{fmt.Sprint(n), binary.BigEndian.AppendUint32(nil, n), whole(int64(n))}
	},
	oidFloat4:      drawFloat4,
	oidFloat8:      drawFloat8,
	oidNumeric:     drawNumeric,
	oidDate:        drawDate,
	oidTime:        drawTime,
	oidTimestamp:   drawTimestamp,
	oidTimestampTZ: drawTimestampTZ,
	oidUUID: func(t *rapid.T) sample {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid")
		text := fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		return sample{text, b, meaning{bytes: string(b)}}
	},
	oidBytea: func(t *rapid.T) sample {
		b := rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "bytea")
		return sample{`\x` + hex.EncodeToString(b), b, meaning{bytes: string(b)}}
	},
	oidText: func(t *rapid.T) sample {
		s := rapid.StringN(0, 4, -1).Draw(t, "text")
		return sample{s, []byte(s), meaning{bytes: s}}
	},
}

func floatMeaning(f float64) meaning {
	switch {
	case math.IsNaN(f):
		return meaning{special: 2}
	case math.IsInf(f, 1):
		return meaning{special: 1}
	case math.IsInf(f, -1):
		return meaning{special: -1}
	}
	return meaning{number: new(big.Rat).SetFloat64(f)}
}

func floatText(f float64, bits int) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

func drawFloat8(t *rapid.T) sample {
	edges := rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, math.NaN(), math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat64})
	f := rapid.OneOf(edges, rapid.Float64()).Draw(t, "float8")
	return sample{floatText(f, 64), binary.BigEndian.AppendUint64(nil, math.Float64bits(f)), floatMeaning(f)}
}

func drawFloat4(t *rapid.T) sample {
	edges := rapid.SampledFrom([]float32{0, float32(math.Copysign(0, -1)), 0.1, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))})
	f := rapid.OneOf(edges, rapid.Float32()).Draw(t, "float4")
	return sample{floatText(float64(f), 32), binary.BigEndian.AppendUint32(nil, math.Float32bits(f)), floatMeaning(float64(f))}
}

func drawNumeric(t *rapid.T) sample {
	switch rapid.IntRange(0, 12).Draw(t, "numeric") {
	case 0:
		return sample{"NaN", []byte{0, 0, 0, 0, 0xC0, 0, 0, 0}, meaning{special: 2}}
	case 1:
		return sample{"Infinity", []byte{0, 0, 0, 0, 0xD0, 0, 0, 32}, meaning{special: 1}}
	case 2:
		return sample{"-Infinity", []byte{0, 0, 0, 0, 0xF0, 0, 0, 32}, meaning{special: -1}}
	}
	scale := rapid.IntRange(0, 9).Draw(t, "scale")
	digits := new(big.Int).SetUint64(rapid.Uint64().Draw(t, "digits"))
	digits.Mul(digits, powerOfTen(rapid.SampledFrom([]int{0, 0, 0, 1, 4, 30}).Draw(t, "zeros")))
	if rapid.Bool().Draw(t, "negative") {
		digits.Neg(digits)
	}
	r := new(big.Rat).SetFrac(digits, powerOfTen(scale))
	return sample{r.FloatString(scale), wireNumeric(digits, scale), meaning{number: r}}
}

// wireNumeric is digits × 10^-scale in numeric's binary format.
func wireNumeric(digits *big.Int, scale int) []byte {
	base, padded := big.NewInt(10000), (scale+3)/4*4
	rest := new(big.Int).Mul(new(big.Int).Abs(digits), powerOfTen(padded-scale))
	var groups []uint16
	for rest.Sign() > 0 {
		group := new(big.Int)
		rest.DivMod(rest, base, group)
		groups = append([]uint16{uint16(group.Uint64())}, groups...)
	}
	weight := len(groups) - 1 - padded/4
	for len(groups) > 0 && groups[len(groups)-1] == 0 {
		groups = groups[:len(groups)-1]
	}
	if len(groups) == 0 {
		weight = 0
	}
	sign := uint16(0)
	if digits.Sign() < 0 {
		sign = 0x4000
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(len(groups)))
	b = binary.BigEndian.AppendUint16(b, uint16(int16(weight)))
	b = binary.BigEndian.AppendUint16(b, sign)
	b = binary.BigEndian.AppendUint16(b, uint16(scale))
	for _, group := range groups {
		b = binary.BigEndian.AppendUint16(b, group)
	}
	return b
}

// instant draws a moment between 4700 BC and 200000 AD, often a near one.
func instant(t *rapid.T) time.Time {
	first, last := time.Date(-4700, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(200000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	seconds := rapid.OneOf(rapid.Int64Range(first, last), rapid.Int64Range(946684700, 946684900)).Draw(t, "seconds")
	micros := rapid.SampledFrom([]int64{0, 0, 500_000, 1, 999_999, 120}).Draw(t, "micros")
	return time.Unix(seconds, micros*1000).UTC()
}

func micros2000(at time.Time) int64 {
	return (at.Unix()-946684800)*1_000_000 + int64(at.Nanosecond()/1000)
}

// isoDateText writes a date as PostgreSQL does, and " BC" for the end of the text.
func isoDateText(at time.Time) (text, era string) {
	year, era := at.Year(), ""
	if year <= 0 {
		year, era = 1-year, " BC"
	}
	return fmt.Sprintf("%04d-%02d-%02d", year, at.Month(), at.Day()), era
}

func drawDate(t *rapid.T) sample {
	at := instant(t)
	text, era := isoDateText(at)
	days := at.Truncate(24*time.Hour).Unix()/86400 - 10957
	return sample{text + era, binary.BigEndian.AppendUint32(nil, uint32(days)), whole(days)}
}

func drawTime(t *rapid.T) sample {
	at := instant(t)
	micros := micros2000(at) - micros2000(time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC))
	return sample{at.Format("15:04:05.999999"), int8Bytes(micros), whole(micros)}
}

func drawTimestamp(t *rapid.T) sample {
	at := instant(t)
	text, era := isoDateText(at)
	return sample{text + at.Format(" 15:04:05.999999") + era, int8Bytes(micros2000(at)), whole(micros2000(at))}
}

func drawTimestampTZ(t *rapid.T) sample {
	switch rapid.IntRange(0, 15).Draw(t, "infinite") {
	case 0:
		return sample{"infinity", int8Bytes(math.MaxInt64), whole(math.MaxInt64)}
	case 1:
		return sample{"-infinity", int8Bytes(math.MinInt64), whole(math.MinInt64)}
	}
	at := instant(t)
	zone := rapid.SampledFrom([]int{0, 3600, -3 * 3600, 20700, 1172, -41732}).Draw(t, "zone")
	local := at.In(time.FixedZone("", zone))
	text, era := isoDateText(local)
	offset := local.Format("-07")
	if zone%3600 != 0 {
		offset = local.Format("-07:00")
	}
	if zone%60 != 0 {
		offset = local.Format("-07:00:00")
	}
	return sample{text + local.Format(" 15:04:05.999999") + offset + era, int8Bytes(micros2000(at)), whole(micros2000(at))}
}
