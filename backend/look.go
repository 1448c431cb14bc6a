package backend

import "syscall"

// sight is what a look at an idle connection's socket shows.
type sight uint8

const (
	seenQuiet sight = iota + 1 // nothing to read: as an idle connection should be
	seenBytes                  // the server has said something unasked, for example that it is going away
	seenEnd                    // the server has closed it
)

// look tells without reading or waiting whether the server has sent something or closed the connection. Any goroutine may call
// it. On TLS it sees the bytes below.
func (c *Conn) look() sight {
	seen := seenEnd
	err := c.socket.Control(func(fd uintptr) { seen = lookAt(int(fd)) })
	if err != nil {
		return seenEnd
	}
	return seen
}

func lookAt(fd int) sight {
	var b [1]byte
	for {
		n, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return seenQuiet
		case err != nil || n == 0:
			return seenEnd
		default:
			return seenBytes
		}
	}
}
