package pgwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// frameOf is a frame with a body of n random bytes.
func frameOf(typ byte, n int) []byte {
	b, at := Begin(nil, typ)
	body := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(body) // its Read never fails
	return End(append(b, body...), at)
}

func requireFrame(t *testing.T, c *Conn, want []byte) {
	t.Helper()
	typ, size, err := c.Peek()
	if err != nil {
		t.Fatalf("peek: %v", err)
	}
	if typ != want[0] || size != len(want) {
		t.Fatalf("peeked type %q of %d bytes, want %q of %d", typ, size, want[0], len(want))
	}
	got, err := c.Frame(size, MaxFrame)
	if err != nil {
		t.Fatalf("frame of %d bytes: %v", size, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("frame of %d bytes arrived changed", size)
	}
}

func TestFramesOfAnySizeArriveWhole(t *testing.T) {
	var frames [][]byte
	for _, n := range []int{0, 1, 10, BufferSize - 6, BufferSize - 5, BufferSize - 4, 3, BufferSize, 3 * BufferSize, 0, 1 << 20, 7} {
		frames = append(frames, frameOf('D', n))
	}
	for name, pair := range pairs() {
		t.Run(name, func(t *testing.T) {
			peer, nc := pair(t)
			inBackground(t, func() error {
				_, err := peer.Write(bytes.Join(frames, nil))
				return err
			})
			c := NewConn(nc, ClientSide)
			for _, frame := range frames {
				requireFrame(t, c, frame)
			}
			if c.Buffered() != 0 {
				t.Errorf("%d bytes are left", c.Buffered())
			}
			if in, _ := c.Traffic(); in != int64(len(bytes.Join(frames, nil))) {
				t.Errorf("traffic counts %d bytes read", in)
			}
		})
	}
}

func TestFramesArriveOneByteAtATime(t *testing.T) {
	for name, pair := range pairs() {
		t.Run(name, func(t *testing.T) {
			peer, nc := pair(t)
			frames := [][]byte{frameOf('Q', 3), frameOf('S', 0), frameOf('D', 300)}
			inBackground(t, func() error {
				for _, b := range bytes.Join(frames, nil) {
					if _, err := peer.Write([]byte{b}); err != nil {
						return err
					}
				}
				return nil
			})
			c := NewConn(nc, ClientSide)
			for _, frame := range frames {
				requireFrame(t, c, frame)
			}
		})
	}
}

func TestManyFramesOfOneReadAreHandedOutByReference(t *testing.T) {
	input := bytes.Repeat(frameOf('D', 20), 100)
	c := NewConn(&recorded{input: bytes.Clone(input)}, ServerSide)
	first, size := c.mustPeek(t)
	if first != 'D' || !bytes.Equal(c.Pending(), input) {
		t.Fatalf("pending is not all that was read")
	}
	frame, err := c.Frame(size, size)
	if err != nil {
		t.Fatal(err)
	}
	if typ, next, ok := c.PeekBuffered(); !ok || typ != 'D' || next != size {
		t.Errorf("next buffered frame: %q, %d, %v", typ, next, ok)
	}
	if &frame[0] != &c.in[0] {
		t.Error("the frame is a copy")
	}
	c.Consume(98 * size)
	if c.Buffered() != size {
		t.Errorf("%d bytes are left, want one frame", c.Buffered())
	}
	c.Consume(size - 3)
	if _, _, ok := c.PeekBuffered(); ok {
		t.Error("a header of three bytes was taken for whole")
	}
}

func (c *Conn) mustPeek(t *testing.T) (byte, int) {
	t.Helper()
	typ, size, err := c.Peek()
	if err != nil {
		t.Fatal(err)
	}
	return typ, size
}

func TestLengthsOutsideTheProtocolAreRefused(t *testing.T) {
	for _, length := range []uint32{0, 1, 3, MaxFrame + 1, 1 << 31, 0xffffffff} {
		header := binary.BigEndian.AppendUint32([]byte{'Q'}, length)
		c := NewConn(&recorded{input: append(header, "body"...)}, ClientSide)
		_, _, err := c.Peek()
		var broken *ProtocolError
		if !errors.As(err, &broken) || !strings.Contains(err.Error(), "invalid message length") {
			t.Errorf("length %#x: error is %v", length, err)
		}
		if _, _, ok := c.PeekBuffered(); ok {
			t.Errorf("length %#x: taken for valid", length)
		}
	}
}

func TestFrameOverTheLimitStaysUnread(t *testing.T) {
	small, big := frameOf('S', 0), frameOf('Q', 1000)
	c := NewConn(&recorded{input: append(bytes.Clone(big), small...)}, ClientSide)
	_, size := c.mustPeek(t)
	if _, err := c.Frame(size, 1000); !errors.Is(err, ErrFrameTooLarge) {
		t.Fatalf("error is %v", err)
	}
	if err := c.Discard(size); err != nil {
		t.Fatal(err)
	}
	requireFrame(t, c, small)
}

func TestEndOfConnectionIsToldFromATornFrame(t *testing.T) {
	whole := frameOf('Q', 10)
	for cut, want := range map[int]error{0: io.EOF, 1: io.ErrUnexpectedEOF, 4: io.ErrUnexpectedEOF, 8: io.ErrUnexpectedEOF} {
		for name, pair := range pairs() {
			peer, nc := pair(t)
			inBackground(t, func() error {
				var err error
				if cut > 0 {
					_, err = peer.Write(whole[:cut])
				}
				return errors.Join(err, peer.Close())
			})
			c := NewConn(nc, ServerSide)
			_, size, err := c.Peek()
			if err == nil {
				_, err = c.Frame(size, size)
			}
			var broken *IOError
			if !errors.Is(err, want) || !errors.As(err, &broken) || broken.Side != ServerSide || broken.Write {
				t.Errorf("%s cut after %d bytes: error is %v, want %v", name, cut, err, want)
			}
		}
	}
}

func TestIdleTimeoutEndsTheWaitAndCanBeTakenBack(t *testing.T) {
	for name, pair := range pairs() {
		t.Run(name, func(t *testing.T) {
			peer, nc := pair(t)
			c := NewConn(nc, ClientSide)
			if err := c.SetIdleTimeout(time.Millisecond); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, _, err := c.Peek(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("error is %v, want a deadline's", err)
				}
			}
			if err := c.SetIdleTimeout(0); err != nil {
				t.Fatal(err)
			}
			inBackground(t, func() error { _, err := peer.Write(frameOf('S', 0)); return err })
			requireFrame(t, c, frameOf('S', 0))
		})
	}
}

