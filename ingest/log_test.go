package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"testing"

	"github.com/pgring/pgring/ingest/internal/wal"
	"github.com/pgring/pgring/topology"
)

func TestADiskThatIsFullWhileItIsWrittenToLeavesDoubt(t *testing.T) {
	l := &fileLog{queue: newQueue(&QueuesConfig{Log: slog.New(slog.DiscardHandler)}, topology.Name{Schema: "public", Table: "events"}, "")}
	before := fmt.Errorf("%w: %w", wal.ErrFull, syscall.ENOSPC)
	if err := l.meaning(before); !errors.Is(err, ErrDiskFull) {
		t.Errorf("before anything was written: %v", err)
	}
	meanwhile := &wal.PoisonedError{Err: fmt.Errorf("sync: %w", syscall.ENOSPC)}
	var doubt *DoubtError
	if err := l.meaning(meanwhile); !errors.As(err, &doubt) {
		t.Errorf("while a record was written: %v", err)
	}
	if _, err := l.queue.usable(); err == nil {
		t.Error("the log is still used")
	}
}
