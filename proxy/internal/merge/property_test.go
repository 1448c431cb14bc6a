package merge

import (
	"bytes"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// modelRow is a row and what its columns mean; nil is NULL.
type modelRow struct {
	frame []byte
	means []*meaning
}

// table is a random merge: its columns, order, and the rows of each shard.
type table struct {
	spec   router.Merge
	fields []pgwire.Field
	shards [][]modelRow
}

// sortTypes are the types of kinds in a fixed order, so that a seed reproduces a run.
func sortTypes() []uint32 { return slices.Sorted(maps.Keys(kinds)) }

func drawTable(t *rapid.T) table {
	var tab table
	for i := range rapid.IntRange(1, 4).Draw(t, "columns") {
		tab.fields = append(tab.fields, pgwire.Field{
			Name: fmt.Sprint("c", i), Type: rapid.SampledFrom(sortTypes()).Draw(t, "type"), Format: int16(rapid.IntRange(0, 1).Draw(t, "format")),
		})
	}
	for range rapid.IntRange(1, 3).Draw(t, "keys") {
		tab.spec.Order = append(tab.spec.Order, router.SortKey{
			Column: rapid.IntRange(0, len(tab.fields)-1).Draw(t, "key"), Bytewise: true,
			Desc: rapid.Bool().Draw(t, "desc"), NullsFirst: rapid.Bool().Draw(t, "nulls first"),
		})
	}
	tab.spec.Limit = rapid.SampledFrom([]int64{-1, -1, 0, 1, 5, 100}).Draw(t, "limit")
	tab.spec.Offset = rapid.SampledFrom([]int64{0, 0, 1, 7, 100}).Draw(t, "offset")
	tab.spec.Hidden = rapid.IntRange(0, len(tab.fields)-1).Draw(t, "hidden")
	pool := make([][]sample, len(tab.fields)) // few different values, so that keys are often equal
	for i, field := range tab.fields {
		pool[i] = rapid.SliceOfN(rapid.Custom(kinds[field.Type]), 1, 6).Draw(t, "pool")
	}
	for range rapid.IntRange(1, 6).Draw(t, "shards") {
		var rows []modelRow
		for range rapid.IntRange(0, 12).Draw(t, "rows") {
			rows = append(rows, drawRow(t, tab.fields, pool))
		}
		slices.SortStableFunc(rows, tab.compare)
		tab.shards = append(tab.shards, rows)
	}
	return tab
}

func drawRow(t *rapid.T, fields []pgwire.Field, pool [][]sample) modelRow {
	var values [][]byte
	var means []*meaning
	for i, field := range fields {
		n := rapid.IntRange(-1, len(pool[i])-1).Draw(t, "value")
		if n < 0 {
			values, means = append(values, nil), append(means, nil)
			continue
		}
		data := pool[i][n].binary
		if field.Format == formatText {
			data = []byte(pool[i][n].text)
		}
		values, means = append(values, append([]byte{}, data...)), append(means, &pool[i][n].means)
	}
	return modelRow{pgwire.AppendDataRow(nil, values), means}
}

// compare orders rows as the manual says of ORDER BY.
func (tab *table) compare(a, b modelRow) int {
	for _, key := range tab.spec.Order {
		left, right := a.means[key.Column], b.means[key.Column]
		c := 0
		switch {
		case left == nil && right == nil:
		case left == nil || right == nil:
			c = 1
			if (left == nil) == key.NullsFirst {
				c = -1
			}
		case key.Desc:
			c = right.compare(*left)
		default:
			c = left.compare(*right)
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// model is the slow way to the same result.
func (tab *table) model() [][]byte {
	rows := slices.Concat(tab.shards...)
	slices.SortStableFunc(rows, tab.compare)
	rows = rows[min(int(tab.spec.Offset), len(rows)):]
	if tab.spec.Limit >= 0 {
		rows = rows[:min(int(tab.spec.Limit), len(rows))]
	}
	var out [][]byte
	for _, row := range rows {
		out = append(out, visible(row.frame, len(tab.fields)-tab.spec.Hidden))
	}
	return out
}

// visible rebuilds a frame from its first columns.
func visible(frame []byte, columns int) []byte {
	body := pgwire.BodyOf(frame)
	body.Int16()
	values := make([][]byte, columns)
	for i := range values {
		if n := body.Int32(); n >= 0 {
			values[i] = body.Bytes(n)
		}
	}
	return pgwire.AppendDataRow(nil, values)
}

func TestMergeEqualsSortingEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		var sources []Source
		for _, rows := range tab.shards {
			m := &memory{}
			for _, row := range rows {
				m.rows = append(m.rows, row.frame)
			}
			sources = append(sources, m)
		}
		got, err := run(&tab.spec, tab.fields, sources)
		if err != nil {
			t.Fatalf("merge: %v", err)
		}
		want := tab.model()
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("merged\n got %q\nwant %q\norder %+v", got, want, tab.spec)
		}
	})
}

