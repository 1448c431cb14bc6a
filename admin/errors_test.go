package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

func TestWhatTopologyRefusesIsTold(t *testing.T) {
	for _, test := range []struct {
		err  error
		code string
		says string
	}{
		{&topology.RefusedError{Object: "table public.orders", Reason: "has rows on two shards", Hint: "move them first", Rows: map[ring.ShardID]int64{"s2": 7}}, "55000", "has rows on two shards: 7 on s2|Move them first."},
		{&topology.ShardInUseError{Shard: "s2", Groups: map[string]int{"shop": 4096}}, "55006", "It owns 4096 of group shop."},
		{topology.ErrNotStarted, "57P03", "not loaded"},
		{fmt.Errorf("add: %w", topology.ErrConflict), "40001", "Repeat the command."},
		{topology.ErrOutcomeUnknown, "08007", "not known"},
		{fmt.Errorf("read: %w", &pgconn.PgError{Code: "42501", Message: "permission denied for schema pgring"}), "42501", "a server refused"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "08006", "cannot be reached"},
		{errors.New("shard s5 has\n no  host"), "55000", "Shard s5 has no host."},
	} {
		e := asWire(t, topologyError(test.err))
		all := e.Message + "|" + e.Detail + "|" + e.Hint
		if e.Code != test.code || e.Hint == "" {
			t.Errorf("%v: %+v", test.err, e)
		}
		for _, part := range strings.Split(test.says, "|") {
			if !strings.Contains(all, part) {
				t.Errorf("%v: %q is missing in %q", test.err, part, all)
			}
		}
	}
	if e := asWire(t, poolError(&backend.UnknownShardError{Shard: "s9"})); e.Code != "42704" {
		t.Errorf("unknown shard: %+v", e)
	}
}

func TestReadyzTellsNothingThatIsNotPublic(t *testing.T) {
	secret := "10.9.8.7 user bob password hunter2"
	for want, err := range map[string]error{
		"the server refused the log-in with SQLSTATE 28P01":   &backend.UnavailableError{Shard: "s1", Err: &pgwire.Error{Code: "28P01", Message: secret}},
		"the server refused the log-in with SQLSTATE unknown": &pgwire.Error{Code: secret},
		"it is not known to the pools yet":                    &backend.UnknownShardError{Shard: "s1"},
		"the pools are closed":                                backend.ErrClosed,
		"its host name cannot be resolved":                    &net.DNSError{Name: secret, Err: secret},
		"its certificate is not accepted":                     &tls.CertificateVerificationError{Err: errors.New(secret)},
		"connection refused":                                  &net.OpError{Op: secret, Err: syscall.ECONNREFUSED},
		"no answer in time":                                   fmt.Errorf("%s: %w", secret, context.DeadlineExceeded),
		"connection failed":                                   errors.New(secret),
	} {
		if got := publicReason(err); got != want {
			t.Errorf("%T: %q, want %q", err, got, want)
		}
	}
}
