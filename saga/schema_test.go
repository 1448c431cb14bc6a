package saga_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/saga"
)

func TestManyProxiesInstallTheTablesOnce(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 2)...)
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			if failed := c.coordinator(t).Sweep(t.Context()); len(failed) > 0 {
				t.Errorf("failed: %v", failed)
			}
		})
	}
	group.Wait()
	for _, s := range c.servers {
		if n := pgtest.One[int](t, s, "SELECT count(*) FROM pgring.saga_migrations"); n != 2 {
			t.Errorf("%d migrations, want 2", n)
		}
	}
}

func TestDroppedTablesCostOneCommit(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 2)...)
	coordinator := c.coordinator(t)
	for i, want := range []string{"", "42883", ""} {
		if i == 1 {
			c.servers[0].Exec(t, "DROP TABLE pgring.saga, pgring.barrier, pgring.saga_migrations, pgring.saga_secret; DROP FUNCTION pgring.decide, pgring.saga_check, pgring.saga_mark, pgring.saga_begin")
		}
		tx := c.open(t, kinds()[0], c.shards...)
		err := coordinator.Commit(t.Context(), tx.conns)
		tx.release(t)
		if want != "" {
			mustAbort(t, err, "s1", want)
			mustBeGone(t, tx)
		} else if err != nil || !tx.mustBeWhole(t) {
			t.Errorf("commit %d: %v", i, err)
		}
	}
}

func TestClientsHaveNoRightsOnDecisions(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 1)...)
	c.coordinator(t).Sweep(t.Context())
	conn := c.servers[0].ConnectAs(t, client, "postgres")
	for _, sql := range []string{
		"SELECT FROM pgring.saga", "SELECT FROM pgring.barrier", "SELECT FROM pgring.saga_migrations",
		"SELECT FROM pgring.saga_secret", "SELECT pgring.saga_check('x', 'y')", "SELECT pgring.saga_mark('x', 1, 'a', 'y')",
		"SELECT pgring.saga_begin('x', '{s1}', '{}', NULL, 1, 'y')", "SELECT pgring.saga_mark('x', 1, 'c', NULL)",
		"INSERT INTO pgring.barrier (saga_id, step, op, kind) VALUES ('x', 0, 'a', 'action')",
		"DELETE FROM pgring.barrier", "CREATE TABLE pgring.mine (id int)", "SELECT FROM pgring.cluster",
	} {
		_, err := conn.Exec(t.Context(), sql)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: %v, want permission denied", sql, err)
		}
	}
}

// Everybody may read the names in pg_prepared_xacts. Who knows a name must not be able to decide that transaction.
func TestNameOfATransactionDoesNotDecideIt(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 1)...)
	c.coordinator(t).Sweep(t.Context())
	conn := c.servers[0].ConnectAs(t, client, "postgres")
	name, secret := saga.NewIdentity()
	written := func() bool {
		return pgtest.One[bool](t, c.servers[0], "SELECT EXISTS (SELECT FROM pgring.barrier WHERE saga_id = $1)", name)
	}
	for _, step := range []struct {
		argument string
		decides  bool
	}{{name, false}, {secret, true}} {
		if _, err := conn.Exec(t.Context(), "SELECT pgring.decide($1, '{s1,s2}')", step.argument); err != nil {
			t.Fatal(err)
		}
		if written() != step.decides {
			t.Errorf("decided: %t, want %t", written(), step.decides)
		}
	}
	_, err := conn.Exec(t.Context(), "SELECT pgring.decide($1, '{s1,s2}')", secret)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "40001" {
		t.Errorf("second decision: %v, want 40001", err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT pgring.decide('x', ARRAY[repeat('x', 100000)])"); err == nil {
		t.Error("a list of any length is stored")
	}
}

// The others' COMMIT PREPARED is always flushed, so the decision must be too, whatever the client has set.
func TestDecisionIsFlushedThoughTheClientDoesNotWantIt(t *testing.T) {
	c := newCluster(t, pgtest.Start(t, 1)...)
	c.coordinator(t).Sweep(t.Context())
	conn := c.servers[0].ConnectAs(t, client, "postgres")
	for _, set := range []string{"off", "local", "on"} {
		var during, after string
		for _, sql := range []string{"SET synchronous_commit = " + set, "BEGIN", "SELECT pgring.decide('" + set + "', '{s1}')"} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		err := conn.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&during)
		if err == nil {
			_, err = conn.Exec(t.Context(), "COMMIT")
		}
		if err == nil {
			err = conn.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&after)
		}
		if err != nil || during == "off" || after != set {
			t.Errorf("set %s: %s when deciding, %s afterwards, %v", set, during, after, err)
		}
	}
}

// The two facts about PostgreSQL that the protocol rests on.
func (c *cluster) fenceWaitsForADecisionUnderWay(t *testing.T) {
	for _, outcome := range []string{"COMMIT", "ROLLBACK"} {
		tx := c.open(t, kinds()[0], c.shards...)
		name, secret := saga.NewIdentity()
		c.coordinator(t).Sweep(t.Context())
		home := tx.conns[0]
		mustRun(t, home, "SELECT pgring.decide("+saga.Quote(secret)+", '{s1,s2}')")
		mustRun(t, tx.conns[1], "PREPARE TRANSACTION "+saga.Quote(saga.GID(c.topo.Current().ClusterID, name, 1, "s1")))
		var group sync.WaitGroup
		group.Go(func() { c.coordinator(t).Sweep(t.Context()) })
		await(t, "the janitor to wait", func() bool {
			return pgtest.One[int](t, c.servers[0], "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1
		})
		if tx.done(t) != 0 || c.prepared(t) != 1 {
			t.Error("the janitor did not wait")
		}
		mustRun(t, home, outcome)
		group.Wait()
		if tx.mustBeWhole(t) != (outcome == "COMMIT") || c.prepared(t) != 0 {
			t.Errorf("%s: on %d shards, %d prepared", outcome, tx.done(t), c.prepared(t))
		}
		tx.release(t)
	}
}
