package kafkaserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pgring/pgring/internal/pgserver"
)

const host = "127.0.0.1"

// settings are the broker's, with its two ports and its directory. What is 1 is so because there is one broker.
const settings = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%[2]d
listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=%[3]s
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
num.network.threads=1
num.io.threads=2
background.threads=1
log.cleaner.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
controller.quorum.election.timeout.ms=300
controller.quorum.fetch.timeout.ms=1000
log.index.size.max.bytes=1048576
`

// identity lets the broker begin without `kafka-storage.sh format`, which is a Java process of its own.
const identity = "version=1\ncluster.id=cGdyaW5nLWluLXRlc3RzLg\nnode.id=1\n"

// Server is one broker. Its methods are for one goroutine.
type Server struct {
	jars, dir      string
	client, quorum *pgserver.Port
	secure         *pgserver.Port // nil: there is no such listener
	command        *exec.Cmd
	exited         chan struct{} // closed when the process has been reaped
	output         bytes.Buffer  // of the process; read it after exited
	closing        sync.Once
	closed         error
}

// startLimit is how long a broker may take until it answers: seconds, on a machine that has nothing else to do.
const startLimit = 3 * time.Minute

// Start starts a broker with no topics, and returns when it answers.
func Start(ctx context.Context) (*Server, error) { return (&Server{}).begin(ctx) }

func (s *Server) begin(ctx context.Context) (*Server, error) {
	err := s.open(ctx)
	if err == nil {
		err = s.prepare()
	}
	if err == nil {
		err = s.Restart(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open finds what a broker needs.
func (s *Server) open(ctx context.Context) (err error) {
	if s.jars, err = fetch(ctx); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "pgring-kafka-*"); err != nil {
		return fmt.Errorf("make the broker's directory: %w", err)
	}
	if s.client, err = pgserver.ReservePort(); err == nil {
		s.quorum, err = pgserver.ReservePort()
	}
	return err
}

// fetch has the jars brought, if they are not there, and returns their folder.
func fetch(ctx context.Context) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	command := exec.CommandContext(ctx, filepath.Join(filepath.Dir(file), "..", "..", "scripts", "kafka.sh"))
	var problem bytes.Buffer
	command.Stderr = &problem
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("fetch the jars of a Kafka broker (make kafka): %w\n%s", err, problem.String())
	}
	return strings.TrimSpace(string(out)), nil
}

func (s *Server) prepare() error {
	data := filepath.Join(s.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	text := fmt.Sprintf(settings, s.client.Number, s.quorum.Number, data)
	if s.secure != nil {
		var err error
		if text, err = s.secured(text); err != nil {
			return err
		}
	}
	return errors.Join(os.WriteFile(filepath.Join(s.dir, "server.properties"), []byte(text), 0o600),
		os.WriteFile(filepath.Join(data, "meta.properties"), []byte(identity), 0o600))
}

// Addr is where clients connect to.
func (s *Server) Addr() string { return net.JoinHostPort(host, strconv.Itoa(s.client.Number)) }

// Restart starts the process, of a broker that was killed, on the same ports and with the same data.
func (s *Server) Restart(ctx context.Context) error {
	s.output.Reset()
	s.command = exec.Command("java", "-Xms64m", "-Xmx192m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(s.jars, "*"), "kafka.Kafka", filepath.Join(s.dir, "server.properties"))
	s.command.Dir = s.dir
	s.command.Stdout, s.command.Stderr = &s.output, &s.output
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.exited = make(chan struct{})
	started := make(chan error)
	go s.own(s.command, started)
	if err := <-started; err != nil {
		return fmt.Errorf("start the broker (it needs java): %w", err)
	}
	return s.awaitAnswer(ctx)
}

// own starts the process and reaps it. The kernel sends the parent-death signal when the starting *thread* ends, so this goroutine keeps
// its thread for as long as the process lives.
// owner: the Server through exited; ends when the process has ended.
func (s *Server) own(command *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.exited)
	err := command.Start()
	started <- err
	if err == nil {
		_ = command.Wait() // whoever waits for the end asked for it, or reads the output
	}
}

// awaitAnswer waits until somebody listens on the port of clients, which the broker opens when it knows its controller.
func (s *Server) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.exited:
			return fmt.Errorf("the broker has ended: %s", s.output.String())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the broker does not answer: %w", context.Cause(ctx)), s.Kill9())
		case <-tick.C:
		}
	}
}

// Kill9 ends the process without a chance to clean up.
func (s *Server) Kill9() error {
	if s.command == nil || s.command.Process == nil {
		return nil
	}
	err := s.command.Process.Kill()
	<-s.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Close ends the broker and removes its data. It may be called twice.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.closed = errors.Join(s.Kill9(), os.RemoveAll(s.dir))
		for _, port := range []*pgserver.Port{s.client, s.quorum, s.secure} {
			if port != nil {
				port.Release()
			}
		}
	})
	return s.closed
}
