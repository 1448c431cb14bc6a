package poll_test

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgring/pgring/pgwire/poll"
)

// sleeper is a task that echoes bytes, and rests when it is tired, or at once when it has written something.
type sleeper struct {
	conn   *poll.Conn
	atOnce bool
	naps   atomic.Int64
	ended  chan error
}

func (s *sleeper) begin(e *poll.Engine) {
	e.Start(func(task *poll.Task) {
		s.conn.Attend(task)
		task.Attach()
		s.serve(task)
	})
}

func (s *sleeper) serve(task *poll.Task) {
	b := make([]byte, 16)
	for {
		err := s.conn.WaitIdle()
		if errors.Is(err, poll.ErrTired) {
			s.rest(task)
			return
		}
		n := 0
		if err == nil {
			n, err = s.conn.TryRead(b)
		}
		if err == nil {
			_, err = s.conn.Write(b[:n])
		}
		if err != nil {
			s.ended <- err
			return
		}
		if n > 0 && s.atOnce {
			s.rest(task)
			return
		}
	}
}

func (s *sleeper) rest(task *poll.Task) {
	s.naps.Add(1)
	task.Rest(s.conn, s.serve)
}

func TestRestingTaskHoldsNoStackAndGoesOn(t *testing.T) {
	e := start(t, 2)
	c, peer := pair(t, e)
	s := &sleeper{conn: c, ended: make(chan error, 1)}
	s.begin(e)
	var b [1]byte
	for i := range byte(3) {
		deadline := time.Now().Add(patience)
		for i < 2 && (s.naps.Load() <= int64(i) || stacks("sleeper).serve") > 0) { // the last byte comes while it is awake, most likely
			if time.Now().After(deadline) {
				t.Fatal("the task does not rest")
			}
			runtime.Gosched()
		}
		_, _ = peer.Write([]byte{i})
		if _, err := io.ReadFull(peer, b[:]); err != nil || b[0] != i {
			t.Fatalf("got %d, want %d: %v", b[0], i, err)
		}
	}
	_ = peer.Close()
	if err := <-s.ended; !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// stacks counts the goroutines with a function on their stacks.
func stacks(function string) int {
	b := make([]byte, 1<<20)
	return strings.Count(string(b[:runtime.Stack(b, true)]), function)
}

// What happens while a task is about to rest is not lost. Many tasks rest after each byte.
func TestWhatWakesARestingTaskIsNeverLost(t *testing.T) {
	const tasks, rounds = 8, 500
	e := start(t, 2)
	var group sync.WaitGroup
	for range tasks {
		c, peer := pair(t, e)
		s := &sleeper{conn: c, atOnce: true, ended: make(chan error, 1)}
		s.begin(e)
		group.Go(func() {
			var b [1]byte
			for i := range rounds {
				_, _ = peer.Write([]byte{byte(i)})
				if _, err := io.ReadFull(peer, b[:]); err != nil || b[0] != byte(i) {
					t.Errorf("got %d, want %d: %v", b[0], i, err)
				}
			}
			_ = peer.Close()
			if err := <-s.ended; !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			if s.naps.Load() == 0 {
				t.Error("a task has never rested")
			}
		})
	}
	group.Wait()
}

func TestRestingTaskIsWokenByDeadlineAndClose(t *testing.T) {
	e := start(t, 1)
	for want, end := range map[error]func(*poll.Conn){
		os.ErrDeadlineExceeded: func(c *poll.Conn) { _ = c.SetReadDeadline(time.Now()) },
		net.ErrClosed:          func(c *poll.Conn) { _ = c.Close() },
	} {
		c, peer := pair(t, e)
		s := &sleeper{conn: c, atOnce: true, ended: make(chan error, 1)}
		s.begin(e)
		var b [1]byte
		_, _ = peer.Write(b[:])
		if _, err := io.ReadFull(peer, b[:]); err != nil {
			t.Fatal(err)
		}
		end(c)
		if err := <-s.ended; !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
