package limits

import (
	"fmt"
	"time"
)

// RateError says that a rate is used up for longer than the caller may wait.
type RateError struct {
	Rate  Rate
	Retry time.Duration // when it is the caller's turn, if nobody else comes
}

func (e *RateError) Error() string {
	return fmt.Sprintf("rate of %v a second is used up, retry in %s", e.Rate.PerSecond, e.Retry)
}

// BusyError says that as many run as may, and that the caller has waited in vain or found no place in the line.
type BusyError struct {
	Limit   int           // how many run at most, now
	Waiting int           // how many wait in line, the caller not counted
	Waited  time.Duration // how long the caller did; 0: the line was full
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%d run and %d wait, gave up after %s", e.Limit, e.Waiting, e.Waited)
}
