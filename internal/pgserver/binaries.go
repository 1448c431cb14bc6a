package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// ErrNotInstalled says that this machine has no PostgreSQL server programs.
var ErrNotInstalled = errors.New("find PostgreSQL's server programs: none installed (Debian and Ubuntu: apt-get install postgresql; elsewhere set PGRING_PG_BIN to their directory)")

// Binaries is a directory with PostgreSQL's server programs.
type Binaries string

// FindBinaries returns the directory named by PGRING_PG_BIN, else the newest version where Debian and Ubuntu install
// servers, else the directory of the `postgres` in PATH.
func FindBinaries() (Binaries, error) {
	if dir := os.Getenv("PGRING_PG_BIN"); dir != "" {
		if !complete(dir) {
			return "", fmt.Errorf("find PostgreSQL's server programs: PGRING_PG_BIN=%s has no postgres and initdb", dir)
		}
		return Binaries(dir), nil
	}
	if dir := newest("/usr/lib/postgresql"); dir != "" {
		return Binaries(dir), nil
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && complete(filepath.Dir(path)) {
			return Binaries(filepath.Dir(path)), nil
		}
	}
	return "", ErrNotInstalled
}

// newest returns the complete bin directory of the highest version below root.
func newest(root string) string {
	best, dir := -1, ""
	dirs, _ := filepath.Glob(filepath.Join(root, "*", "bin")) // the only error is a bad pattern
	for _, candidate := range dirs {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(candidate)))
		if err == nil && version > best && complete(candidate) {
			best, dir = version, candidate
		}
	}
	return dir
}

func complete(dir string) bool {
	for _, program := range []string{"postgres", "initdb"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

// Path is the path of one program.
func (b Binaries) Path(program string) string { return filepath.Join(string(b), program) }

// stamp changes when another version is installed in the same place; to ask the program itself takes as long as to copy a small cluster.
func (b Binaries) stamp() (string, error) {
	info, err := os.Stat(b.Path("postgres"))
	if err != nil {
		return "", fmt.Errorf("look at the server program: %w", err)
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano()), nil
}
