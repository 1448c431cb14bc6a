package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tick is the unit of /proc/<pid>/stat (proc(5): sysconf(_SC_CLK_TCK), which Linux fixes for programs at 100 a second).
const tick = 10 * time.Millisecond

// CPUTime is what all processes of the server have used so far, user and system time, to 10 ms each.
func (s *Server) CPUTime(t testing.TB) time.Duration {
	t.Helper()
	postmaster := s.PID()
	_, own, ended, err := usedTime(postmaster)
	if err != nil {
		t.Fatal(err)
	}
	total := own + ended
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue // the pattern lets in names that only begin with a digit
		}
		if parent, used, _, err := usedTime(pid); err == nil && parent == postmaster {
			total += used
		} // else it has ended, and the postmaster counts it
	}
	return total
}

// usedTime reads a process' parent, what it has used, and what its children had that have ended.
func usedTime(pid int) (parent int, own, ended time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, 0, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // behind the name: state, parent, …
	var numbers [14]int64                                                               // from the parent on
	for i := range numbers {
		if numbers[i], err = strconv.ParseInt(fields[i+1], 10, 64); err != nil {
			return 0, 0, 0, fmt.Errorf("read what process %d has used: %w", pid, err)
		}
	}
	return int(numbers[0]), tick * time.Duration(numbers[10]+numbers[11]), tick * time.Duration(numbers[12]+numbers[13]), nil
}
