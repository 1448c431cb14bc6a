package ring

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"iter"
	"testing"
)

// encode writes the binary format of a key, the inverse of DecodeKey.
func encode(k Key) []byte {
	switch k.typ {
	case KeyInt, KeyTimestamp, KeyTimestampTZ:
		return binary.BigEndian.AppendUint64(nil, k.lo)
	case KeyUUID:
		b := k.uuidBytes()
		return b[:]
	case KeyNumeric:
		return encodeNumeric(k)
	default:
		return k.data
	}
}

func encodeNumeric(k Key) []byte {
	sign := map[uint64]uint16{numericNegative: 0x4000, numericNaN: 0xC000, numericInfinity: 0xD000, numericMinusInfinity: 0xF000}[k.hi]
	b := binary.BigEndian.AppendUint16(nil, uint16(len(k.data)/2))
	b = binary.BigEndian.AppendUint16(b, uint16(k.lo))
	b = binary.BigEndian.AppendUint16(b, sign)
	b = binary.BigEndian.AppendUint16(b, numericMaxScale)
	for d := k.data; len(d) > 0; d = d[2:] {
		b = binary.BigEndian.AppendUint16(b, binary.LittleEndian.Uint16(d))
	}
	return b
}

// checkKey: what was read, in either format, is the same in both.
func checkKey(t *testing.T, k Key, err error) {
	t.Helper()
	if err != nil {
		var keyError *KeyError
		if !errors.As(err, &keyError) || k.Type() != KeyUnset {
			t.Fatalf("key %v with error %v", k, err)
		}
		return
	}
	fromText, textErr := ParseKey(k.Type(), []byte(k.String()))
	if textErr != nil || fromText.Compare(k) != 0 || fromText.Hash() != k.Hash() {
		t.Fatalf("printed as %q, which is %v (%v)", k, fromText, textErr)
	}
	if k.Type().isTuple() {
		return // it has no binary format here
	}
	fromBinary, binaryErr := DecodeKey(k.Type(), encode(k))
	if binaryErr != nil || fromBinary.Compare(k) != 0 || fromBinary.Hash() != k.Hash() {
		t.Fatalf("%q: binary %x is %v (%v)", k, encode(k), fromBinary, binaryErr)
	}
}

// seeds are some of the vectors: all of them would take the fuzzer a minute to start with.
func seeds(f *testing.F, typ KeyType) iter.Seq[vector] {
	return func(yield func(vector) bool) {
		for i, v := range readVectors(f, typ) {
			if i%10 == 0 && !yield(v) {
				return
			}
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, typ := range sqlTypes {
		for v := range seeds(f, typ.key) {
			f.Add(byte(typ.key), []byte(v.Text))
		}
	}
	f.Fuzz(func(t *testing.T, typ byte, text []byte) {
		k, err := ParseKey(KeyType(typ), text)
		checkKey(t, k, err)
	})
}

func FuzzDecodeKey(f *testing.F) {
	for _, typ := range sqlTypes {
		for v := range seeds(f, typ.key) {
			bin, err := hex.DecodeString(v.Binary)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(byte(typ.key), bin)
		}
	}
	f.Fuzz(func(t *testing.T, typ byte, bin []byte) {
		k, err := DecodeKey(KeyType(typ), bin)
		checkKey(t, k, err)
	})
}

func FuzzUnmarshalPlacement(f *testing.F) {
	f.Add(StrategyConsistent, []byte(`{"shards":["s1","s2"],"slots":"0x8192 1x8191 0","pins":[{"type":"int","key":"42","shard":"s1"}]}`))
	f.Add(StrategyRange, []byte(`{"type":"int","ranges":[{"shard":"s1"},{"key":"1000000","shard":"s2"}]}`))
	f.Add(StrategyList, []byte(`{"type":"text","values":[{"hex":"e9","shard":"s1"}],"default":"s2"}`))
	f.Fuzz(func(t *testing.T, strategy string, data []byte) {
		p, err := UnmarshalPlacement(strategy, data)
		if err != nil {
			return
		}
		p.Owners()
		p.Locate(intKey(42))
	})
}
