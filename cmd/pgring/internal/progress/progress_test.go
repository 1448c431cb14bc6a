package progress

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// looks answers with one after the other.
func looks(all ...[]map[string]string) func(context.Context, string) ([]map[string]string, error) {
	return func(context.Context, string) ([]map[string]string, error) {
		if len(all) == 0 {
			return nil, errors.New("asked too often")
		}
		next := all[0]
		all = all[1:]
		return next, nil
	}
}

func move(id, state, progress, percent string) map[string]string {
	return map[string]string{"move": id, "source": "s1", "target": "s2", "slots": "12", "state": state, "progress": progress, "pct": percent,
		"rows_copied": "50", "rows_est": "100", "rows_per_s": "10.5", "eta_s": "5"}
}

func watched(t *testing.T, terminal bool, all ...[]map[string]string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := Watch(t.Context(), Config{Out: &out, Terminal: terminal, Look: looks(all...), Every: time.Nanosecond})
	return out.String(), err
}

func TestWatchTellsEachStepAndEndsWithTheMoves(t *testing.T) {
	old, a := move("1", "done", "finished", "100"), func(state, percent string) map[string]string { return move("2", state, "running", percent) }
	type look = []map[string]string
	text, err := watched(t, false, look{old, a("copying", "50")}, look{old, a("copying", "51")}, look{old, a("freezing", "100")}, look{old, a("reversible", "100")})
	want := `move 2 s1 → s2 12 slots [############............]  50 % copying, 50 of 100 rows, 10/s, 5s left
move 2 s1 → s2 12 slots [########################] 100 % freezing
move 2 s1 → s2 12 slots [########################] 100 % reversible
`
	if err != nil || text != want {
		t.Errorf("%v:\n%s", err, text)
	}
	text, err = watched(t, true, look{a("copying", "0"), move("3", "copying", "paused", "")}, look{a("done", "100"), move("3", "done", "finished", "100")})
	if err != nil || strings.Count(text, "\x1b[2A") != 1 || strings.Count(text, "\x1b[K\n") != 4 || !strings.Contains(text, "copying, paused") {
		t.Errorf("%v:\n%q", err, text)
	}
	if text, err := watched(t, false, look{old}); err != nil || text != "no move is under way\n" {
		t.Errorf("%v: %q", err, text)
	}
}

func TestWatchEndsWithAnErrorWhenAMoveHasStopped(t *testing.T) {
	type look = []map[string]string
	stopped := move("1", "planned", "stopped", "")
	stopped["waiting_for"] = "wal_level is replica"
	text, err := watched(t, false, look{stopped, move("2", "copying", "running", "1")}, look{stopped, move("2", "done", "finished", "100")})
	if !errors.Is(err, ErrStopped) || !strings.Contains(text, "planned, stopped; wal_level is replica") {
		t.Errorf("%v:\n%s", err, text)
	}
}
