package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is who runs PostgreSQL's programs and owns its files.
type account struct {
	uid, gid int
	drop     bool // this program is root, so every program and file changes hands
}

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		return account{}, fmt.Errorf("PostgreSQL refuses to run as root and the user postgres is missing (create it, or run as another user): %w", err)
	}
	uid, err := strconv.Atoi(found.Uid)
	if err != nil {
		return account{}, fmt.Errorf("read the uid of postgres: %w", err)
	}
	gid, err := strconv.Atoi(found.Gid)
	if err != nil {
		return account{}, fmt.Errorf("read the gid of postgres: %w", err)
	}
	return account{uid: uid, gid: gid, drop: true}, nil
}

// command prepares a program to run as this account, with a small environment, so that a PGDATA or LC_ALL of the caller
// changes nothing.
func (a account) command(name string, args ...string) *exec.Cmd {
	command := exec.Command(name, args...)
	command.Dir = "/"
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
	command.SysProcAttr = attributes()
	if a.drop {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return command
}

// give hands a file or directory that this program made to the account.
func (a account) give(path string) error {
	if !a.drop {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// run runs a short program to its end; its output becomes part of the error.
func (a account) run(name string, args ...string) error {
	return finish(a.command(name, args...))
}

func finish(command *exec.Cmd) error {
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", command.Path, err, out)
	}
	return nil
}
