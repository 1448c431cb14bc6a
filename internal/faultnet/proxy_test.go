package faultnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgring/pgring/internal/faultnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// echo is a server that sends back what it gets, until the client's end of file.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

func dial(t *testing.T, p *faultnet.Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

// wantSilence checks that nothing arrives for a moment; a fault that fails to hold bytes back delivers them at once.
func wantSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(make([]byte, 100))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, error %v; want silence", n, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
}

// wantRefused checks that a new connection is reset, be it while dialling or later.
func wantRefused(t *testing.T, p *faultnet.Proxy) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err != nil {
		return
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a refused connection gave %v, want a reset", err)
	}
}

func TestWithoutFaultsBytesAndEndsPassUnchanged(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	conn := dial(t, p)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // more than every buffer on the way
	var writing sync.WaitGroup
	writing.Go(func() {
		if _, err := conn.Write(sent); err != nil {
			t.Error(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(conn)
	writing.Wait()
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("read %d bytes, %v; want the %d sent", len(got), err, len(sent))
	}
	if c := p.Counts(); c.Bytes != [2]int64{int64(len(sent)), int64(len(sent))} || c.Connections != 1 {
		t.Errorf("counts are %+v", c)
	}
}

func TestCutResetsAndFinishEndsInOrder(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	for name, test := range map[string]struct {
		fault func()
		want  error
	}{"cut": {p.Cut, syscall.ECONNRESET}, "finish": {p.Finish, io.EOF}} {
		conn := dial(t, p)
		write(t, conn, "x")
		wantRead(t, conn, "x")
		test.fault()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, test.want) {
			t.Errorf("%s: read gave %v, want %v", name, err, test.want)
		}
	}
	again := dial(t, p)
	write(t, again, "new connections work")
	wantRead(t, again, "new connections work")
}

func TestHoldKeepsBytesBackAndReleaseDeliversThem(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	conn := dial(t, p)
	for _, d := range []faultnet.Direction{faultnet.ToServer, faultnet.ToClient} {
		p.Hold(d)
		write(t, conn, "held")
		wantSilence(t, conn)
		p.Release(d)
		wantRead(t, conn, "held")
	}
}

func TestHoldKeepsTheEndOfFileBackToo(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	conn := dial(t, p)
	p.Hold(faultnet.ToServer)
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantSilence(t, conn)
	p.Release(faultnet.ToServer)
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read gave %v, want end of file", err)
	}
}

func TestHoldAfterAndCutAfterCountBytesExactly(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	conn := dial(t, p)
	p.HoldAfter(faultnet.ToClient, 3)
	write(t, conn, "abcdef")
	wantRead(t, conn, "abc")
	wantSilence(t, conn)
	p.CutAfter(faultnet.ToClient, 2)
	wantRead(t, conn, "de")
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read gave %v, want a reset", err)
	}
}

func TestCutAfterDeliversNothingBeyondItsLimitToTheServer(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	p.CutAfter(faultnet.ToServer, 4)
	conn := dial(t, p)
	write(t, conn, "abcdef")
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read gave %v, want a reset", err)
	}
	if c := p.Counts(); c.Bytes[faultnet.ToServer] != 4 {
		t.Errorf("%d bytes reached the server, want 4", c.Bytes[faultnet.ToServer])
	}
}

func TestCutOnceAfterSparesTheNextConnectionAndRecordKeepsDeliveries(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	stop := p.Record(faultnet.ToServer)
	p.CutOnceAfter(faultnet.ToServer, 4)
	conn := dial(t, p)
	write(t, conn, "abcdef")
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read gave %v, want a reset", err)
	}
	conn = dial(t, p)
	write(t, conn, "ghi")
	wantRead(t, conn, "ghi")
	if got := stop(); len(got) != 2 || string(got[0]) != "abcd" || string(got[1]) != "ghi" {
		t.Errorf("recorded %q", got)
	}
	write(t, conn, "j")
	wantRead(t, conn, "j")
}

func TestSplitDeliversByteByByte(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	p.Split(faultnet.ToServer, 1)
	p.Split(faultnet.ToClient, 1)
	conn := dial(t, p)
	write(t, conn, "one at a time")
	wantRead(t, conn, "one at a time")
}

func TestDelayAndThrottleTakeTheirTime(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	conn := dial(t, p)
	began := time.Now()
	p.Delay(faultnet.ToServer, 30*time.Millisecond)
	write(t, conn, "x")
	wantRead(t, conn, "x")
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("a delay of 30 ms took %s", took)
	}
	p.Delay(faultnet.ToServer, 0)
	p.Throttle(faultnet.ToServer, 10_000)
	began = time.Now()
	text := string(bytes.Repeat([]byte("y"), 1000))
	write(t, conn, text)
	wantRead(t, conn, text)
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("1,000 bytes at 10,000 in a second took %s", took)
	}
}

func TestBlackholeSwallowsOneDirectionOnly(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	conn := dial(t, p)
	p.Blackhole(faultnet.ToClient)
	write(t, conn, "lost")
	wantSilence(t, conn)
	for p.Counts().Swallowed[faultnet.ToClient] < 4 {
		runtime.Gosched() // the echo is on its way; the test's own time limit bounds the wait
	}
	if got := p.Counts().Bytes[faultnet.ToServer]; got != 4 {
		t.Errorf("%d bytes reached the server, want 4", got)
	}
	p.Pass(faultnet.ToClient)
	write(t, conn, "later")
	wantRead(t, conn, "later")
}

func TestRefuseResetsNewConnectionsAndKeepsOldOnes(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	old := dial(t, p)
	write(t, old, "x")
	wantRead(t, old, "x")
	p.Refuse()
	wantRefused(t, p)
	write(t, old, "still here")
	wantRead(t, old, "still here")
	p.Accept()
	fresh := dial(t, p)
	write(t, fresh, "back")
	wantRead(t, fresh, "back")
	if c := p.Counts(); c.Connections != 2 || c.Open != 2 {
		t.Errorf("counts are %+v, want 2 connections, both open", c)
	}
}

func TestFaultsWorkWhileAClientDoesNotRead(t *testing.T) {
	p := faultnet.Start(t, echo(t))
	conn := dial(t, p)
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = conn.Write(make([]byte, 64<<20)) }) // fills every buffer, then fails with the cut
	for last := int64(-1); last != p.Counts().Bytes[faultnet.ToClient] || last == 0; {
		last = p.Counts().Bytes[faultnet.ToClient]
		<-time.After(20 * time.Millisecond)
	}
	p.Hold(faultnet.ToClient)
	p.Cut()
	writing.Wait()
}

func TestServerDownLooksLikeAReset(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := listener.Addr().String()
	listener.Close()
	p := faultnet.Start(t, target)
	wantRefused(t, p)
}
