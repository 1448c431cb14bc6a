package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// place is the demo's folder. It is locked, so that two demos never start servers on the same data.
type place struct {
	data  string // of the servers: a folder in the demo's, or, where that is out of their reach, in a temporary one
	moved bool   // data is elsewhere; the symbolic link "data" says where
	lock  *os.File
}

// openPlace makes what is missing of the folder and locks it.
func openPlace(dir string) (*place, error) {
	if err := makeDirs(dir); err != nil {
		return nil, fmt.Errorf("make the demo's folder: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	p := &place{lock: lock}
	if err := p.choose(filepath.Join(dir, "data")); err != nil {
		return nil, errors.Join(fmt.Errorf("make the folder of the servers' data: %w", err), p.close())
	}
	return p, nil
}

// makeDirs is MkdirAll that lets the servers into what it makes: root's umask may keep them out.
func makeDirs(dir string) error {
	err := os.Mkdir(dir, 0o755)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		if err := makeDirs(filepath.Dir(dir)); err != nil {
			return err
		}
		return makeDirs(dir)
	case err != nil || os.Geteuid() != 0:
		return err
	}
	return os.Chmod(dir, 0o755)
}

// lockDir takes the lock, which the kernel drops when the program ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the demo's folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close() // it holds nothing
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("a demo is running in %s already: end it first, or choose another folder with --dir", dir)
		}
		return nil, fmt.Errorf("lock the demo's folder: %w", err)
	}
	return lock, nil
}

func (p *place) close() error { return p.lock.Close() }

// choose finds or makes the folder of the servers' data.
func (p *place) choose(data string) error {
	if target, err := os.Readlink(data); err == nil {
		if _, err := os.Stat(target); err == nil {
			p.data, p.moved = target, true
			return nil
		}
		if err := os.Remove(data); err != nil { // somebody cleaned the temporary folder
			return err
		}
	}
	if _, err := os.Stat(data); err == nil {
		p.data = data
		return nil
	}
	inside, err := serversMayEnter(filepath.Dir(data))
	if err != nil {
		return err
	}
	if inside {
		p.data = data
		return makeDirs(data)
	}
	p.moved = true
	p.data, err = elsewhere(data)
	return err
}

// elsewhere makes a folder outside that survives a restart of the machine, and a link to it.
func elsewhere(link string) (string, error) {
	parent := "/var/tmp"
	if _, err := os.Stat(parent); err != nil {
		parent = os.TempDir()
	}
	data, err := os.MkdirTemp(parent, "pgring-demo-*")
	if err != nil {
		return "", err
	}
	return data, errors.Join(os.Chmod(data, 0o755), os.Symlink(data, link))
}

// serversMayEnter asks the system whether the account that runs the servers can reach a folder: every folder above it has to
// let it in, too. PostgreSQL refuses to run as root, so then that account is postgres.
func serversMayEnter(dir string) (bool, error) {
	if os.Geteuid() != 0 {
		return true, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return false, fmt.Errorf("PostgreSQL refuses to run as root and the user postgres is missing: %w", err)
	}
	uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
	full, errDir := filepath.Abs(dir)
	if err := errors.Join(errUID, errGID, errDir); err != nil {
		return false, err
	}
	test := exec.Command("test", "-x", full)
	test.Dir = "/"
	test.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	var exit *exec.ExitError
	switch err := test.Run(); {
	case err == nil:
		return true, nil
	case errors.As(err, &exit):
		return false, nil
	default:
		return false, fmt.Errorf("ask whether postgres may enter %s: %w", strings.TrimSpace(full), err)
	}
}
