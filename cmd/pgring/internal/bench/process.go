package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	readyTimeout = time.Minute      // a busy machine
	stopTimeout  = 10 * time.Second // then it is killed
	pollInterval = 20 * time.Millisecond
	logTailBytes = 2000
)

// process is a proxy under test.
type process struct {
	name    string
	command *exec.Cmd
	log     string        // path of what it writes
	ended   chan struct{} // closed when it has ended; then err is set
	err     error
}

// startProcess starts a program whose output goes to a file.
func startProcess(name string, command *exec.Cmd, log string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer out.Close()
	command.Stdout, command.Stderr = out, out
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	detach(command.SysProcAttr)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, command: command, log: log, ended: make(chan struct{})}
	// owner: process; ends when the program does, which stop sees to
	go p.wait()
	return p, nil
}

// detach keeps a terminal's Ctrl-C from a child, whose end is this program's business, and ends it when this program is killed.
func detach(a *syscall.SysProcAttr) {
	a.Setpgid = true
	endWithParent(a)
}

func (p *process) wait() {
	p.err = p.command.Wait()
	close(p.ended)
}

func (p *process) pid() int { return p.command.Process.Pid }

// ready waits until a client can log in and run a statement.
func (p *process) ready(ctx context.Context, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := simply(ctx, dsn, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("start %s: it ended before a client could log in", p.name) // stop will say why
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w\n%s", p.name, err, p.tail())
		case <-time.After(pollInterval):
		}
	}
}

// stop ends the program, politely at first, and returns when it is gone.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended by itself: %w\n%s", p.name, p.err, p.tail())
	default:
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopTimeout):
	}
	err := p.command.Process.Kill()
	<-p.ended
	return errors.Join(fmt.Errorf("stop %s: still running %s after SIGTERM, so it was killed", p.name, stopTimeout), err)
}

// tail is the end of what the program wrote, for an error report.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text[max(0, len(text)-logTailBytes):]))
}
