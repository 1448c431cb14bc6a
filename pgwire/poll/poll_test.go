package poll_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgring/pgring/pgwire/poll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen on a loaded machine.
const patience = 30 * time.Second

// start runs an engine, which must have ended when the test ends.
func start(t *testing.T, loops int) *poll.Engine {
	t.Helper()
	e, err := poll.New(loops)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the engine does not end")
		}
	})
	return e
}

// pair returns a connection on the engine and its peer.
func pair(t *testing.T, e *poll.Engine) (*poll.Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Conn(nc)
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	t.Cleanup(func() { c.Close() })
	return c, peer.(*net.TCPConn)
}

// do runs body as a task and waits for it.
func do(t *testing.T, e *poll.Engine, body func(*poll.Task)) {
	t.Helper()
	done := make(chan struct{})
	e.Start(func(task *poll.Task) {
		defer close(done)
		body(task)
	})
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the task does not end")
	}
}

func TestTaskEchoesAttachedAndDetached(t *testing.T) {
	e := start(t, 2)
	c, peer := pair(t, e)
	go func() {
		for i := range byte(100) {
			_, _ = peer.Write([]byte{i})
			var b [1]byte
			if _, err := io.ReadFull(peer, b[:]); err != nil || b[0] != i {
				t.Errorf("got %d, want %d: %v", b[0], i, err)
			}
		}
		_ = peer.CloseWrite()
	}()
	do(t, e, func(task *poll.Task) {
		c.Attend(task)
		b := make([]byte, 16)
		for i := 0; ; i++ {
			if i%3 == 0 {
				task.Attach()
			}
			if i%5 == 0 {
				task.Detach()
			}
			n, err := c.Read(b)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.Write(b[:n]); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestManyTasksMoveManyBytes has each of many tasks send as much as it receives, more than the sockets hold, in pieces of any size.
func TestManyTasksMoveManyBytes(t *testing.T) {
	const tasks, size = 20, 1 << 18
	e := start(t, 2)
	var group sync.WaitGroup
	for range tasks {
		c, peer := pair(t, e)
		sent := make([]byte, size)
		for i := 0; i < size; i += 8 {
			binary.LittleEndian.PutUint64(sent[i:], rand.Uint64())
		}
		group.Go(func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+rand.IntN(50_000))
				_, _ = peer.Write(rest[:n])
				rest = rest[n:]
			}
			_ = peer.CloseWrite()
		})
		group.Go(func() {
			got, err := io.ReadAll(peer)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes came back, not those sent: %v", len(got), err)
			}
		})
		group.Add(1)
		e.Start(func(task *poll.Task) {
			defer group.Done()
			c.Attend(task)
			task.Attach()
			if _, err := io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 100+rand.IntN(1<<16))); err != nil {
				t.Error(err)
			}
			_ = c.Close()
		})
	}
	group.Wait()
}

func TestDeadlineEndsAWait(t *testing.T) {
	e := start(t, 1)
	for _, attached := range []bool{true, false} {
		c, peer := pair(t, e)
		do(t, e, func(task *poll.Task) {
			c.Attend(task)
			if attached {
				task.Attach()
			}
			var b [1]byte
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("attached %t: got %v", attached, err)
			}
			_ = c.SetReadDeadline(time.Unix(1, 0))
			if _, err := c.ReadWith(room(b[:]), false); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("attached %t: got %v", attached, err)
			}
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond)) // replaced before it is over
			_ = c.SetReadDeadline(time.Time{})
			_, _ = peer.Write([]byte{7})
			if _, err := c.Read(b[:]); err != nil || b[0] != 7 {
				t.Errorf("attached %t: got %d, %v", attached, b[0], err)
			}
		})
		go func() { _ = c.SetReadDeadline(time.Now()) }()
		do(t, e, func(task *poll.Task) {
			c.Attend(task)
			if attached {
				task.Attach()
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("attached %t, from outside: got %v", attached, err)
			}
		})
	}
}

func TestCloseEndsReadsAndWrites(t *testing.T) {
	e := start(t, 1)
	for _, attached := range []bool{true, false} {
		for _, writes := range []bool{true, false} {
			c, _ := pair(t, e)
			began := make(chan struct{})
			go func() {
				<-began
				_ = c.Close()
			}()
			do(t, e, func(task *poll.Task) {
				c.Attend(task)
				if attached {
					task.Attach()
				}
				close(began)
				var err error
				for err == nil {
					if writes {
						_, err = c.Write(make([]byte, 1<<20))
					} else {
						_, err = c.Read(make([]byte, 1))
					}
				}
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("attached %t, writes %t: %v", attached, writes, err)
				}
			})
			if err := c.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed twice: %v", err)
			}
		}
	}
}

func TestPeerThatLeavesIsNoticed(t *testing.T) {
	e := start(t, 1)
	for _, abort := range []bool{true, false} {
		c, peer := pair(t, e)
		do(t, e, func(task *poll.Task) {
			c.Attend(task)
			task.Attach()
			_, _ = peer.Write([]byte("last"))
			if abort {
				_ = peer.SetLinger(0)
			}
			_ = peer.Close()
			all, err := io.ReadAll(c)
			if string(all) != "last" && !abort || abort != (err != nil) {
				t.Errorf("abort %t: read %q, %v", abort, all, err)
			}
		})
	}
}

// TestTaskThatBlocksHoldsNobodyUp: the loop changes hands, and the task goes on where it was.
func TestTaskThatBlocksHoldsNobodyUp(t *testing.T) {
	e := start(t, 1)
	c, peer := pair(t, e)
	release := make(chan struct{})
	var group sync.WaitGroup
	for range 3 {
		group.Add(1)
		e.Start(func(task *poll.Task) {
			defer group.Done()
			task.Attach()
			<-release
			task.Detach()
			task.Attach()
		})
	}
	do(t, e, func(task *poll.Task) {
		c.Attend(task)
		task.Attach()
		for range 10 {
			_, _ = peer.Write([]byte{1})
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
	})
	close(release)
	group.Wait()
}

// TestWakeIsNeverLost hands a token around between parked tasks, attached and not.
func TestWakeIsNeverLost(t *testing.T) {
	const tasks, rounds = 8, 2000
	e := start(t, 2)
	var ring [tasks]atomic.Pointer[poll.Task]
	var token atomic.Int64
	var ready, group sync.WaitGroup
	ready.Add(tasks)
	for i := range tasks {
		group.Add(1)
		e.Start(func(task *poll.Task) {
			defer group.Done()
			ring[i].Store(task)
			ready.Done()
			ready.Wait()
			if i%4 != 0 {
				task.Attach()
			}
			for {
				at := token.Load()
				if at >= rounds {
					ring[(i+1)%tasks].Load().Wake()
					return
				}
				if int(at)%tasks != i {
					task.Park()
					continue
				}
				token.Store(at + 1)
				ring[(i+1)%tasks].Load().Wake()
			}
		})
	}
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("the token is lost in round %d", token.Load())
	}
}

func TestNilTaskIsDetached(t *testing.T) {
	var task *poll.Task
	task.Attach()
	task.Detach()
	if task.Attached() || poll.TaskOf(t.Context()) != nil {
		t.Error("a task from nowhere")
	}
}

func TestConnectionsWithoutASocketStayAsTheyAre(t *testing.T) {
	e := start(t, 1)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if c, err := e.Conn(a); c != nil || err != nil {
		t.Errorf("got %v, %v", c, err)
	}
	go func() { _, _ = b.Write([]byte{1}) }()
	if _, err := a.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}
