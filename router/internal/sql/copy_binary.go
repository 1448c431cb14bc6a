package sql

import (
	"encoding/binary"
	"slices"
)

// nextBinary cuts off the header, a tuple, or the trailer.
func (s *CopyScanner) nextBinary(rest []byte, last bool) (CopyRecord, bool) {
	whole := func(n int, kind CopyKind) (CopyRecord, bool) {
		s.from += n
		return CopyRecord{Kind: kind, Data: rest[:n], Lines: 1, First: 1}, true
	}
	size, kind := 0, CopyRow
	if s.head {
		size, kind = s.tuple(rest)
	} else {
		size, kind = binaryHead(rest)
	}
	switch {
	case kind == CopyBad:
		return whole(len(rest), kind)
	case size < 0 && last:
		return whole(len(rest), CopyBad)
	case size < 0:
		return CopyRecord{}, false
	}
	s.head = true
	r, ok := whole(size, kind)
	if kind == CopyRow {
		s.binaryField(&r)
	} else {
		r.Lines, r.First = 0, 0
	}
	return r, ok
}

// binaryHead returns the size of the header; -1: it is not complete.
func binaryHead(data []byte) (int, CopyKind) {
	const fixed = len(binarySignature) + 8
	if n := min(len(data), len(binarySignature)); string(data[:n]) != binarySignature[:n] {
		return 0, CopyBad
	}
	if len(data) < fixed {
		return -1, CopyHeader
	}
	flags := binary.BigEndian.Uint32(data[len(binarySignature):])
	extension := binary.BigEndian.Uint32(data[fixed-4:])
	if flags != 0 || extension > 1<<20 {
		return 0, CopyBad
	}
	if len(data) < fixed+int(extension) {
		return -1, CopyHeader
	}
	return fixed + int(extension), CopyHeader
}

// tuple returns the size of the tuple that data begin with; -1: it is not
// complete.
func (s *CopyScanner) tuple(data []byte) (int, CopyKind) {
	if len(data) < 2 {
		return -1, CopyRow
	}
	fields := int(int16(binary.BigEndian.Uint16(data)))
	if fields == -1 {
		return 2, CopyEnd
	}
	if fields <= s.Key || slices.ContainsFunc(s.CopyOptions.More, func(k CopyKey) bool { return fields <= k.Field }) {
		return 0, CopyBad
	}
	at := 2
	for range fields {
		if len(data) < at+4 {
			return -1, CopyRow
		}
		n := int(int32(binary.BigEndian.Uint32(data[at:])))
		if n < -1 {
			return 0, CopyBad
		}
		if at += 4 + max(n, 0); len(data) < at {
			return -1, CopyRow
		}
	}
	return at, CopyRow
}

// binaryField reads the key out of a tuple.
func (s *CopyScanner) binaryField(r *CopyRecord) {
	at := 2
	for n := 0; ; n++ {
		size := int(int32(binary.BigEndian.Uint32(r.Data[at:])))
		if at += 4; n == s.Key {
			if r.Null = size < 0; !r.Null {
				r.Value = r.Data[at : at+size]
			}
			return
		}
		at += max(size, 0)
	}
}
