//go:build !race

package poll

import (
	"syscall"
	"unsafe"
)

// The sockets never make a system call wait, so the scheduler need not prepare for it: its bookkeeping costs
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

// linger is for how many milliseconds eventsNow may wait, holding the thread's processor: as long as the collector may have to wait for
// it, though it sends a signal, which ends the wait.
const linger = 1

// eventsNow takes the events that have come. With wait it waits for the first, but not for long.
func eventsNow(epoll int, events []syscall.EpollEvent, wait bool) (int, error) {
	timeout := uintptr(0)
	if wait {
		timeout = linger
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
		uintptr(len(events)), timeout, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
