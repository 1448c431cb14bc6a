package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the user and system time that a process has used. It is the sum of utime and stime in /proc/<pid>/stat, but in
// nanoseconds where that counts ticks of 10 ms, too coarse for a short run: the process' CPU clock, whose number is made as
// clock_getcpuclockid(3) makes it.
func cpuTime(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduler, &at); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(at.Nano()), nil
}

// familyTime is the user and system time that a process and its children have used, those that have ended included: a server's
// processes are the postmaster's children. It is read again when a child ended meanwhile, which would be missing or count twice.
func familyTime(parent int) (time.Duration, error) {
	for {
		before, err := endedTime(parent)
		if err != nil {
			return 0, err
		}
		total, err := livingTime(parent)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ESRCH) {
			return 0, err
		}
		after, faulty := endedTime(parent)
		if faulty != nil {
			return 0, faulty
		}
		if err == nil && before == after {
			return total + after, nil
		}
	}
}

// livingTime is what the parent and its present children have used.
func livingTime(parent int) (time.Duration, error) {
	total, err := cpuTime(parent)
	if err != nil {
		return 0, err
	}
	children, err := childrenOf(parent)
	for _, pid := range children {
		used, failed := cpuTime(pid)
		total, err = total+used, errors.Join(err, failed)
	}
	return total, err
}

func childrenOf(parent int) ([]int, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil || len(threads) == 0 {
		return nil, fmt.Errorf("find the children of process %d: %w", parent, errors.Join(err, unix.ESRCH))
	}
	var pids []int
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("find the children of process %d: %w", parent, err)
		}
		for _, word := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				return nil, fmt.Errorf("find the children of process %d: %w", parent, err)
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// endedTime is what children that have ended used: cutime and cstime of proc_pid_stat(5), in ticks of 10 ms.
func endedTime(parent int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", parent))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of the children of process %d: %w", parent, err)
	}
	const user, system = 13, 14 // behind the name, which is in parentheses and may have blanks
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) <= system {
		return 0, fmt.Errorf("read the CPU time of the children of process %d: %q", parent, text)
	}
	var total time.Duration
	for _, field := range []string{fields[user], fields[system]} {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of the children of process %d: %w", parent, err)
		}
		total += time.Duration(ticks) * 10 * time.Millisecond
	}
	return total, nil
}

// resident is the memory of a process, in bytes.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// endWithParent makes the kernel end a child when this program is killed.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
