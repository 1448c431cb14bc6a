package sql

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
)

var copyOptions = []CopyOptions{
	{Format: CopyText, Delimiter: '\t', Null: `\N`, Key: 1},
	{Format: CopyText, Delimiter: '|', Null: "", Header: true},
	{Format: CopyCSV, Delimiter: ',', Quote: '"', Escape: '"', Key: 1},
	{Format: CopyCSV, Delimiter: ',', Quote: '"', Escape: '\\', Null: "nil", Key: 1, ForceNull: true},
	{Format: CopyCSV, Delimiter: ';', Quote: '\'', Escape: '\'', Header: true, ForceNotNull: true},
	{Format: CopyBinary, Key: 1},
}

// records lists what a scanner makes of data that come in pieces of a size.
func records(o CopyOptions, data []byte, size int) (list []string, given []byte) {
	s := CopyScanner{CopyOptions: o}
	take := func(last bool) bool {
		for {
			r, ok := s.Next(last)
			if !ok {
				return true
			}
			given = append(given, r.Data...)
			list = append(list, fmt.Sprintf("%d %q %q %v %d", r.Kind, r.Data, r.Value, r.Null, r.Lines))
			if r.Kind == CopyEnd || r.Kind == CopyBad {
				return false
			}
		}
	}
	for len(data) > 0 {
		n := min(size, len(data))
		s.Give(data[:n])
		if data = data[n:]; !take(false) {
			return list, given
		}
	}
	take(true)
	return list, given
}

// FuzzCopyRowsDoNotDependOnPieces: the rows are the same however the data come, and none of the data is lost or changed.
func FuzzCopyRowsDoNotDependOnPieces(f *testing.F) {
	for _, text := range []string{
		"1\tx\ty\n2\t\\N\tz\n", "1\tx\r\n2\ty\r\n", "a|b\n\\.\nrest", "1,\"x\ny\",2\n3,,4\n", "1,\"x\"\"y\"\r\n", "'a;b';2\rc;d\r", "1\ta\\\nb\n\\\\\t\\n\n",
		"1,\"a\\\"b\nc\",2\n\"nil\",\"nil\"\n", "\n\n\n", "x\ry\nz", "\\.\n", "\"", "a\\",
	} {
		f.Add([]byte(text), uint8(3), uint8(0))
		f.Add([]byte(text), uint8(1), uint8(2))
	}
	binary, _ := hex.DecodeString("5047434f50590aff0d0a00" + "0000000000000000" + "0002" + "00000004" + "00000001" + "00000008" + "0000000000000007" + "0002" + "ffffffff" + "00000000" + "ffff")
	f.Add(binary, uint8(2), uint8(5))
	f.Fuzz(func(t *testing.T, data []byte, size, which uint8) {
		o := copyOptions[int(which)%len(copyOptions)]
		whole, given := records(o, data, len(data)+1)
		pieces, _ := records(o, data, int(size)%7+1)
		for i := range max(len(whole), len(pieces)) {
			if i >= len(whole) || i >= len(pieces) || whole[i] != pieces[i] {
				if bytes.HasPrefix(data, given) && o.Format == CopyBinary && len(whole) > 0 && whole[len(whole)-1][0] == '0'+byte(CopyBad) {
					return // what is wrong is found when it has come
				}
				t.Fatalf("%+v %q\nwhole  %q\npieces %q", o, data, whole, pieces)
			}
		}
		if !bytes.HasPrefix(data, given) {
			t.Fatalf("%q became %q", data, given)
		}
	})
}

func BenchmarkCopyText(b *testing.B) {
	benchmarkCopy(b, copyOptions[0], "12345\t%d\tsome more text here\t2024-01-01\n")
}

func BenchmarkCopyCSV(b *testing.B) {
	benchmarkCopy(b, copyOptions[2], "12345,%d,\"some more text here\",2024-01-01\n")
}

func benchmarkCopy(b *testing.B, o CopyOptions, pattern string) {
	var data bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&data, pattern, i)
	}
	s := CopyScanner{CopyOptions: o}
	b.ReportAllocs()
	for b.Loop() {
		s.Give(data.Bytes())
		rows := 0
		for {
			if _, ok := s.Next(false); !ok {
				break
			}
			rows++
		}
		if rows != 1000 {
			b.Fatal(rows)
		}
	}
}