func TestTextAndBinaryFormatsMeanTheSame(t *testing.T) {
	for _, oid := range sortTypes() {
		t.Run(typeName(oid), func(t *testing.T) {
			text, binary := keyOf(t, oid, formatText), keyOf(t, oid, formatBinary)
			if oid == oidBytea {
				text.decode = byteaDecoded
			}
			rapid.Check(t, func(t *rapid.T) {
				s := kinds[oid](t)
				var a, b value
				if f := text.decode(&a, []byte(s.text)); f != sound {
					t.Fatalf("text %q: fault %d", s.text, f)
				}
				if f := binary.decode(&b, s.binary); f != sound {
					t.Fatalf("binary %x: fault %d", s.binary, f)
				}
				if a.compare(&b) != 0 {
					t.Fatalf("%q and %x differ: %+v, %+v", s.text, s.binary, a, b)
				}
			})
		})
	}
}

// byteaDecoded turns the hex form, which sorts as it is, into the bytes it stands for.
func byteaDecoded(v *value, data []byte) fault {
	if f := byteaText(v, data); f != sound {
		return f
	}
	v.data = nil
	for i := 2; i < len(data); i += 2 {
		high, _ := hexDigit(data[i])
		low, _ := hexDigit(data[i+1])
		v.data = append(v.data, high<<4|low)
	}
	return sound
}

func TestSumEqualsRationalArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		format := int16(rapid.IntRange(0, 1).Draw(t, "format"))
		total, scale, special := new(big.Rat), 0, map[int]bool{}
		sum := &numericSum{format: format}
		for range rapid.IntRange(1, 6).Draw(t, "parts") {
			s := drawNumeric(t)
			data := s.binary
			if format == formatText {
				data = []byte(s.text)
			}
			if f := sum.add(data); f != sound {
				t.Fatalf("add %q: fault %d", s.text, f)
			}
			if s.means.number == nil {
				special[s.means.special] = true
				continue
			}
			total.Add(total, s.means.number)
			if _, fraction, ok := bytes.Cut([]byte(s.text), []byte(".")); ok {
				scale = max(scale, len(fraction))
			}
		}
		got, f := sum.appendResult(nil)
		if f != sound {
			t.Fatalf("result: fault %d", f)
		}
		want := []byte(total.FloatString(scale))
		switch {
		case special[2] || special[1] && special[-1]:
			want = []byte("NaN")
		case special[1]:
			want = []byte("Infinity")
		case special[-1]:
			want = []byte("-Infinity")
		}
		if format == formatBinary {
			n, _ := parseNumericText(nil, want)
			want = n.appendBinary(nil)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("sum is %q, want %q", got, want)
		}
	})
}

func TestNumericFormatsConvertIntoEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawNumeric(t)
		n, ok := parseNumericText(nil, []byte(s.text))
		if got := n.appendBinary(nil); !ok || !bytes.Equal(got, s.binary) {
			t.Fatalf("%s in binary is %x, want %x", s.text, got, s.binary)
		}
		n, ok = parseNumericBinary(nil, s.binary)
		if got := string(n.appendText(nil)); !ok || got != s.text {
			t.Fatalf("%x in text is %s, want %s", s.binary, got, s.text)
		}
	})
}
