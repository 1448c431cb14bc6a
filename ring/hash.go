package ring

import (
	"encoding/binary"
	"math/bits"
)

// hashStart is the initial state of PostgreSQL's lookup3 for a key of no bytes; the key's length is added to it.
const hashStart = 0x9e3779b9 + 3923095

// hashBytes is PostgreSQL's hash_any_extended with seed 0 as a little-endian server computes it: Bob Jenkins' lookup3
// (public domain, 2006) where the lowest byte of c stays free for the length, and the result is b and c side by side.
func hashBytes(k []byte) uint64 {
	a := uint32(hashStart) + uint32(len(k))
	b, c := a, a
	for ; len(k) >= 12; k = k[12:] {
		a += binary.LittleEndian.Uint32(k)
		b += binary.LittleEndian.Uint32(k[4:])
		c += binary.LittleEndian.Uint32(k[8:])
		a, b, c = mix(a, b, c)
	}
	if len(k) > 8 {
		c += littleEndian(k[8:]) << 8
		k = k[:8]
	}
	if len(k) > 4 {
		b += littleEndian(k[4:])
		k = k[:4]
	}
	a += littleEndian(k)
	return final(a, b, c)
}

// hashInt64 is hashint8extended with seed 0. The high half is folded into the low one so that every int2 and int4
// hashes as the int8 of the same value does.
func hashInt64(v int64) uint64 {
	low, high := uint32(v), uint32(v>>32)
	if v < 0 {
		high = ^high
	}
	const start = uint32(hashStart&0xffffffff) + 4
	return final(start+(low^high), start, start)
}

// littleEndian reads up to four bytes as one number.
func littleEndian(k []byte) uint32 {
	var n uint32
	for i := len(k) - 1; i >= 0; i-- {
		n = n<<8 | uint32(k[i])
	}
	return n
}

// mix stirs three words of state between two blocks of twelve bytes.
func mix(a, b, c uint32) (uint32, uint32, uint32) {
	a = (a - c) ^ bits.RotateLeft32(c, 4)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 6)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 8)
	b += a
	a = (a - c) ^ bits.RotateLeft32(c, 16)
	c += b
	b = (b - a) ^ bits.RotateLeft32(a, 19)
	a += c
	c = (c - b) ^ bits.RotateLeft32(b, 4)
	b += a
	return a, b, c
}

// final makes each bit of the state reach b and c, and returns these two.
func final(a, b, c uint32) uint64 {
	c = (c ^ b) - bits.RotateLeft32(b, 14)
	a = (a ^ c) - bits.RotateLeft32(c, 11)
	b = (b ^ a) - bits.RotateLeft32(a, 25)
	c = (c ^ b) - bits.RotateLeft32(b, 16)
	a = (a ^ c) - bits.RotateLeft32(c, 4)
	b = (b ^ a) - bits.RotateLeft32(a, 14)
	c = (c ^ b) - bits.RotateLeft32(b, 24)
	return uint64(b)<<32 | uint64(c)
}
