//go:build unix && !linux

package bench

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuTime is the user and system time that a process has used, as ps prints it: minutes:seconds.hundredths on BSD and macOS.
func cpuTime(pid int) (time.Duration, error) {
	out, err := exec.Command("ps", "-o", "time=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	var total time.Duration
	for part := range strings.SplitSeq(strings.TrimSpace(string(out)), ":") {
		seconds, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		total = total*60 + time.Duration(seconds*float64(time.Second))
	}
	return total, nil
}

// resident is the memory of a process, in bytes.
func resident(pid int) (int64, error) {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	kilobytes, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return kilobytes * 1024, err
}

// endWithParent does nothing: only Linux can end a child with its parent.
func endWithParent(*syscall.SysProcAttr) {}
