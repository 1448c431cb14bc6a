package pgtest

import (
	"context"
	"net"
	"strconv"
	"testing"
)

func addr(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// Kill9 kills the whole server, children included, with SIGKILL, and returns when nothing of it runs.
func (s *Server) Kill9(t testing.TB) {
	t.Helper()
	if err := s.server.Kill9(); err != nil {
		t.Fatalf("kill server: %v", err)
	}
}

// Restart starts the server again on the same port and data, after ending it in fast mode if it runs.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), startTimeout)
	defer cancel()
	if err := s.server.Restart(ctx); err != nil {
		t.Fatalf("restart server: %v", err)
	}
}

// Shutdown ends the server in PostgreSQL's fast mode; Restart brings it back.
func (s *Server) Shutdown(t testing.TB) {
	t.Helper()
	if err := s.server.Shutdown(); err != nil {
		t.Fatalf("shut server down: %v", err)
	}
}

// Stop freezes every process of the server with SIGSTOP: connections stay open, nothing answers. The end of the test
// works on a frozen server too.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.server.Freeze(); err != nil {
		t.Fatal(err)
	}
}

// Cont lets a stopped server go on.
func (s *Server) Cont(t testing.TB) {
	t.Helper()
	if err := s.server.Thaw(); err != nil {
		t.Fatal(err)
	}
}

// PID is the process id of the postmaster, 0 when it is down.
func (s *Server) PID() int { return s.server.PID() }
