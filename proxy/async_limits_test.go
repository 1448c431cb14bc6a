package proxy_test

import (
	"math/big"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/topology"
)

// A parameter that its column or its own type does not take is refused, not acknowledged and buried.
func TestParametersBeyondALimitAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	prices := topology.Name{Schema: "public", Table: "prices"}
	c := start(t, options{shards: 1, tables: []topology.TableWish{{Name: prices, Kind: topology.Sharded, Key: []string{"user_id"}, Colocate: "users"}},
		async: map[topology.Name]ingest.Rule{prices: {MaxSize: 64 << 20}}, setup: "CREATE TABLE prices (user_id bigint NOT NULL, price numeric(5,2), total bigint, day date)"})
	conn := c.connect()
	price := func(cents int64) error {
		_, err := conn.Exec(t.Context(), "INSERT INTO prices (user_id, price) VALUES ($1, $2)", 1, pgtype.Numeric{Int: big.NewInt(cents), Exp: -2, Valid: true})
		return err
	}
	must(t, price(12345))
	wantCode(t, price(12345678), "22003")
	send := func(column string, oid uint32, format int16, value []byte) error {
		results := conn.PgConn().ExecParams(t.Context(), "INSERT INTO prices (user_id, "+column+") VALUES (1, $1)", [][]byte{value}, []uint32{oid}, []int16{format}, nil)
		return results.Read().Err
	}
	must(t, send("total", pgtype.Int4OID, 0, []byte("30")))
	wantCode(t, send("total", pgtype.Int4OID, 0, []byte("3000000000")), "22003")
	wantCode(t, send("day", pgtype.DateOID, 1, []byte{0x7f, 0xff, 0xff, 0xf0}), "22008")
	run(t, conn, "SELECT pgring.flush('prices')")
	wantValue(t, c.servers[0].Connect(t), "SELECT count(*) FROM prices", "2")
	if queued := c.queues.Counts()[0]; queued.Buried > 0 {
		t.Errorf("counted %+v", queued)
	}
}
