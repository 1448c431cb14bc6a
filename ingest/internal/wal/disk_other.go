//go:build !linux

package wal

import "os"

// preallocate takes the space now, so that a later write cannot find the disk full.
func preallocate(f *os.File, size int64) error { return fillZeros(f, size) }

func datasync(f *os.File) error { return f.Sync() }
