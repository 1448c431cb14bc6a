package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	host          = "127.0.0.1"
	superuser     = "postgres"
	logName       = "pgring-server.log"
	bindAttempts  = 10
	shutdownGrace = 30 * time.Second // a fast shutdown writes a checkpoint first
	quitGrace     = 6 * time.Second  // the postmaster itself kills slow children after 5 s
)

// Config says what server to start. The zero value is a throw-away server on a free port.
type Config struct {
	// Dir is the data directory, kept when the server ends. Empty means a temporary one that Close removes.
	Dir string
	// Port is the TCP port on 127.0.0.1. Zero means a free one, reserved until Close.
	Port int
	// Locale is the C library's locale of the databases. Empty means C.UTF-8.
	Locale string
	// ICULocale makes ICU the provider of collations, such as "en-US". Empty means the C library.
	ICULocale string
	// MaxConnections is the setting max_connections. Zero means 100.
	MaxConnections int
	// MaxPreparedTransactions is the setting max_prepared_transactions. Zero means 64, a negative number none.
	MaxPreparedTransactions int
	// WALLevel is the setting wal_level. Empty means logical.
	WALLevel string
	// Durable keeps data through a crash of the machine. False turns fsync off; killing the server then still loses nothing.
	Durable bool
	// Auth is what TCP clients must present. Zero means trust. The unix socket always trusts.
	Auth Auth
	// TLS makes the server offer TLS with a certificate for localhost and 127.0.0.1; see Server.CAFile.
	TLS TLSMode
	// HBA replaces the TCP lines of pg_hba.conf. Nil means lines made from Auth and TLS.
	HBA []string
	// Settings are further lines of postgresql.conf; they win over those made here.
	Settings map[string]string
}

// Server is one PostgreSQL server. Its methods may be called from several goroutines; they take turns.
type Server struct {
	// Host is the address the server listens on, always 127.0.0.1.
	Host string
	// Port is the TCP port, the same for the server's whole life.
	Port int
	// SocketDir is the directory of the unix socket.
	SocketDir string
	// DataDir is the data directory.
	DataDir string
	// CAFile is the certificate authority to verify the server with. Empty without TLS.
	CAFile string

	cfg      Config
	binaries Binaries
	account  account
	run      *runDir
	port     *Port // nil when the caller chose the port

	mu      sync.Mutex
	process *process // nil when down
}

// Start makes the data directory when it does not exist, starts a server on it and returns when it accepts connections.
// The caller must call Close, after an error of Start nothing is left behind.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{Host: host, cfg: cfg}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	var err error
	if s.binaries, err = FindBinaries(); err != nil {
		return err
	}
	if s.account, err = serverAccount(); err != nil {
		return err
	}
	if s.run, err = newRunDir(s.account); err != nil {
		return err
	}
	s.SocketDir = s.run.path
	s.DataDir, err = s.chooseDataDir()
	if err != nil {
		return err
	}
	if err := s.createCluster(ctx); err != nil {
		return err
	}
	if err := s.prepareTLS(); err != nil {
		return err
	}
	return s.bindAndStart(ctx)
}

func (s *Server) chooseDataDir() (string, error) {
	if s.cfg.Dir == "" {
		return filepath.Join(s.run.path, "data"), nil
	}
	return filepath.Abs(s.cfg.Dir)
}

// bindAndStart starts the server on a port, another one when somebody outside took it between reservation and bind.
func (s *Server) bindAndStart(ctx context.Context) error {
	var err error
	for range bindAttempts {
		if err = s.choosePort(); err != nil {
			return err
		}
		if err = s.writeSettings(); err != nil {
			return err
		}
		if err = s.boot(ctx); err == nil || !strings.Contains(err.Error(), "could not create any TCP/IP sockets") || s.cfg.Port != 0 {
			return err
		}
		s.port.Release()
	}
	return err
}

func (s *Server) choosePort() error {
	if s.cfg.Port != 0 {
		s.Port = s.cfg.Port
		return nil
	}
	port, err := ReservePort()
	if err != nil {
		return err
	}
	s.port, s.Port = port, port.Number
	return nil
}

// boot starts the postmaster and waits until it accepts connections.
func (s *Server) boot(ctx context.Context) error {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open server log: %w", err)
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("find the end of the server log: %w", err)
	}
	command := s.account.command(s.binaries.Path("postgres"), "-D", s.DataDir)
	command.Stdout, command.Stderr = log, log
	s.process, err = spawn(command)
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		return fmt.Errorf("start PostgreSQL in %s: %w\n%s", s.DataDir, err, tail(s.LogFile(), from))
	}
	return nil
}

