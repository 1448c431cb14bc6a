package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// readiness is the body of /readyz. Nothing in it needs to be kept from whoever can reach the port: no address, no user, no
// text of a server.
type readiness struct {
	Status  string       `json:"status"`            // ready, degraded (ready all the same) or not ready
	Reasons []string     `json:"reasons,omitempty"` // why not simply ready
	Epoch   int64        `json:"epoch"`             // of the map that is served
	Shards  []shardReady `json:"shards"`
}

type shardReady struct {
	Shard  string `json:"shard"`
	Up     bool   `json:"up"`
	Reason string `json:"reason,omitempty"`
}

// probeTimeout bounds how long /readyz waits for a shard.
const probeTimeout = time.Second

// readyz answers whether clients should be sent here.
func (c *Console) readyz(w http.ResponseWriter, r *http.Request) {
	body, ready := c.ready(r.Context(), r.URL.Query().Get("shards") == "all")
	code := http.StatusOK
	if !ready {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, body)
}

// ready looks at everything that serving needs. With all, one shard that is down is enough to say no.
func (c *Console) ready(ctx context.Context, all bool) (readiness, bool) {
	ok := true
	body := readiness{Status: "ready", Shards: []shardReady{}}
	refuse := func(reason string) {
		ok = false
		body.Reasons = append(body.Reasons, reason)
	}
	if !c.cfg.Serving() {
		refuse("clients are not accepted")
	}
	snap := c.cfg.Topology.Current()
	if snap == nil {
		refuse("the map is not loaded yet")
		body.Status = "not ready"
		return body, false
	}
	body.Epoch = snap.Epoch
	body.Shards = c.probe(ctx, snap)
	up := 0
	for _, s := range body.Shards {
		if s.Up {
			up++
		} else {
			body.Reasons = append(body.Reasons, fmt.Sprintf("shard %s is down: %s", s.Shard, s.Reason))
		}
	}
	if up == 0 {
		refuse("no shard is up")
	}
	ok = ok && (!all || up == len(body.Shards))
	body.Reasons = append(body.Reasons, lost(c.cfg.Topology.Status())...)
	switch {
	case !ok:
		body.Status = "not ready"
	case len(body.Reasons) > 0:
		body.Status = "degraded"
	}
	return body, ok
}

// lost tells of the connections whose loss does not keep from serving.
func lost(s topology.Status) []string {
	var reasons []string
	if !s.Connected {
		reasons = append(reasons, fmt.Sprintf("control database lost since %s, serving map epoch %d", s.Since.UTC().Format(time.RFC3339), s.Epoch))
	}
	if !s.CatalogConnected {
		reasons = append(reasons, "home shard's catalog cannot be read, serving the last one")
	}
	return reasons
}

// probe borrows a connection to every shard as a client would, all at once.
func (c *Console) probe(ctx context.Context, snap *topology.Snapshot) []shardReady {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	found := make([]shardReady, len(snap.Shards))
	var asking sync.WaitGroup
	for i, shard := range snap.Shards {
		// owner: probe; ends with ctx at the latest.
		asking.Go(func() { found[i] = c.probeShard(ctx, shard.ID) })
	}
	asking.Wait()
	return found
}

// probeShard counts a shard as up when a connection can be had, and also when all are in use or the shard is paused: then its server
// is there, and waiting is what clients are meant to do.
func (c *Console) probeShard(ctx context.Context, id ring.ShardID) shardReady {
	result := shardReady{Shard: string(id), Up: true}
	conn, err := c.cfg.Pools.Acquire(ctx, id, "")
	if err == nil {
		conn.Release()
		return result
	}
	var exhausted *backend.ExhaustedError
	if errors.As(err, &exhausted) || errors.Is(err, context.DeadlineExceeded) && c.taken(id) {
		return result
	}
	result.Up, result.Reason = false, publicReason(err)
	return result
}

// taken reports whether a shard's connections are paused or lent out, so that not getting one in time says nothing of the server.
func (c *Console) taken(id ring.ShardID) bool {
	for _, p := range c.cfg.Pools.Stats() {
		if p.Shard == id && p.Health.Healthy && (p.Paused || p.Active > 0) {
			return true
		}
	}
	return false
}

// publicReason tells why a shard cannot be reached in words that hold no address, user or server text.
func publicReason(err error) string {
	var (
		server      *pgwire.Error
		unknown     *backend.UnknownShardError
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
		network     net.Error
	)
	switch {
	case errors.As(err, &server):
		return "the server refused the log-in with SQLSTATE " + sqlstate(server.Code)
	case errors.As(err, &unknown):
		return "it is not known to the pools yet"
	case errors.Is(err, backend.ErrClosed):
		return "the pools are closed"
	case errors.As(err, &name):
		return "its host name cannot be resolved"
	case errors.As(err, &certificate):
		return "its certificate is not accepted"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	}
	return "connection failed"
}

// sqlstate passes only what can be one.
func sqlstate(code string) string {
	if len(code) != 5 {
		return "unknown"
	}
	for _, c := range code {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return "unknown"
		}
	}
	return code
}
