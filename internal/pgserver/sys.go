package pgserver

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// attributes of every started process: its own process group, so that Ctrl-C in a terminal reaches only pgring, and an
// immediate shutdown when pgring dies. Go sets the death signal after the change of user, which would clear it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}

// processesOf finds the processes of one server by their working directory. PostgreSQL's children start sessions of their
// own, and they outlive a killed postmaster, so neither process group nor parent names them all.
func processesOf(dataDir string) ([]int, error) {
	dir := dataDir
	if real, err := filepath.EvalSymlinks(dataDir); err == nil {
		dir = real
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("find server processes: %w", err)
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if cwd, err := os.Readlink("/proc/" + entry.Name() + "/cwd"); err == nil && (cwd == dir || cwd == dir+" (deleted)") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// state is the one-letter state of proc_pid_stat(5), 0 when the process does not exist.
func state(pid int) byte {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	if len(rest) == 0 {
		return 0
	}
	return rest[0]
}

// halted reports whether a process is stopped, or beyond doing anything.
func halted(pid int) bool { return state(pid) == 'T' || gone(pid) }

// gone reports whether a process has ended; nobody may have reaped it yet.
func gone(pid int) bool {
	switch state(pid) {
	case 0, 'Z', 'X':
		return true
	}
	return false
}

// removeSegment removes the small System V segment that a killed postmaster leaves behind and that otherwise only the next
// start in the same directory would remove. Line 7 of postmaster.pid names it: key and id.
func removeSegment(dataDir string) {
	text, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return // a clean end removed file and segment
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return
	}
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		return
	}
	if id, err := strconv.Atoi(fields[1]); err == nil {
		const ipcRemove = 0 // IPC_RMID
		// An error means that it is gone already, which is the aim.
		_, _, _ = syscall.Syscall(syscall.SYS_SHMCTL, uintptr(id), ipcRemove, 0)
	}
}
