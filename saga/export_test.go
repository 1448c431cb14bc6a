package saga

import (
	"context"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ring"
)

// Point is a moment of the protocol.
type Point = point

// The names that tests write.
const (
	Before   = before
	Sent     = sent
	Answered = answered
)

func (p point) String() string { return string(p.when) + " " + p.message + " on " + string(p.shard) }

// Message returns the message's name.
func (p point) Message() string { return p.message }

// When returns the moment.
func (p point) When() string { return string(p.when) }

// Shard returns the shard that the message is for.
func (p point) Shard() ring.ShardID { return p.shard }

// SetHook has f called at every point.
func (c *Config) SetHook(f func(Point)) { c.hook = f }

// LearnFrom has a coordinator know what another one knows of the shards.
func (c *Coordinator) LearnFrom(other *Coordinator) { c.facts = other.facts }

// SetGrace changes after what time prepared transactions are settled.
func (c *Config) SetGrace(d time.Duration) { c.grace = d }

// SetKeep changes after what time decisions and fences are deleted.
func (c *Config) SetKeep(d time.Duration) { c.keep = d }

// SetPatience changes how long a shard that does not answer is asked after the decision.
func (c *Config) SetPatience(d time.Duration) { c.patience = d }

// SetLease changes for how long a saga is left to its proxy, or to the janitor that has taken it over.
func (c *Config) SetLease(d time.Duration) { c.lease = d }

// SetLocks changes how long others' locks are waited for.
func (c *Config) SetLocks(d time.Duration) { c.locks = d }

// Sweep is one round of the janitor, with all that it begins.
func (c *Coordinator) Sweep(ctx context.Context) map[ring.ShardID]error {
	defer c.crew.group.Wait()
	return c.round(ctx, c.cfg.Topology.Current())
}

// GID builds the name of a prepared transaction.
func GID(cluster, transaction string, step int, home ring.ShardID) string {
	return gid{cluster: cluster, transaction: transaction, step: step, home: home}.String()
}

// RoundTrip parses a name and writes it again.
func RoundTrip(text string) (string, bool) {
	g, ok := parseGID(text)
	return g.String(), ok
}

// NewIdentity returns a transaction's name and secret.
func NewIdentity() (name, secret string) {
	id := newIdentity()
	return id.name, id.secret
}

// Quote makes an SQL string constant.
func Quote(text string) string { return quote(text) }

// Exchange sends frames and returns the last command's tag.
func Exchange(conn *backend.Conn, frames []byte) (tag string, err error) {
	if err := send(conn, frames); err != nil {
		return "", err
	}
	got, err := receive(conn)
	return got.tag, err
}

// Moment is when a point is reached.
type Moment = moment

// Mark writes a step's barrier row and leaves the transaction open.
func Mark(conn *backend.Conn, secret []byte, id string, step int) error {
	_, err := Exchange(conn, query("SELECT pgring.saga_mark("+quote(id)+", "+strconv.Itoa(step)+", 'a', decode('"+hex.EncodeToString(markProof(secret, id, step, opAction))+"', 'hex'))"))
	return err
}

// NewSagaID names a saga.
func NewSagaID(home ring.ShardID) string { return newID(home) }
