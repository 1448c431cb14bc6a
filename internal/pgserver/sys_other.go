//go:build unix && !linux

package pgserver

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// attributes: other systems than Linux have no signal for the death of the parent, so there a server outlives a killed
// program and ends with Close only.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// processesOf lists the postmaster and its children, nothing for an unknown postmaster.
func processesOf(postmaster int, _ string) ([]int, error) {
	if postmaster == 0 {
		return nil, nil
	}
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(postmaster)).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // exit status 1: no children
		return nil, err
	}
	pids := []int{postmaster}
	for _, field := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// halted takes the kernel's word: SIGSTOP cannot be ignored.
func halted(int) bool { return true }

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// removeSegment leaves the segment to the system's own tools.
func removeSegment(string) {}
