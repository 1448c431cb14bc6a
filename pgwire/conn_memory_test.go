package pgwire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"

	"github.com/pgring/pgring/pgwire/poll"
)

// watched is a connection that calls waiting, on the reader's goroutine, each time the reader begins to wait for bytes.
type watched struct {
	*net.TCPConn
	waiting func()
}

func (w watched) SyscallConn() (syscall.RawConn, error) {
	raw, err := w.TCPConn.SyscallConn()
	return watchedRaw{raw, w.waiting}, err
}

type watchedRaw struct {
	syscall.RawConn
	waiting func()
}

func (w watchedRaw) Read(f func(fd uintptr) bool) error {
	return w.RawConn.Read(func(fd uintptr) bool {
		done := f(fd)
		if !done {
			w.waiting()
		}
		return done
	})
}

func TestWaitingReaderHoldsNoBuffer(t *testing.T) {
	peer, nc := tcpPair(t)
	var c *Conn
	waits := 0
	frames := [][]byte{frameOf('Q', 10), frameOf('D', 5*BufferSize), frameOf('S', 0)}
	next := frames
	send := func() {
		waits++
		if c.in != nil || c.pooled != nil || c.out != nil {
			t.Errorf("wait %d holds a buffer", waits)
		}
		if len(next) == 0 {
			return
		}
		frame := next[0]
		next = next[1:]
		inBackground(t, func() error { _, err := peer.Write(frame); return err })
	}
	c = NewConn(watched{nc.(*net.TCPConn), send}, ClientSide)
	for _, frame := range frames {
		requireFrame(t, c, frame)
	}
	if waits < len(frames) {
		t.Errorf("%d waits were seen, want one before each of %d frames", waits, len(frames))
	}
}

// On an engine too, also before anything was ever read.
func TestWaitingReaderOnAnEngineHoldsNoBuffer(t *testing.T) {
	engine, err := poll.New(1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	peer, nc := tcpPair(t)
	c := NewConn(nc, ClientSide)
	if err := c.Engage(engine); err != nil {
		t.Fatal(err)
	}
	begun, read := make(chan bool), make(chan error)
	engine.Start(func(task *poll.Task) {
		c.Attend(task)
		task.Attach()
		for range 2 {
			begun <- true
			typ, size, err := c.Peek()
			if err == nil && (typ != 'S' || size != HeaderSize) {
				err = fmt.Errorf("got %q of %d bytes", typ, size)
			}
			c.Consume(size)
			read <- err
		}
	})
	for range 2 {
		<-begun
		looked := make(chan bool)
		engine.Start(func(task *poll.Task) {
			task.Attach() // the loop comes here when the reader waits
			looked <- c.in == nil && c.pooled == nil
		})
		if !<-looked {
			t.Error("the reader holds a buffer")
		}
		if _, err := peer.Write(frameOf('S', 0)); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// allocated returns how many bytes body allocates.
func allocated(body func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	body()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAnnouncedGigabyteTakesNoMemoryUntilItIsSent(t *testing.T) {
	for _, sent := range []int{0, 100, 100_000} {
		input := binary.BigEndian.AppendUint32([]byte{'Q'}, MaxFrame)
		c := NewConn(&recorded{input: append(input, make([]byte, sent)...)}, ClientSide)
		got := allocated(func() {
			_, size := c.mustPeek(t)
			if _, err := c.Frame(size, 2*MaxFrame); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error is %v", err)
			}
		})
		if bound := uint64(4*sent + 4*BufferSize); got > bound {
			t.Errorf("%d bytes sent of an announced gigabyte allocated %d, bound is %d", sent, got, bound)
		}
	}
}

func TestPipedFrameOfAnySizeTakesNoMemory(t *testing.T) {
	peer, nc := tcpPair(t)
	far, to := tcpPair(t)
	const size = 64 << 20
	chunk := make([]byte, 1<<20)
	inBackground(t, func() error {
		_, err := peer.Write(binary.BigEndian.AppendUint32([]byte{CopyData}, size-1))
		for sent := HeaderSize; sent < size && err == nil; {
			var n int
			n, err = peer.Write(chunk[:min(len(chunk), size-sent)])
			sent += n
		}
		return err
	})
	inBackground(t, func() error { _, err := io.CopyN(io.Discard, far, size); return err })
	c, dst := NewConn(nc, ClientSide), NewConn(to, ServerSide)
	got := allocated(func() {
		_, n := c.mustPeek(t)
		if err := errors.Join(c.Pipe(dst, n), dst.Flush()); err != nil {
			t.Error(err)
		}
	})
	if got > 1<<20 {
		t.Errorf("piping %d bytes allocated %d", size, got)
	}
}

func TestSmallFramesAllocateNothing(t *testing.T) {
	peer, nc := tcpPair(t)
	c := NewConn(nc, ClientSide)
	request, reply, echo := frameOf('Q', 60), frameOf('D', 80), make([]byte, 85)
	got := testing.AllocsPerRun(1000, func() {
		if _, err := peer.Write(request); err != nil {
			t.Fatal(err)
		}
		_, size := c.mustPeek(t)
		frame, err := c.Frame(size, BufferSize)
		if err != nil || !bytes.Equal(frame, request) {
			t.Fatal("wrong frame", err)
		}
		if err := errors.Join(c.Write(reply), c.Flush()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, echo); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations per request and reply", got)
	}
}
