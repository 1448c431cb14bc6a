package wal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	align       = 8
	headerSize  = 24
	frameSize   = 8 // of a record's frame without its bytes
	commitSize  = 24
	typeRecord  = 'R'
	typeCommit  = 'C'
	maxRecord   = 1 << 30
	segmentMark = "pgringw1"
)

// castagnoli is the polynomial that processors compute by themselves.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func padded(n int) int { return (n + align - 1) &^ (align - 1) }

// recordSize is what a record of n bytes takes up.
func recordSize(n int) int { return frameSize + padded(n) }

func appendHeader(b []byte, first uint64, salt uint32) []byte {
	start := len(b)
	b = append(b, segmentMark...)
	b = binary.LittleEndian.AppendUint64(b, first)
	b = binary.LittleEndian.AppendUint32(b, salt)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseHeader checks a segment's header against the index in its name, and returns the salt.
func parseHeader(b []byte, first uint64) (salt uint32, ok bool) {
	if len(b) < headerSize {
		return 0, false
	}
	salt = binary.LittleEndian.Uint32(b[16:])
	return salt, bytes.Equal(b[:headerSize], appendHeader(nil, first, salt))
}

func appendRecord(b, record []byte) []byte {
	b = append(b, typeRecord, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(record)))
	b = append(b, record...)
	return append(b, make([]byte, padded(len(record))-len(record))...)
}

// appendCommit closes the batch whose record frames are frames.
func appendCommit(b, frames []byte, salt uint32, count int, first uint64) []byte {
	start := len(b)
	b = append(b, typeCommit, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frames)))
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(count))
	b = binary.LittleEndian.AppendUint64(b, first)
	binary.LittleEndian.PutUint32(b[start+8:], batchSum(salt, frames, b[start:]))
	return b
}

// batchSum is the checksum of a batch: its frames, and the commit frame but for the checksum itself.
func batchSum(salt uint32, frames, commit []byte) uint32 {
	sum := crc32.Update(salt, castagnoli, frames)
	sum = crc32.Update(sum, castagnoli, commit[:8])
	return crc32.Update(sum, castagnoli, commit[12:commitSize])
}

// batch is one batch as it was read.
type batch struct {
	first   uint64
	records [][]byte // by reference
	size    int      // of all its frames
}

// parseBatch reads the batch at the beginning of b. Not ok: there is none that holds.
func parseBatch(b []byte, salt uint32) (batch, bool) {
	var found batch
	at := 0
	for at+frameSize <= len(b) && b[at] == typeRecord {
		n := int(binary.LittleEndian.Uint32(b[at+4:]))
		if n > maxRecord || b[at+1]|b[at+2]|b[at+3] != 0 || recordSize(n) > len(b)-at {
			return batch{}, false
		}
		found.records = append(found.records, b[at+frameSize:at+frameSize+n:at+frameSize+n])
		at += recordSize(n)
	}
	if !validCommit(b, at, salt) || int(binary.LittleEndian.Uint32(b[at+4:])) != at || int(binary.LittleEndian.Uint32(b[at+12:])) != len(found.records) {
		return batch{}, false
	}
	found.first, found.size = binary.LittleEndian.Uint64(b[at+16:]), at+commitSize
	return found, true
}

// validCommit says whether a commit frame stands at b[at:] whose batch is whole.
func validCommit(b []byte, at int, salt uint32) bool {
	if at+commitSize > len(b) || b[at] != typeCommit || b[at+1]|b[at+2]|b[at+3] != 0 {
		return false
	}
	commit := b[at : at+commitSize]
	length := int(binary.LittleEndian.Uint32(commit[4:]))
	return length <= at && binary.LittleEndian.Uint32(commit[8:]) == batchSum(salt, b[at-length:at], commit)
}

// commitAfter says whether some batch in b is whole: then what stands before it was durable once, and is damaged.
func commitAfter(b []byte, salt uint32) bool {
	for at := 0; at+commitSize <= len(b); at += align {
		if validCommit(b, at, salt) {
			return true
		}
	}
	return false
}
