package progress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ErrStopped means that a move cannot go on without somebody's help.
var ErrStopped = errors.New("a move has stopped")

// Config is what Watch needs.
type Config struct {
	Out      io.Writer
	Terminal bool // Out is one: lines may be written over

	// Look answers a console command with rows of named columns; NULL is "".
	Look func(ctx context.Context, sql string) ([]map[string]string, error)

	Every time.Duration // between two looks; 0 means 1 s
}

// Watch shows the moves that are under way until all are over or ctx ends. A move that was over when it first looked is not shown.
func Watch(ctx context.Context, c Config) error {
	if c.Every <= 0 {
		c.Every = time.Second
	}
	w := &watch{out: c.Out, terminal: c.Terminal, said: map[string]string{}, old: map[string]bool{}}
	for first := true; ; first = false {
		moves, err := c.Look(ctx, "SHOW REBALANCE")
		if err != nil {
			return err
		}
		if over, err := w.show(moves, first); over || err != nil {
			return err
		}
		timer := time.NewTimer(c.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

type watch struct {
	out      io.Writer
	terminal bool
	lines    int               // written, to be written over
	said     map[string]string // by move: the last line, of what is no terminal
	old      map[string]bool   // moves that were over at the first look
}

// show writes one look, and reports whether no move is under way.
func (w *watch) show(moves []map[string]string, first bool) (over bool, err error) {
	over = true
	var lines []string
	for _, m := range moves {
		done := isOver(m)
		if first && done {
			w.old[m["move"]] = true
		}
		if w.old[m["move"]] {
			continue
		}
		over = over && (done || m["progress"] == "stopped")
		if m["progress"] == "stopped" {
			err = ErrStopped
		}
		lines = append(lines, line(m))
		w.tell(m)
	}
	if w.terminal {
		w.draw(lines)
	} else if first && len(lines) == 0 {
		fmt.Fprintln(w.out, "no move is under way")
	}
	if !over {
		err = nil // others go on, and are watched
	}
	return over, err
}

// isOver reports whether nothing of a move is left that anybody would wait for.
func isOver(m map[string]string) bool {
	switch m["state"] {
	case "done", "cancelled", "guarding":
		return true
	case "reversible":
		return m["progress"] == "running"
	}
	return false
}

// draw writes over what was drawn before (ECMA-48: CSI A goes up, CSI K erases to the end of the line).
func (w *watch) draw(lines []string) {
	if w.lines > 0 {
		fmt.Fprintf(w.out, "\x1b[%dA", w.lines)
	}
	for _, text := range lines {
		fmt.Fprintf(w.out, "%s\x1b[K\n", text)
	}
	w.lines = len(lines)
}

// tell writes a line when a move has come to another state or another tenth, where nothing can be written over.
func (w *watch) tell(m map[string]string) {
	tenth := int(number(m["pct"]) / 10)
	now := fmt.Sprint(m["state"], tenth, m["progress"], m["waiting_for"])
	if w.terminal || w.said[m["move"]] == now {
		return
	}
	w.said[m["move"]] = now
	fmt.Fprintln(w.out, line(m))
}

const barWidth = 24

// line is one move.
func line(m map[string]string) string {
	what := m["slots"] + " slots"
	if m["keys"] != "" {
		what = "key " + m["keys"]
	}
	percent := number(m["pct"])
	full := min(int(percent*barWidth/100), barWidth)
	var b strings.Builder
	fmt.Fprintf(&b, "move %s %s → %s %s [%s%s] %3.0f %% %s", m["move"], m["source"], m["target"], what, strings.Repeat("#", full),
		strings.Repeat(".", barWidth-full), percent, m["state"])
	if m["progress"] != "running" && m["progress"] != "finished" {
		b.WriteString(", " + m["progress"])
	}
	if m["state"] == "copying" {
		fmt.Fprintf(&b, ", %s of %s rows", m["rows_copied"], orUnknown(m["rows_est"]))
		if rate := number(m["rows_per_s"]); rate > 0 {
			fmt.Fprintf(&b, ", %.0f/s", rate)
		}
		if m["eta_s"] != "" {
			fmt.Fprintf(&b, ", %s left", (time.Duration(number(m["eta_s"])) * time.Second).String())
		}
	}
	if m["pause_ms"] != "" {
		fmt.Fprintf(&b, ", writes paused for %.0f ms", number(m["pause_ms"]))
	}
	if m["waiting_for"] != "" {
		b.WriteString("; " + m["waiting_for"])
	}
	return b.String()
}

func orUnknown(text string) string {
	if text == "" {
		return "?"
	}
	return text
}

// number is 0 for what is none, NULL above all.
func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return n
}