// awaitReady waits until the postmaster says in its own file that it accepts connections, which pg_ctl goes by, too. So a
// foreign server that took the port is never mistaken for this one, and no attempt to connect costs a process.
func (s *Server) awaitReady(ctx context.Context) error {
	return poll(ctx, s.process.exited, func() (bool, error) {
		text, err := os.ReadFile(filepath.Join(s.DataDir, "postmaster.pid"))
		if err != nil {
			return false, nil // not yet; poll ends when the process or ctx does
		}
		const pid, status = 0, 7 // a crash leaves the file of another process behind
		lines := strings.Split(string(text), "\n")
		return len(lines) > status && lines[pid] == strconv.Itoa(s.process.pid()) && strings.HasPrefix(lines[status], "ready"), nil
	})
}

// SocketDSN is the connection string of user and db through the unix socket, which asks for no password.
func (s *Server) SocketDSN(user, db string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s", quoteDSN(s.SocketDir), s.Port, quoteDSN(user), quoteDSN(db))
}

// quoteDSN quotes a value of a keyword/value connection string (PostgreSQL's manual, 34.1.1.1).
func quoteDSN(v string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}

// LogFile is the path of the server's log.
func (s *Server) LogFile() string { return filepath.Join(s.DataDir, logName) }

// LogTail returns the last lines of the server's log, for an error report.
func (s *Server) LogTail() string { return tail(s.LogFile(), 0) }

// PID is the process id of the postmaster, 0 when it is down.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return 0
	}
	return s.process.pid()
}

// Processes lists the process ids of the postmaster and its children.
func (s *Server) Processes() ([]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil, nil
	}
	return processesOf(s.DataDir)
}

// Kill9 kills the postmaster and every child with SIGKILL and returns when none of them exists any more: the server as
// after a crash, with all its files in place.
func (s *Server) Kill9() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kill()
}

func (s *Server) kill() error {
	if s.process == nil {
		return nil
	}
	err := s.process.killAll(s.DataDir)
	if err == nil {
		s.process = nil
	}
	return err
}

// Freeze stops every process of the server with SIGSTOP: connections stay open and nothing answers, as with a hung machine.
func (s *Server) Freeze() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return errors.New("freeze server: it is down")
	}
	_, err := s.process.freeze(s.DataDir)
	return err
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return errors.New("thaw server: it is down")
	}
	return s.process.signalAll(s.DataDir, syscall.SIGCONT)
}

// Shutdown ends the server in PostgreSQL's fast mode: open transactions are rolled back, data is checkpointed and kept.
// A server that takes longer than half a minute is killed.
func (s *Server) Shutdown() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(syscall.SIGINT, shutdownGrace)
}

func (s *Server) end(signal syscall.Signal, grace time.Duration) error {
	if s.process == nil {
		return nil
	}
	if err := s.process.signalAll(s.DataDir, syscall.SIGCONT); err != nil { // a frozen server cannot obey
		return err
	}
	s.process.signal(signal)
	if s.process.wait(grace) {
		s.process = nil
		return nil
	}
	return s.kill()
}

// Restart ends the server in fast mode if it runs, starts it on the same directory and port, and returns when it accepts
// connections.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.end(syscall.SIGINT, shutdownGrace); err != nil {
		return err
	}
	err := s.boot(ctx)
	if err != nil && s.process != nil {
		return errors.Join(err, s.kill())
	}
	return err
}

// Close ends the server and removes everything it made except a directory given in Config. A temporary server gets an
// immediate shutdown, another one a fast shutdown. Close may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	signal, grace := syscall.SIGQUIT, quitGrace
	if s.cfg.Dir != "" {
		signal, grace = syscall.SIGINT, shutdownGrace
	}
	err := s.end(signal, grace)
	if s.port != nil {
		s.port.Release()
	}
	if s.run != nil {
		if s.cfg.Dir == "" {
			removeSegment(s.DataDir)
		}
		err = errors.Join(err, s.run.remove())
		s.run = nil
	}
	return err
}

// tail returns the last 4 KiB of a log, none of it before offset from.
func tail(path string, from int64) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "no server log: " + err.Error()
	}
	text = text[min(from, int64(len(text))):]
	if cut := len(text) - 4096; cut > 0 {
		text = text[cut:]
	}
	return "log " + strconv.Quote(path) + ":\n" + string(text)
}
