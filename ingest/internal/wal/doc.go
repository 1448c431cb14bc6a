// Package wal is a log of records on a local disk: what Append has returned for is still there after a crash of the process, of the
// machine, or of its power, in the same order and with the same bytes.
//
// A log is a folder of segments. A segment is a preallocated file, named for the index of its first record; behind its header it holds
// batches. A batch is what one fdatasync made durable: the frames of its records and one commit frame, all at multiples of 8
// bytes, numbers in little-endian order.
//
//	segment   header | batch | batch | … | zeros
//	header    "pgringw1" | first index: 8 | random salt: 4 | CRC-32C of these: 4
//	record    'R' 0 0 0 | length: 4 | bytes, padded with zeros
//	commit    'C' 0 0 0 | length of the records before it: 4 | CRC-32C: 4 | their number: 4 | index of the first: 8
//
// The checksum covers the segment's salt, the batch's frames, and its length, number and index. The salt keeps bytes of another segment,
// which may be in a record, from being taken for a batch.
//
// What is behind the last commit frame that holds is a write that a crash cut short: at most one batch, which nobody was told of,
// since the next is written only after the one before it is durable. Opening cuts it off. Any other damage is a [CorruptError]
// with file and offset, and nothing is changed. One damage cannot be told from a cut: that of the very last batch, when the log was
// not closed in peace. Close writes an empty batch behind it, so that after a stop in peace this is known too.
//
// After an error of the disk nothing is known of what is on it (Rebello et al., "Can Applications Recover from fsync Failures?",
// 2020): the log is poisoned, everybody who waits gets the error, and only opening it again, which reads what is there, goes on. A disk
// that is full is different: space is taken before a record is accepted, so the log stays whole.
//
// It does not protect from losing the disk.
package wal
