package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Machine is where the figures were taken. What the system does not tell is empty.
type Machine struct {
	CPU      string  `json:"cpu"`
	Cores    int     `json:"cores"`
	MemoryMB int     `json:"memory_mb,omitempty"`
	System   string  `json:"system"`
	Kernel   string  `json:"kernel,omitempty"`
	Load     float64 `json:"load"` // average of the minute before the first round, this program's own start included
}

func describeMachine() Machine {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), System: runtime.GOOS}
	m.CPU = found("/proc/cpuinfo", `model name\s*: (.*)`, m.CPU)
	m.System = found("/etc/os-release", `PRETTY_NAME="?([^"\n]*)`, m.System)
	m.Kernel = found("/proc/sys/kernel/osrelease", `(.*)`, "")
	kilobytes, _ := strconv.Atoi(found("/proc/meminfo", `MemTotal:\s*(\d+)`, "0")) // the pattern lets only digits through
	m.MemoryMB = kilobytes / 1024
	m.Load, _ = strconv.ParseFloat(found("/proc/loadavg", `([\d.]+)`, "0"), 64)
	return m
}

// found is what a pattern finds in a file of the system, or what it is called without.
func found(file, pattern, without string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return without
	}
	match := regexp.MustCompile(pattern).FindStringSubmatch(string(text))
	if match == nil {
		return without
	}
	return strings.TrimSpace(match[1])
}

// dataPlace is the folder that the servers' data directories are in.
func (l *lab) dataPlace() string {
	place := filepath.Dir(filepath.Dir(l.servers[0].DataDir))
	if l.durable {
		return place + " (" + filesystemOf(place) + ")"
	}
	if place == "/dev/shm" {
		return place + " (memory)"
	}
	return place
}

// filesystemOf is the kind of the filesystem that a folder is in.
func filesystemOf(dir string) string {
	out, err := exec.Command("stat", "-f", "-c", "%T", dir).Output()
	if err != nil {
		return "unknown filesystem"
	}
	return strings.TrimSpace(string(out))
}
