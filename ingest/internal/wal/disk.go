package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// file is an open segment.
type file interface {
	io.ReaderAt
	io.WriterAt
	Sync() error // its data, and what is needed to find it
	io.Closer
}

// disk keeps files; tests have one that fails.
type disk interface {
	// open opens a file, or makes one of that size, all zeros, of which nothing is durable yet. Size 0: it is there.
	open(path string, size int64) (file, error)
	// rename gives a file another name, durably. What had the name is gone.
	rename(from, to string) error
	// remove takes a file away, durably.
	remove(path string) error
}

// realDisk is the operating system's.
type realDisk struct{}

func (realDisk) open(path string, size int64) (file, error) {
	if size == 0 {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		return segmentFile{f}, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := preallocate(f, size); err != nil {
		return nil, errors.Join(fmt.Errorf("preallocate %d bytes: %w", size, err), f.Close(), os.Remove(path))
	}
	return segmentFile{f}, nil
}

func (realDisk) rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

func (realDisk) remove(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes durable which files there are.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// segmentFile syncs without the times of the file, which nobody needs.
type segmentFile struct{ *os.File }

func (f segmentFile) Sync() error { return datasync(f.File) }

// isFull tells a disk without space from one that fails.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// fillZeros is for file systems that cannot preallocate.
func fillZeros(f *os.File, size int64) error {
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}
