package poll

import (
	"context"
	"iter"
	"sync"
)

// reason is why a task gives up control.
type reason uint8

const (
	toWait reason = iota // for an event that was asked for before
	toLoop               // to be run by the loop
	toOwn                // to be run by a goroutine of its own
)

// Task is one flow of control that can move between the loop and a goroutine of its own. Its methods are for the task itself, but
// for Wake. The nil Task is always detached.
type Task struct {
	loop  *loop
	body  func(*Task)
	next  func() (reason, bool) // nil while it has no stack
	yield func(reason) bool
	rests *Conn // what it will rest on when its body has returned

	running  sync.Mutex // held while it runs, so that a loop which changes hands cannot run it twice
	attached bool

	mu     sync.Mutex
	parked place
	woken  bool          // Wake has come before it waited
	signal chan struct{} // nil until it parks, detached, the first time
}

// place is where a task waits for Wake.
type place uint8

const (
	nowhere place = iota
	onLoop
	onOwn
)

// Start runs body as a detached task, in a new goroutine, and returns at once. Body tells its owner itself when it ends.
func (e *Engine) Start(body func(*Task)) {
	t := &Task{loop: e.pick(), body: body}
	t.loop.begun()
	// owner: the task's body, which tells its own owner; ends when the body ends or attaches itself to the loop.
	go t.run()
}

// run lets a detached task go on until it ends or attaches itself.
func (t *Task) run() {
	if why, _ := t.resume(); why == toLoop {
		t.loop.schedule(t)
	}
}

// resume runs the task until it gives up control, or ends.
func (t *Task) resume() (why reason, alive bool) {
	t.running.Lock()
	if t.next == nil {
		t.next, _ = iter.Pull(t.flow)
	}
	if why, alive = t.next(); !alive {
		alive = t.ended()
	}
	t.running.Unlock() // a panic ends the process: nobody up to here recovers
	return why, alive
}

// ended takes the stack of a task away whose body has returned. It is alive if it only rests.
func (t *Task) ended() (alive bool) {
	t.next, t.yield = nil, nil
	if on := t.rests; on != nil {
		t.rests, t.attached = nil, true
		on.rest(t)
		return true
	}
	t.loop.over()
	return false
}

// flow is one run of the body.
func (t *Task) flow(yield func(reason) bool) {
	t.yield = yield
	t.body(t)
}

// Rest gives the task's stack back: when its body has returned, the task waits without one until there may be something to be read from
// on, and is then run with the body then, attached.
func (t *Task) Rest(on *Conn, then func(*Task)) {
	t.rests, t.body = on, then
}

// Attach moves the task to the loop. From now on it must not block, but for waiting for connections that attend to it, and Park.
func (t *Task) Attach() {
	if t == nil || t.attached {
		return
	}
	t.attached = true
	t.yield(toLoop)
}

// Detach gives the task a goroutine of its own: it may block.
func (t *Task) Detach() {
	if t == nil || !t.attached {
		return
	}
	t.attached = false
	t.yield(toOwn)
}

// Attached reports whether the task runs on the loop.
func (t *Task) Attached() bool { return t != nil && t.attached }

// Park waits for Wake, or returns at once if it has come since the last Park. It may return early: the caller looks again at what it
// waits for.
func (t *Task) Park() {
	t.mu.Lock()
	if t.woken {
		t.woken = false
		t.mu.Unlock()
		return
	}
	attached := t.attached
	if attached {
		t.parked = onLoop
	} else {
		t.parked = onOwn
		if t.signal == nil {
			t.signal = make(chan struct{}, 1)
		}
	}
	signal := t.signal
	t.mu.Unlock()
	if attached {
		t.yield(toWait)
		return
	}
	<-signal
}

// Wake ends the task's Park, the present one or else the next. Any goroutine may call it.
func (t *Task) Wake() {
	t.mu.Lock()
	parked, signal := t.parked, t.signal
	t.parked, t.woken = nowhere, parked == nowhere
	t.mu.Unlock()
	switch parked {
	case onLoop:
		t.loop.schedule(t)
	case onOwn:
		signal <- struct{}{}
	case nowhere:
	}
}

type taskKey struct{}

// carried is what a context knows of its task.
type carried struct {
	task *Task
	done <-chan struct{} // of the context: its end wakes the task
}

// WithTask returns a context that carries the task to code below which may have to wait for something other than a connection. The
// context's end wakes the task, until stop is called. The task may be nil.
func WithTask(ctx context.Context, t *Task) (with context.Context, stop func() bool) {
	stop = woken
	if t != nil {
		stop = context.AfterFunc(ctx, t.Wake)
	}
	return context.WithValue(ctx, taskKey{}, &carried{task: t, done: ctx.Done()}), stop
}

// TaskOf returns the context's task, or nil.
func TaskOf(ctx context.Context) *Task {
	if c, _ := ctx.Value(taskKey{}).(*carried); c != nil {
		return c.task
	}
	return nil
}

// WakeAtEnd has the end of ctx wake its task until stop is called. It costs nothing for a context of [WithTask], which does that
// already.
func WakeAtEnd(ctx context.Context) (stop func() bool) {
	c, _ := ctx.Value(taskKey{}).(*carried)
	if c == nil || c.task == nil || c.done == ctx.Done() {
		return woken
	}
	return context.AfterFunc(ctx, c.task.Wake)
}

func woken() bool { return true }
