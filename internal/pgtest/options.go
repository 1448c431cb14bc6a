package pgtest

import (
	"maps"

	"github.com/pgring/pgring/internal/pgserver"
)

// Option changes how Start makes its servers.
type Option func(*pgserver.Config)

// MaxConnections is the servers' max_connections; without it 100.
func MaxConnections(n int) Option { return func(c *pgserver.Config) { c.MaxConnections = n } }

// MaxPreparedTransactions is the servers' max_prepared_transactions; without it 64. Zero turns two-phase commit off.
func MaxPreparedTransactions(n int) Option {
	if n == 0 {
		n = -1
	}
	return func(c *pgserver.Config) { c.MaxPreparedTransactions = n }
}

// WALLevel is the servers' wal_level; without it logical.
func WALLevel(level string) Option { return func(c *pgserver.Config) { c.WALLevel = level } }

// Durable turns fsync on. Without it a killed server loses nothing either, only a crashed machine would.
func Durable() Option { return func(c *pgserver.Config) { c.Durable = true } }

// Locale is the C library's locale of the databases, such as "C"; without it C.UTF-8.
func Locale(name string) Option { return func(c *pgserver.Config) { c.Locale = name } }

// ICULocale sorts text by ICU's rules, such as those of "en-US".
func ICULocale(name string) Option { return func(c *pgserver.Config) { c.ICULocale = name } }

// SCRAM makes the servers ask TCP clients for a password with SCRAM-SHA-256.
func SCRAM() Option { return func(c *pgserver.Config) { c.Auth = pgserver.SCRAM } }

// MD5 makes the servers ask TCP clients for a password with MD5, and store passwords so.
func MD5() Option { return func(c *pgserver.Config) { c.Auth = pgserver.MD5 } }

// Password makes the servers ask TCP clients for a password in clear text.
func Password() Option { return func(c *pgserver.Config) { c.Auth = pgserver.Password } }

// TLS makes the servers offer TLS; Server.CAFile verifies them as localhost and 127.0.0.1.
func TLS() Option { return func(c *pgserver.Config) { c.TLS = pgserver.TLSOffered } }

// TLSOnly makes the servers refuse TCP clients without TLS.
func TLSOnly() Option { return func(c *pgserver.Config) { c.TLS = pgserver.TLSRequired } }

// HBA replaces the lines of pg_hba.conf for TCP clients.
func HBA(lines ...string) Option { return func(c *pgserver.Config) { c.HBA = lines } }

// Setting adds a line to postgresql.conf.
func Setting(name, value string) Option {
	return func(c *pgserver.Config) {
		settings := map[string]string{name: value}
		maps.Copy(settings, c.Settings)
		settings[name] = value
		c.Settings = settings
	}
}
