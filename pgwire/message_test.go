package pgwire

import (
	"bytes"
	"slices"
	"testing"
)

func TestMessagesAreThoseOfTheManual(t *testing.T) {
	for want, got := range map[string][]byte{
		"before1\x00\x00\x00\x04":             AppendEmpty([]byte("before"), ParseComplete),
		"beforeC\x00\x00\x00\x0dSELECT 1\x00": AppendText([]byte("before"), CommandComplete, "SELECT 1"),
		"beforeZ\x00\x00\x00\x05T":            AppendReady([]byte("before"), TxActive),
		"beforeS\x00\x00\x00\x08a\x00b\x00":   AppendParameterStatus([]byte("before"), "a", "b"),
		"beforeP\x00\x00\x00\x17s\x00SELECT\x00\x00\x02\x00\x00\x00\x17\x00\x00\x00\x00":   AppendParse([]byte("before"), "s", "SELECT", []uint32{23, 0}),
		"beforeB\x00\x00\x00\x0ep\x00s\x00\x00\x00\x00\x00\x00\x00":                        AppendBind([]byte("before"), "p", "s"),
		"beforeE\x00\x00\x00\x0ap\x00\x00\x00\x00\x09":                                     AppendExecute([]byte("before"), "p", 9),
		"beforeD\x00\x00\x00\x07Ss\x00":                                                    AppendTarget([]byte("before"), Describe, 'S', "s"),
		"beforeD\x00\x00\x00\x13\x00\x03\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01x": AppendDataRow([]byte("before"), [][]byte{nil, {}, []byte("x")}),
		"beforeD\x00\x00\x00\x06\x00\x00":                                                  AppendDataRow([]byte("before"), nil),
	} {
		if string(got) != want {
			t.Errorf("message is\n%q, want\n%q", got, want)
		}
	}
}

func TestRowDescriptionsRoundTrip(t *testing.T) {
	for _, fields := range [][]Field{
		{},
		{{Name: "id", Table: 4294967295, Attribute: 65535, Type: 20, Size: 8, Modifier: -1, Format: 1}, {Name: "", Size: -1, Modifier: 1 << 30}},
	} {
		frame := AppendRowDescription(nil, fields)
		got, ok := ParseRowDescription(frame)
		if !ok || !slices.Equal(got, fields) {
			t.Errorf("%v came back as %v, %v", fields, got, ok)
		}
		for cut := HeaderSize; cut < len(frame); cut++ {
			if _, ok := ParseRowDescription(frame[:cut]); ok {
				t.Errorf("%d of %d bytes were taken for whole", cut, len(frame))
			}
		}
		if _, ok := ParseRowDescription(append(bytes.Clone(frame), 0)); ok {
			t.Error("a row description with a byte too many was taken for whole")
		}
	}
	if _, ok := ParseRowDescription([]byte("T\x00\x00\x00\x06\xff\xff")); ok {
		t.Error("a row description of -1 columns was taken for whole")
	}
}

func TestBodyReadsToItsEndAndNotBeyond(t *testing.T) {
	b := BodyOf([]byte("X\x00\x00\x00\x00a\xff\xfe\x80\x00\x00\x01name\x00xyz"))
	if b.Byte() != 'a' || b.Int16() != -2 || b.Int32() != -1<<31+1 || string(b.Text()) != "name" || string(b.Bytes(2)) != "xy" {
		t.Error("values are wrong")
	}
	if !b.OK() || b.Done() || string(b.Rest()) != "z" {
		t.Error("the body ended early")
	}
	if b.Int16() != 0 || b.OK() || b.Done() || b.Byte() != 0 || b.Text() != nil || b.Rest() != nil {
		t.Error("the body was read past its end")
	}
	for name, read := range map[string]func(*Body) bool{
		"negative": func(b *Body) bool { return b.Bytes(-1) == nil },
		"long":     func(b *Body) bool { return b.Bytes(4) == nil },
		"unended":  func(b *Body) bool { return b.Text() == nil },
	} {
		b := BodyOf([]byte("X\x00\x00\x00\x00abc"))
		if !read(&b) || b.OK() {
			t.Errorf("%s read was allowed", name)
		}
	}
}

func TestBytesOfABodyCannotBeAppendedInto(t *testing.T) {
	frame := []byte("X\x00\x00\x00\x00abc\x00def")
	b := BodyOf(frame)
	_ = append(b.Bytes(1), '!')
	_ = append(b.Text(), '!')
	if string(frame[HeaderSize:]) != "abc\x00def" {
		t.Errorf("appending to a part changed the frame: %q", frame)
	}
}

func TestMapOIDsChangesNothingElse(t *testing.T) {
	types, tables := map[uint32]uint32{16400: 16500, 16401: 16501}, map[uint32]uint32{16400: 16600}
	fields := []Field{
		{Name: "a", Table: 16400, Attribute: 2, Type: 16400, Size: -1, Modifier: -1, Format: 1},
		{Name: "", Type: 25, Size: -1, Modifier: 16400},
		{Name: "bc", Type: 16401, Size: 4, Modifier: 7},
	}
	frame := AppendRowDescription(nil, fields)
	if unknown, ok := MapOIDs(frame, types, tables); unknown != 0 || !ok {
		t.Errorf("OID %d was not found", unknown)
	}
	fields[0].Table, fields[0].Type, fields[2].Type = 16600, 16500, 16501
	if want := AppendRowDescription(nil, fields); !bytes.Equal(frame, want) {
		t.Errorf("got  %x\nwant %x", frame, want)
	}
	params := []byte{ParameterDescription, 0, 0, 0, 14, 0, 2, 0, 0, 0x40, 0x10, 0, 0, 0x40, 0x12}
	if unknown, ok := MapOIDs(params, types, tables); unknown != 16402 || !ok {
		t.Errorf("OID %d is reported as unknown, want 16402", unknown)
	}
	if want := []byte{ParameterDescription, 0, 0, 0, 14, 0, 2, 0, 0, 0x40, 0x74, 0, 0, 0x40, 0x12}; !bytes.Equal(params, want) {
		t.Errorf("got  %x\nwant %x", params, want)
	}
	for n := range frame {
		if n > 0 {
			MapOIDs(frame[:n:n], types, tables) // must not panic
		}
	}
}
