// Package poll is the I/O engine below pgwire: a few goroutines, each with an epoll instance of its own, on which thousands of
// sessions take turns. It saves what a parked goroutine costs for each wait: a trip through the scheduler on either side, and a
// read that finds nothing.
//
// Code that runs in a [Task] is written as if it blocked. An attached task runs on an engine's loop as a coroutine: where it would
// wait for a [Conn], the loop goes on with another task. A detached task has a goroutine of its own and may block on anything:
//
//	           Attach
//	┌──────────┐ ──▶ ┌──────────┐ ─wait▶ ┌─────────┐
//	│ detached │     │ attached │        │ waiting │
//	└──────────┘ ◀── └──────────┘ ◀event─└─────────┘
//	  ▲        Detach     │ ▲
//	Start            Rest ▼ │event
//	                 ┌──────────┐
//	                 │ resting  │
//	                 └──────────┘
//
// A waiting task holds its stack, a resting one none: its body has returned, and goes on as a new one.
//
// Guaranteed: a task never runs on two goroutines at once, and an event is never lost. A task that blocks or computes while it is
// attached delays the others for stallLimit at most: then another goroutine takes the loop over. Not done: fairness between tasks
// beyond their order of arrival, TLS, and systems other than Linux.
package poll
