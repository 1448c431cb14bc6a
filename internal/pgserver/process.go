package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const vanishTimeout = 30 * time.Second

// process is one started postmaster.
type process struct {
	command *exec.Cmd
	exited  chan struct{} // closed when the postmaster has been reaped
}

// spawn starts a command whose process is ended by the kernel when this program ends, however it ends.
func spawn(command *exec.Cmd) (*process, error) {
	p := &process{command: command, exited: make(chan struct{})}
	started := make(chan error)
	go p.own(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}
	return p, nil
}

// own starts the process and reaps it. The kernel sends the parent-death signal when the starting *thread* ends, so this
// goroutine keeps its thread for as long as the process lives.
// owner: the Server through process; ends when the postmaster has ended.
func (p *process) own(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.exited)
	err := p.command.Start()
	started <- err
	if err != nil {
		return
	}
	// How it ended does not matter here: whoever waits for it either asked for the end or reads the log.
	_ = p.command.Wait()
}

func (p *process) pid() int { return p.command.Process.Pid }

// signal sends to the postmaster alone; a process that has ended already is fine.
func (p *process) signal(signal syscall.Signal) {
	_ = p.command.Process.Signal(signal)
}

// signalAll sends to the postmaster and all its children.
func (p *process) signalAll(dir string, signal syscall.Signal) error {
	pids, err := processesOf(dir)
	if err != nil {
		return err
	}
	return send(pids, signal)
}

func send(pids []int, signal syscall.Signal) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal process %d: %w", pid, err)
		}
	}
	return nil
}

// freeze stops the postmaster first, so that it starts no more children, and then all children.
func (p *process) freeze(dir string) ([]int, error) {
	select {
	case <-p.exited:
		return processesOf(dir)
	default:
	}
	p.signal(syscall.SIGSTOP)
	if err := pollFor(vanishTimeout, func() bool { return halted(p.pid()) }); err != nil {
		return nil, fmt.Errorf("freeze postmaster %d: %w", p.pid(), err)
	}
	pids, err := processesOf(dir)
	if err != nil {
		return nil, err
	}
	return pids, send(pids, syscall.SIGSTOP)
}

// killAll kills postmaster and children and waits until all are gone.
func (p *process) killAll(dir string) error {
	pids, err := p.freeze(dir)
	if err != nil {
		return err
	}
	p.signal(syscall.SIGKILL)
	if err := send(pids, syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	for _, pid := range pids {
		if err := pollFor(vanishTimeout, func() bool { return gone(pid) }); err != nil {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

// wait reports whether the postmaster ended within the time.
func (p *process) wait(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// poll asks until the answer is yes or an error, ctx ends, or stop is closed.
func poll(ctx context.Context, stop <-chan struct{}, ask func() (bool, error)) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		if done, err := ask(); done || err != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-stop:
			timer.Stop()
			return errors.New("the server process ended")
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// pollFor asks until the answer is yes. It serves waits that must go on after a cancelled context: those of clean-up.
func pollFor(limit time.Duration, ask func() bool) error {
	deadline := time.Now().Add(limit)
	for !ask() {
		if time.Now().After(deadline) {
			return fmt.Errorf("still not done after %s", limit)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}
