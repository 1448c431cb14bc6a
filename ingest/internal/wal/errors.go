package wal

import (
	"errors"
	"fmt"
)

var (
	// ErrFull says that a record was not accepted because the log is as large as it may become, or the disk is full.
	ErrFull = errors.New("log is full")
	// ErrTooLarge says that a record does not fit into a segment.
	ErrTooLarge = errors.New("record is too large for the log")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("log is closed")
	// ErrReleased says that a reader asks for records that are gone.
	ErrReleased = errors.New("records were released")
)

// CorruptError says that a log is damaged in a way that no crash explains. Nothing was changed.
type CorruptError struct {
	File   string
	Offset int64 // of the batch that does not hold
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("log is damaged: %s at offset %d: %s", e.File, e.Offset, e.Reason)
}

// PoisonedError says that the disk has failed: whether what was being written is there will be known when the log is opened
// again.
type PoisonedError struct{ Err error }

func (e *PoisonedError) Error() string {
	return "log is not usable since its disk failed: " + e.Err.Error()
}

// Unwrap returns the disk's error.
func (e *PoisonedError) Unwrap() error { return e.Err }
