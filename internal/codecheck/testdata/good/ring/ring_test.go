package ring_test

import (
	"bufio"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"example.com/m/internal/pgtest"
	"example.com/m/ring"
)

var Undocumented = 1

func TestTime(t *testing.T) {
	pgtest.Start(t, 1)
	synctest.Test(t, func(t *testing.T) { time.Sleep(time.Hour) })
	var reader interface{ Skip(int) }
	reader.Skip(1)
	_, _ = ring.ErrGone, context.Background()
	_ = bufio.ErrTooLong
}
