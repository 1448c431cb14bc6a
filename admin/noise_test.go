package admin

import (
	"strings"
	"testing"

	"github.com/pgring/pgring/proxy"
)

func TestWhatDriversSayOfTheirOwnAccordIsAnswered(t *testing.T) {
	for sql, want := range map[string]string{ // tag, then fields and row
		"":                            "",
		"-- ping":                     "",
		"/* ping */ ;":                "",
		"SELECT 1":                    "SELECT 1 ?column?:20=1",
		"select 1 as one;":            "SELECT 1 one:20=1",
		"SELECT 'x' \"A b\", NULL":    "SELECT 1 A b:25=x ?column?:25=NULL",
		"SELECT version()":            "SELECT 1 version:25=PostgreSQL 15.0 (pgring) console, pgring 1.2.3",
		"select pg_catalog.version()": "SELECT 1 version:25=PostgreSQL 15.0 (pgring) console, pgring 1.2.3",
		"SELECT current_database(), current_user, current_schema()": "SELECT 1 current_database:25=pgring current_user:25=ops current_schema:25=public",
		"select current_schema()":                                   "SELECT 1 current_schema:25=public",
		"SELECT pg_is_in_recovery()":                                "SELECT 1 pg_is_in_recovery:16=f",
		"SELECT true":                                               "SELECT 1 bool:16=t",
		"SELECT current_setting('server_version_num') AS v":         "SELECT 1 v:25=150000",
		"SET client_encoding TO 'UTF8'":                             "SET",
		"SET DateStyle = ISO":                                       "SET",
		"set extra_float_digits = 3; ":                              "SET",
		"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE":     "SET",
		"SET TIME ZONE 'UTC'":                                       "SET",
		"SET LOCAL a.b TO 1, 2":                                     "SET",
		"SET NAMES 'UTF8'":                                          "SET",
		"SET SESSION AUTHORIZATION DEFAULT":                         "SET",
		"RESET ALL":                                                 "RESET",
		"BEGIN":                                                     "BEGIN",
		"begin transaction isolation level read committed":          "BEGIN",
		"START TRANSACTION READ ONLY":                               "START TRANSACTION",
		"COMMIT":                                                    "COMMIT",
		"END":                                                       "COMMIT",
		"ROLLBACK":                                                  "ROLLBACK",
		"ABORT":                                                     "ROLLBACK",
		"DISCARD ALL":                                               "DISCARD ALL",
		"DEALLOCATE ALL":                                            "DEALLOCATE ALL",
		"UNLISTEN *":                                                "UNLISTEN",
		"CLOSE ALL":                                                 "CLOSE CURSOR ALL",
		"SHOW server_version":                                       "SHOW server_version:25=15.0 (pgring)",
		"show standard_conforming_strings":                          "SHOW standard_conforming_strings:25=on",
		"show transaction isolation level":                          "SHOW transaction_isolation:25=read committed",
		"SHOW transaction_read_only":                                "SHOW transaction_read_only:25=off",
		"SHOW TimeZone":                                             "SHOW timezone:25=UTC",
	} {
		a, err := bare().Answer(t.Context(), proxy.Caller{User: "ops", Role: proxy.RoleStats}, sql)
		if err != nil {
			t.Errorf("%q: %v", sql, err)
			continue
		}
		if got := describe(a); got != want {
			t.Errorf("%q answers %q, want %q", sql, got, want)
		}
	}
}

func describe(a *proxy.Answer) string {
	parts := []string{a.Tag}
	if a.Tag == "" {
		parts = nil
	}
	for i, f := range a.Fields {
		value := "NULL"
		if a.Rows[0][i] != nil {
			value = string(a.Rows[0][i])
		}
		parts = append(parts, f.Name+":"+show(int64(f.Type))+"="+value)
	}
	return strings.Join(parts, " ")
}

func TestWhatIsNotNoiseIsNotAnswered(t *testing.T) {
	for _, sql := range []string{"SELECT 1 + 1", "SELECT version(", "SELECT version('x')", "SELECT x", "SELECT 1,", "SELECT", "SELECT pg_sleep(1)", "SELECT 1 FROM t",
		"SELECT a.version()", "SELECT current_setting(1)", "SELECT current_setting('port')", "SET", "SET a", "SET SHARD s1 WEIGHT 3", "SET a b", "SET a TO", "SET LOCAL", "RESET", "START", "DISCARD", "CLOSE c", "SHOW port", "= 1"} {
		if a, err := bare().Answer(t.Context(), proxy.Caller{Role: proxy.RoleAdmin}, sql); err == nil {
			t.Errorf("%q answers %s", sql, describe(a))
		}
	}
}

func TestASettingThatIsNoneIsToldTheRightCommand(t *testing.T) {
	for sql, hint := range map[string]string{
		"SET SHARD s1 WEIGHT 3":         "ALTER SHARD s1 WEIGHT 3 changes a shard's share of the slots. HELP lists the commands.",
		"set shard \"S 1\" weight = 3;": `ALTER SHARD "S 1" WEIGHT 3 changes a shard's share of the slots. HELP lists the commands.`,
		"SET s1 WEIGHT 3":               "HELP lists the commands.",
	} {
		_, err := bare().Answer(t.Context(), proxy.Caller{Role: proxy.RoleAdmin}, sql)
		if e := asWire(t, err); e.Code != "42601" || e.Hint != hint {
			t.Errorf("%q: %+v", sql, e)
		}
	}
}
