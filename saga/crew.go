package saga

import (
	"context"
	"sync"
	"time"
)

// maxWorkers is how many sagas a janitor settles at a time.
const maxWorkers = 8

// crew settles sagas for the janitor, so that a slow one does not hold up the others.
type crew struct {
	slots chan struct{}
	wake  chan struct{} // there is something to do before the next round
	group sync.WaitGroup

	mu   sync.Mutex
	busy map[string]bool // the sagas under way
}

func newCrew() *crew {
	return &crew{slots: make(chan struct{}, maxWorkers), wake: make(chan struct{}, 1), busy: map[string]bool{}}
}

// call has the janitor begin its next round now.
func (w *crew) call() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// rest waits until the next round is due, or called for.
func (w *crew) rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.wake:
	case <-timer.C:
	}
	return nil
}

// start runs job for a saga, unless one runs already or all hands are busy: then a later round comes back to it.
func (w *crew) start(id string, job func()) {
	select {
	case w.slots <- struct{}{}:
	default:
		return
	}
	if !w.enter(id) {
		<-w.slots
		return
	}
	// owner: the janitor, which waits for the group; ends with the job.
	w.group.Go(func() {
		defer func() { <-w.slots }()
		defer w.leave(id)
		job()
	})
}

func (w *crew) enter(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[id] {
		return false
	}
	w.busy[id] = true
	return true
}

func (w *crew) leave(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, id)
}
