package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	runPattern    = "pgring-pg-*"
	maxTempLength = 60 // leaves room for /pgring-pg-1234567890/.s.PGSQL.65535.lock in the 107 bytes of a socket path
)

// tempDir is where servers and templates live: what TMPDIR says, else memory where there is plenty (a server starts there in
// a tenth of the time), else /tmp. A directory too deep for socket paths does not count.
func tempDir() string {
	if dir := os.Getenv("TMPDIR"); dir != "" && len(dir) <= maxTempLength {
		return dir
	}
	const memory, plenty = "/dev/shm", 4 << 30
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memory, &fs); err == nil && uint64(fs.Bavail)*uint64(fs.Bsize) >= plenty {
		return memory
	}
	return "/tmp"
}

// runDir is a server's temporary directory: its socket and, for a throw-away server, its data. The program that made it
// holds a lock on it, which the kernel drops when the program ends; the next program that starts a server then removes it.
type runDir struct {
	path string
	lock *fileLock
}

func newRunDir(a account) (*runDir, error) {
	sweep()
	for range 3 {
		path, err := os.MkdirTemp(tempDir(), runPattern)
		if err != nil {
			return nil, fmt.Errorf("create run directory: %w", err)
		}
		lock, err := tryLockFile(path + ".lock")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock run directory: %w", err), os.RemoveAll(path))
		}
		if lock == nil { // a sweep got in between
			continue
		}
		d := &runDir{path: path, lock: lock}
		if err := a.give(path); err != nil {
			return nil, errors.Join(fmt.Errorf("hand over run directory: %w", err), d.remove())
		}
		return d, nil
	}
	return nil, errors.New("create run directory: others keep removing it")
}

func (d *runDir) remove() error {
	return errors.Join(os.RemoveAll(d.path), d.lock.remove())
}

// sweep removes what servers of killed programs left, and kills their processes: one that was frozen could not obey the
// parent-death signal. It is a courtesy to the machine, so its errors are nobody's concern.
func sweep() {
	locks, _ := filepath.Glob(filepath.Join(tempDir(), runPattern+".lock")) // the only error is a bad pattern
	if dir := "/tmp"; dir != tempDir() {
		more, _ := filepath.Glob(filepath.Join(dir, runPattern+".lock"))
		locks = append(locks, more...)
	}
	for _, path := range locks {
		lock, err := tryLockFile(path)
		if err != nil || lock == nil {
			continue
		}
		dir := path[:len(path)-len(".lock")]
		data := filepath.Join(dir, "data")
		if pids, err := processesOf(data); err == nil {
			_ = send(pids, syscall.SIGKILL)
		}
		removeSegment(data)
		_ = errors.Join(os.RemoveAll(dir), lock.remove())
	}
}

// fileLock is an exclusive flock(2), dropped by the kernel when the program ends.
type fileLock struct{ file *os.File }

// lockFile waits for the lock of a file that is never removed.
func lockFile(ctx context.Context, path string) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = poll(ctx, nil, func() (bool, error) {
		switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
			return false, nil
		default:
			return false, err
		}
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return &fileLock{file: file}, nil
}

// tryLockFile returns nil when somebody else holds the lock or has just removed the file.
func tryLockFile(path string) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = nil
		}
		return nil, errors.Join(err, file.Close())
	}
	// Between open and lock the holder may have removed the file: then the lock is on a file that nobody else can find.
	mine, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(mine, there) {
		return nil, file.Close()
	}
	return &fileLock{file: file}, nil
}

// share turns the lock into one that others may hold at the same time.
func (l *fileLock) share() error {
	return syscall.Flock(int(l.file.Fd()), syscall.LOCK_SH)
}

// Close drops the lock and keeps the file.
func (l *fileLock) Close() error { return l.file.Close() }

// remove removes the file, then drops the lock: in this order nobody can lock a file about to vanish.
func (l *fileLock) remove() error {
	return errors.Join(os.Remove(l.file.Name()), l.file.Close())
}
