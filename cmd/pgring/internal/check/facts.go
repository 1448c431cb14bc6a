package check

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// facts is what a server says of itself, as the operator sees it.
type facts struct {
	Version                 string
	VersionNumber           int
	System                  string    // identifies the cluster; a copy of its files has the same
	Started                 time.Time // with System it identifies the running server
	Database                string
	WALLevel                string
	MaxConnections          int
	Reserved                int // of MaxConnections, for superusers and roles with pg_use_reserved_connections
	MaxPreparedTransactions int
	Encoding                string
	Collation               string
	CollationVersion        string // of the library that sorts; empty when it does not say
	Standby                 bool
	ReadOnly                bool
	MayCreateSchema         bool
	HasSchema               bool            // pgring
	MayUseSchema            bool            // create tables in it
	MaySettle               map[string]bool // role: the operator may end what it prepared
	Skew                    time.Duration   // the server's clock minus this machine's
	SkewError               time.Duration   // half the fastest round trip
}

// factsSQL works on every version that has to_jsonb, so that a server which is too old can be told from one that is broken.
// The columns that say how a database sorts have changed their names: 15 and 16 say daticulocale, 17 says datlocale.
const factsSQL = `
SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_setting('server_version_num')::int,
	(SELECT system_identifier::text FROM pg_catalog.pg_control_system()), pg_catalog.pg_postmaster_start_time(), d.datname::text,
	pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('max_connections')::int,
	pg_catalog.current_setting('superuser_reserved_connections')::int
		+ coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0),
	pg_catalog.current_setting('max_prepared_transactions')::int,
	pg_catalog.pg_encoding_to_char(d.encoding)::text,
	pg_catalog.concat_ws(' ', d.datcollate, CASE WHEN d.datctype <> d.datcollate THEN 'ctype ' || d.datctype END,
		CASE to_jsonb(d) ->> 'datlocprovider' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' END,
		to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
	coalesce(to_jsonb(d) ->> 'datcollversion', ''),
	pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')::bool,
	pg_catalog.has_database_privilege(d.oid, 'CREATE'),
	n.oid IS NOT NULL, coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false)
FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'pgring'
WHERE d.datname = pg_catalog.current_database()`

const memberSQL = `SELECT rolname::text, pg_catalog.pg_has_role(oid, 'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = ANY ($1)`

func readFacts(ctx context.Context, conn *pgx.Conn, logins []string) (*facts, error) {
	f := &facts{MaySettle: map[string]bool{}}
	err := conn.QueryRow(ctx, factsSQL).Scan(&f.Version, &f.VersionNumber, &f.System, &f.Started, &f.Database, &f.WALLevel,
		&f.MaxConnections, &f.Reserved, &f.MaxPreparedTransactions, &f.Encoding, &f.Collation, &f.CollationVersion, &f.Standby,
		&f.ReadOnly, &f.MayCreateSchema, &f.HasSchema, &f.MayUseSchema)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, memberSQL, logins)
	if err != nil {
		return nil, err
	}
	var role string
	var member bool
	if _, err := pgx.ForEachRow(rows, []any{&role, &member}, func() error {
		f.MaySettle[role] = member
		return nil
	}); err != nil {
		return nil, err
	}
	return f, f.readClock(ctx, conn)
}

// readClock compares clocks over the fastest of a few round trips: the server looked at its clock at some moment of it.
func (f *facts) readClock(ctx context.Context, conn *pgx.Conn) error {
	for i := range 3 {
		var server time.Time
		before := time.Now()
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.clock_timestamp()").Scan(&server); err != nil {
			return err
		}
		half := time.Since(before) / 2
		if i == 0 || half < f.SkewError {
			f.Skew, f.SkewError = server.Sub(before.Add(half)), half
		}
	}
	return nil
}

// settingsSQL reads what changes the meaning of a statement or the look of its result, so a session must find it equal on every shard.
const settingsSQL = `SELECT name, pg_catalog.current_setting(name) FROM unnest(ARRAY['TimeZone', 'DateStyle', 'IntervalStyle', 'bytea_output',
	'extra_float_digits', 'standard_conforming_strings', 'backslash_quote', 'search_path', 'default_transaction_isolation',
	'lc_monetary', 'lc_numeric', 'lc_time', 'default_text_search_config', 'xmlbinary', 'xmloption', 'array_nulls',
	'transform_null_equals', 'default_transaction_read_only', 'session_replication_role']) name`

func readSettings(ctx context.Context, conn *pgx.Conn) (map[string]string, error) {
	rows, err := conn.Query(ctx, settingsSQL)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		settings[name] = value
		return nil
	})
	return settings, err
}
