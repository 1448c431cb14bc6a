package pgserver

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Auth is what the server asks of TCP clients.
type Auth uint8

// The methods of pg_hba.conf.
const (
	Trust Auth = iota
	SCRAM
	MD5
	Password
)

func (a Auth) String() string {
	return [...]string{"trust", "scram-sha-256", "md5", "password"}[a]
}

// TLSMode says whether TCP clients may or must use TLS.
type TLSMode uint8

// The modes of TLS.
const (
	TLSOff TLSMode = iota
	TLSOffered
	TLSRequired
)

// writeSettings writes both configuration files anew. ALTER SYSTEM still works: it writes a third one.
func (s *Server) writeSettings() error {
	return errors.Join(
		s.writeFile("postgresql.conf", render(s.settings())),
		s.writeFile("pg_hba.conf", s.hba()))
}

// writeFile writes a file of the data directory.
func (s *Server) writeFile(name, text string) error {
	path := filepath.Join(s.DataDir, name)
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), s.account.give(path)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// settings of postgresql.conf. Killing the server must lose no committed row even in a test, so synchronous_commit and
// full_page_writes stay on: without fsync they cost next to nothing, and what reached the kernel outlives the process.
func (s *Server) settings() map[string]string {
	settings := map[string]string{
		"listen_addresses":           host,
		"port":                       strconv.Itoa(s.Port),
		"unix_socket_directories":    s.SocketDir,
		"max_connections":            strconv.Itoa(orDefault(s.cfg.MaxConnections, 100)),
		"max_prepared_transactions":  strconv.Itoa(max(0, orDefault(s.cfg.MaxPreparedTransactions, 64))),
		"wal_level":                  orDefault(s.cfg.WALLevel, "logical"),
		"max_wal_senders":            "20",
		"max_replication_slots":      "20",
		"shared_buffers":             "16MB",
		"max_wal_size":               "256MB",
		"fsync":                      onOff(s.cfg.Durable),
		"ssl":                        onOff(s.cfg.TLS != TLSOff),
		"password_encryption":        "scram-sha-256",
		"log_line_prefix":            "%m [%p] %q%u@%d ",
		"timezone":                   "UTC",
		"log_timezone":               "UTC",
		"dynamic_shared_memory_type": "posix",
	}
	if s.cfg.Dir == "" {
		settings["dynamic_shared_memory_type"] = "mmap" // in the data directory, so that a killed server leaves nothing in /dev/shm
	}
	if s.cfg.WALLevel == "minimal" {
		settings["max_wal_senders"] = "0" // PostgreSQL refuses the combination
	}
	if s.cfg.Auth == MD5 {
		settings["password_encryption"] = "md5"
	}
	if s.cfg.TLS != TLSOff {
		settings["ssl_cert_file"], settings["ssl_key_file"] = certName, keyName
	}
	maps.Copy(settings, s.cfg.Settings)
	return settings
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func render(settings map[string]string) string {
	var b strings.Builder
	b.WriteString("# written by pgring at each start\n")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return b.String()
}

func (s *Server) hba() string {
	lines := s.cfg.HBA
	if lines == nil {
		lines = s.hbaLines()
	}
	local := []string{"# written by pgring at each start", "local all all trust", "local replication all trust"}
	return strings.Join(append(local, lines...), "\n") + "\n"
}

func (s *Server) hbaLines() []string {
	kind := "host"
	if s.cfg.TLS == TLSRequired {
		kind = "hostssl"
	}
	var lines []string
	for _, database := range []string{"all", "replication"} {
		lines = append(lines, fmt.Sprintf("%s %s all %s/32 %s", kind, database, host, s.cfg.Auth))
	}
	return lines
}