func TestWritesLeaveInBatches(t *testing.T) {
	nc := &recorded{}
	c := NewConn(nc, ClientSide)
	var want []byte
	write := func(p []byte) {
		t.Helper()
		want = append(want, p...)
		if err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		write(frameOf('D', 50))
	}
	if nc.writes != 0 || c.Unflushed() != len(want) {
		t.Fatalf("%d writes before Flush, %d bytes unflushed of %d", nc.writes, c.Unflushed(), len(want))
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if nc.writes != 1 || c.Unflushed() != 0 || c.out != nil {
		t.Errorf("%d writes, %d bytes unflushed after Flush", nc.writes, c.Unflushed())
	}
	for _, n := range []int{100, BufferSize - 5, BufferSize, 5 * BufferSize, 1} {
		write(frameOf('D', n))
	}
	if err := errors.Join(c.Flush(), c.Flush()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(nc.output, want) {
		t.Error("the bytes left changed or in another order")
	}
	if _, out := c.Traffic(); out != int64(len(want)) {
		t.Errorf("traffic counts %d bytes written, want %d", out, len(want))
	}
}

func TestFailedWriteSaysHowMuchLeftAndIsRemembered(t *testing.T) {
	nc := &recorded{refuse: net.ErrClosed}
	c := NewConn(nc, ServerSide)
	if err := c.Write(frameOf('Q', 95)); err != nil {
		t.Fatal(err)
	}
	err := c.Flush()
	var broken *IOError
	if !errors.As(err, &broken) || !broken.Write || broken.Side != ServerSide || broken.Sent != 50 || !errors.Is(err, net.ErrClosed) {
		t.Fatalf("error is %#v", err)
	}
	if err.Error() != "write to server: "+net.ErrClosed.Error() {
		t.Errorf("error reads %q", err)
	}
	nc.refuse = nil
	if c.Write([]byte("x")) == nil || c.Flush() == nil || nc.writes != 1 {
		t.Error("the connection was written to after a write was torn")
	}
}

func TestPipeMovesExactlyItsBytes(t *testing.T) {
	big, after := frameOf('d', 3<<20), frameOf('S', 0)
	for name, pair := range pairs() {
		t.Run(name, func(t *testing.T) {
			peer, nc := pair(t)
			inBackground(t, func() error { _, err := peer.Write(append(bytes.Clone(big), after...)); return err })
			to := &recorded{}
			c, dst := NewConn(nc, ClientSide), NewConn(to, ServerSide)
			_, size := c.mustPeek(t)
			if err := errors.Join(c.Pipe(dst, size), dst.Flush()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(to.output, big) {
				t.Error("the frame changed on its way")
			}
			requireFrame(t, c, after)
		})
	}
}

func TestPipeSaysWhichSideBroke(t *testing.T) {
	frame := frameOf('d', 100_000)
	c, dst := NewConn(&recorded{input: frame[:50_000]}, ClientSide), NewConn(&recorded{}, ServerSide)
	var broken *IOError
	if err := c.Pipe(dst, len(frame)); !errors.As(err, &broken) || broken.Side != ClientSide {
		t.Errorf("torn client: error is %v", err)
	}
	c, dst = NewConn(&recorded{input: frame}, ClientSide), NewConn(&recorded{refuse: net.ErrClosed}, ServerSide)
	if err := c.Pipe(dst, len(frame)); !errors.As(err, &broken) || broken.Side != ServerSide || !broken.Write {
		t.Errorf("torn server: error is %v", err)
	}
	c = NewConn(&recorded{input: frame[:50_000]}, ClientSide)
	if err := c.Discard(len(frame)); !errors.As(err, &broken) || broken.Side != ClientSide {
		t.Errorf("discard of a torn frame: error is %v", err)
	}
}

func TestCloseEndsABlockedRead(t *testing.T) {
	_, nc := tcpPair(t)
	c := NewConn(nc, ClientSide)
	inBackground(t, func() error {
		if _, _, err := c.Peek(); !errors.Is(err, net.ErrClosed) {
			return errors.Join(errors.New("peek did not end with net.ErrClosed"), err)
		}
		return nil
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
