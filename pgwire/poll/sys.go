//go:build !race

package poll

import (
	"syscall"
	"unsafe"
)

// The sockets and the epoll instance never make a system call wait, so the scheduler need not prepare for it: its bookkeeping costs
// a third of a short read, and a write that the kernel interrupts in favour of its receiver would cost the loop its processor.

func readNow(fd int, p []byte) (int, error) { return transfer(syscall.SYS_READ, fd, p) }

func writeNow(fd int, p []byte) (int, error) { return transfer(syscall.SYS_WRITE, fd, p) }

// transfer reads into p or writes it. It may not be empty.
func transfer(call uintptr, fd int, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// eventsNow takes the events that have come.
func eventsNow(epoll int, events []syscall.EpollEvent) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
		uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
