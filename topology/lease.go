package topology

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// renewal is what one look at the control database gives.
type renewal struct {
	cluster    string
	told       int64 // the epoch that it recorded as this proxy's
	epoch      int64
	counter    int64 // schema_version: grows with each BumpSchema of any proxy
	leaseUntil time.Time
}

// renew extends the lease by the server's clock, records the epoch this proxy plans with, and reads what is current, all in
// one statement. leaseUntil counts from before the request left, so that it is never later than what the server recorded.
func (t *Topology) renew(ctx context.Context, conn *pgx.Conn) (renewal, error) {
	var r renewal
	epoch := t.Current().Epoch // before the uses are read: who begins later uses this one or a newer one
	oldest, writing := t.uses.oldest(epoch)
	sent := time.Now()
	err := conn.QueryRow(ctx, `
WITH lease AS (
	INSERT INTO pgring.proxies (instance, host, version, started, lease_until, epoch, oldest, writing)
	VALUES ($1, $2, $3, $4, clock_timestamp() + $5::interval, $6, $7, $8)
	ON CONFLICT (instance) DO UPDATE SET lease_until = excluded.lease_until, epoch = excluded.epoch,
		oldest = excluded.oldest, writing = excluded.writing
	RETURNING 1
), forgotten AS (
	DELETE FROM pgring.proxies WHERE lease_until < now() - interval '1 day'
)
SELECT id::text, epoch, schema_version FROM pgring.cluster, lease`,
		t.cfg.Instance, t.cfg.Host, t.cfg.Version, t.started, t.cfg.Lease, epoch, oldest, writing).
		Scan(&r.cluster, &r.epoch, &r.counter)
	r.told, r.leaseUntil = epoch, sent.Add(t.cfg.Lease)
	return r, err
}

// Peer is one proxy of the cluster, as the control database knows it.
type Peer struct {
	Instance string
	Host     string
	Version  string
	Started  time.Time
	LeaseFor time.Duration // what is left of its lease by the control database's clock; negative: it is gone
	Epoch    int64         // what it plans with
	Self     bool
}

// Peers reads all proxies, this one included, by start time.
func (t *Topology) Peers(ctx context.Context) ([]Peer, error) {
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer hangUp(ctx, conn)
	rows, err := conn.Query(ctx, `SELECT instance, host, version, started, lease_until - clock_timestamp(), epoch, instance = $1
FROM pgring.proxies ORDER BY started, instance`, t.cfg.Instance)
	if err != nil {
		return nil, fmt.Errorf("read pgring.proxies: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Peer])
}
