package proxy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/ids"
)

func TestGeneratedValuesInEveryProtocolAndFormat(t *testing.T) {
	c := start(t, options{shards: 1, noTable: true})
	conn, ctx := c.connect(), context.Background()

	var refused *pgconn.PgError
	if _, err := conn.Exec(ctx, "SELECT pgring.next_id()"); !errors.As(err, &refused) || refused.Code != "55000" {
		t.Fatalf("an id without a worker: %v, want 55000", err)
	}
	must(t, c.ids.Renew(ctx))
	last := int64(0)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheStatement,
		pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec} {
		var id int64
		var request uuid.UUID
		must(t, conn.QueryRow(ctx, "SELECT pgring.next_id(), pgring.uuid7() AS request", mode).Scan(&id, &request))
		if parts := ids.Split(id); id <= last || parts.Worker >= ids.ProxyWorkers || time.Since(parts.Time).Abs() > time.Hour {
			t.Errorf("mode %s: id %d after %d, made of %+v", mode, id, last, parts)
		}
		if request.Version() != 7 {
			t.Errorf("mode %s: UUID %s is not of version 7", mode, request)
		}
		last = id
	}
	rows, err := conn.Query(ctx, "SELECT pgring.next_id(), pgring.uuid7() AS request")
	must(t, err)
	if f := rows.FieldDescriptions(); f[0].Name != "next_id" || f[0].DataTypeOID != 20 || f[1].Name != "request" || f[1].DataTypeOID != 2950 {
		t.Errorf("described as %+v", f)
	}
	rows.Close()
	must(t, rows.Err())
}

func TestGeneratedValuesInTransactionsScriptsAndPipelines(t *testing.T) {
	c := start(t, options{shards: 1, noTable: true})
	must(t, c.ids.Renew(context.Background()))
	conn, ctx := c.connect(), context.Background()

	results, err := conn.PgConn().Exec(ctx, "BEGIN; SELECT pgring.next_id(); SELECT 5; SELECT pgring.next_id(); COMMIT").ReadAll()
	must(t, err)
	if a, b := string(results[1].Rows[0][0]), string(results[3].Rows[0][0]); a >= b {
		t.Errorf("ids %s and %s of one script", a, b)
	}
	_, err = conn.PgConn().Exec(ctx, "PREPARE p AS SELECT pgring.next_id(); EXECUTE p; DEALLOCATE p").ReadAll()
	must(t, err)

	batch := &pgx.Batch{}
	var ids [3]int64
	for i := range ids {
		batch.Queue("SELECT 1")
		batch.Queue("SELECT pgring.next_id()").QueryRow(func(row pgx.Row) error { return row.Scan(&ids[i]) })
	}
	must(t, conn.SendBatch(ctx, batch).Close())
	if ids[0] >= ids[1] || ids[1] >= ids[2] {
		t.Errorf("ids of a pipeline: %v", ids)
	}

	_, err = conn.Exec(ctx, "BEGIN; SELECT 1/0")
	if err == nil {
		t.Fatal("no error to fail the transaction")
	}
	var failed *pgconn.PgError
	if _, err = conn.Exec(ctx, "SELECT pgring.next_id()"); !errors.As(err, &failed) || failed.Code != "25P02" {
		t.Errorf("in a failed transaction: %v, want 25P02", err)
	}
	_, err = conn.Exec(ctx, "ROLLBACK")
	must(t, err)
}
