package proxy_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/proxy"
)

func TestOwnSettingsFollowTransactionsAsPostgresSettingsDo(t *testing.T) {
	c := start(t, options{shards: 1})
	conn := c.connect()
	mode := func(want string) {
		t.Helper()
		wantValue(t, conn, "SHOW pgring.cross_shard", want)
	}
	mode("reject")
	run(t, conn, "SET pgring.cross_shard = saga")
	mode("saga")
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard TO '2pc'")
	mode("2pc")
	run(t, conn, "SAVEPOINT a; SET LOCAL pgring.cross_shard = reject; ROLLBACK TO a")
	mode("2pc")
	run(t, conn, "COMMIT")
	mode("saga")
	run(t, conn, "BEGIN; SET pgring.cross_shard = '2pc'; ROLLBACK")
	mode("saga")
	run(t, conn, "BEGIN; SET LOCAL pgring.cross_shard = reject; SET pgring.cross_shard = '2pc'; COMMIT")
	mode("2pc")
	run(t, conn, "RESET pgring.cross_shard")
	mode("reject")
	wantValue(t, conn, "SELECT set_config('pgring.cross_shard', 'saga', false)", "saga")
	mode("saga")
	run(t, conn, "RESET ALL")
	mode("reject")
	run(t, conn, "SET pgring.cross_shard = saga; SET pgring.cross_shard TO DEFAULT")
	mode("reject")
	run(t, conn, "SET pgring.saga_commit_timeout = 1500")
	wantValue(t, conn, "SHOW pgring.saga_commit_timeout", "1500ms")
	run(t, conn, "SET pgring.saga_commit_timeout = '2min'")
	wantValue(t, conn, "SHOW pgring.saga_commit_timeout", "2min")
	run(t, conn, "DISCARD ALL")
	wantValue(t, conn, "SHOW pgring.saga_commit_timeout", "10s")
	wantValue(t, conn, "SHOW pgring.compensation", "require")
	wantValue(t, conn, "SHOW pgring.last_saga_id", "")
}

func TestOwnSettingsThroughTheExtendedProtocol(t *testing.T) {
	c := start(t, options{shards: 1})
	conn := c.connect()
	tx, err := conn.Begin(background)
	must(t, err)
	var got string
	must(t, tx.QueryRow(background, "SELECT set_config('pgring.cross_shard', $1, true)", "saga").Scan(&got))
	if got != "saga" {
		t.Fatalf("set_config answered %q", got)
	}
	must(t, tx.QueryRow(background, "SHOW pgring.cross_shard").Scan(&got))
	if got != "saga" {
		t.Fatalf("SHOW answered %q", got)
	}
	must(t, tx.Commit(background))
	must(t, conn.QueryRow(background, "SHOW pgring.cross_shard").Scan(&got))
	if got != "reject" {
		t.Fatalf("after COMMIT SHOW answered %q", got)
	}
}

func TestOwnSettingsAreCheckedWhenTheyAreSet(t *testing.T) {
	c := start(t, options{shards: 1})
	conn := c.connect()
	for sql, code := range map[string]string{
		"SET pgring.cross_shard = 'both'":                      "22023",
		"SET pgring.compensation = 'maybe'":                    "22023",
		"SET pgring.saga_commit_timeout = '5 parsecs'":         "22023",
		"SET pgring.saga_commit_timeout = 0":                   "22023",
		"SET pgring.saga_key = 'k'":                            "22023",
		"SET pgring.compensate = 'none'":                       "22023",
		"SET pgring.last_saga_id = 'x'":                        "55P02",
		"SET pgring.nothing = 1":                               "42704",
		"SHOW pgring.nothing":                                  "42704",
		"RESET pgring.nothing":                                 "42704",
		"SELECT set_config('pgring.cross_shard', 'no', false)": "22023",
	} {
		if e := refused(t, conn, sql, code); code == "22023" && e.Hint == "" {
			t.Errorf("%s: no hint", sql)
		}
	}
}

func TestOwnSettingsAtStartUp(t *testing.T) {
	c := start(t, options{shards: 1, policy: proxy.Policy{CrossShard: proxy.CrossShard{Transactions: proxy.CommitTwoPhase}}})
	conn := c.connect()
	wantValue(t, conn, "SHOW pgring.cross_shard", "2pc")
	cfg, err := pgx.ParseConfig(c.dsn())
	must(t, err)
	cfg.RuntimeParams["options"] = "-c pgring.cross_shard=saga -c work_mem=5MB"
	other, err := pgx.ConnectConfig(background, cfg)
	must(t, err)
	t.Cleanup(func() { _ = other.Close(background) })
	wantValue(t, other, "SHOW pgring.cross_shard", "saga")
	wantValue(t, other, "SHOW work_mem", "5MB")
	run(t, other, "SET pgring.cross_shard = reject; RESET pgring.cross_shard")
	wantValue(t, other, "SHOW pgring.cross_shard", "saga")
	cfg.RuntimeParams["options"] = "-c pgring.cross_shard=nonsense"
	_, err = pgx.ConnectConfig(background, cfg)
	wantCode(t, err, "22023")
}

func TestOwnSettingsNeverReachAServer(t *testing.T) {
	c := start(t, options{shards: 1})
	conn := c.connect()
	run(t, conn, "SET pgring.cross_shard = saga")
	run(t, conn, "BEGIN; SET LOCAL pgring.saga_key = 'k'")
	wantValue(t, conn, fmt.Sprintf("SELECT count(*) FROM users WHERE id = %d", 1), "0")
	wantValue(t, conn, "SELECT count(*) FROM pg_settings WHERE name LIKE 'pgring.%'", "0")
	run(t, conn, "ROLLBACK")
}
