package poll_test

import (
	"errors"
	"fmt"
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

// room is a buffer that its reader has anyway.
type room []byte

func (b room) Lend() []byte { return b }
func (b room) TakeBack()    {}

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
		n, err := s.conn.ReadWith(room(b), true)
		if errors.Is(err, poll.ErrTired) {
			s.rest(task)
			return
		}
		if err == nil {
			_, err = s.conn.Write(b[:n])
		}
		if err != nil {
			s.ended <- err
			return
		}
		if s.atOnce {
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
		if err := exchange(peer, i, b[:]); err != nil {
			t.Fatal(err)
		}
	}
	if err := peer.Close(); err != nil {
		t.Error(err)
	}
	if err := <-s.ended; !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// exchange sends a byte, whose echo comes into the buffer.
func exchange(peer net.Conn, sent byte, echo []byte) error {
	if _, err := peer.Write([]byte{sent}); err != nil {
		return err
	}
	if _, err := io.ReadFull(peer, echo); err != nil {
		return err
	}
	if echo[0] != sent {
		return fmt.Errorf("got %d, want %d", echo[0], sent)
	}
	return nil
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
				if err := exchange(peer, byte(i), b[:]); err != nil {
					t.Error(err)
				}
			}
			if err := peer.Close(); err != nil {
				t.Error(err)
			}
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
	for want, end := range map[error]func(*poll.Conn) error{
		os.ErrDeadlineExceeded: func(c *poll.Conn) error { return c.SetReadDeadline(time.Now()) },
		net.ErrClosed:          (*poll.Conn).Close,
	} {
		c, peer := pair(t, e)
		s := &sleeper{conn: c, atOnce: true, ended: make(chan error, 1)}
		s.begin(e)
		var b [1]byte
		if err := exchange(peer, 0, b[:]); err != nil {
			t.Fatal(err)
		}
		if err := end(c); err != nil {
			t.Fatal(err)
		}
		if err := <-s.ended; !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
