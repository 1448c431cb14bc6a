package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one fault of a file, or one warning, at a position.
type Problem struct {
	File    string
	Line    int // from 1
	Column  int // from 1, in characters
	Message string
	Hint    string // what to do about it; may be empty

	// Note is a second place that the message speaks of; nil = none.
	Note *Problem

	source string // the line as shown, secrets masked
	caret  int    // 0-based column in source
	width  int    // characters under the caret
}

// String returns the problem as a compiler prints it: file:line:column, message, the line, a caret, a hint.
func (p Problem) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s:%d:%d: %s\n", p.File, p.Line, p.Column, p.Message)
	if p.source != "" {
		source, caret := window(p.source, p.caret)
		fmt.Fprintf(&out, "%5d | %s\n", p.Line, source)
		width := max(1, min(p.width, len([]rune(source))-caret))
		fmt.Fprintf(&out, "      | %s%s\n", strings.Repeat(" ", caret), strings.Repeat("^", width))
	}
	if p.Hint != "" {
		fmt.Fprintf(&out, "      = %s\n", p.Hint)
	}
	if p.Note != nil {
		note := *p.Note
		note.Message = "note: " + note.Message
		out.WriteString(note.String())
	}
	return out.String()
}

// shownColumns bounds how much of a long line is printed.
const shownColumns = 120

// window cuts a long line around the caret and makes it safe for a terminal.
func window(source string, caret int) (string, int) {
	runes := []rune(source)
	for i, r := range runes {
		if r == '\t' {
			runes[i] = ' '
		} else if r < ' ' || r >= 0x7f && r < 0xa0 {
			runes[i] = '\ufffd'
		}
	}
	caret = max(0, min(caret, len(runes)))
	if len(runes) <= shownColumns {
		return string(runes), caret
	}
	from := max(0, min(caret-shownColumns/2, len(runes)-shownColumns))
	cut := runes[from:min(len(runes), from+shownColumns)]
	head, tail := "", ""
	if from > 0 {
		head = "…"
	}
	if from+len(cut) < len(runes) {
		tail = "…"
	}
	return head + string(cut) + tail, caret - from + len([]rune(head))
}

// Error is everything that is wrong with a file, sorted by position.
type Error struct {
	Problems []Problem
}

// Error prints every problem and, when there are several, their number.
func (e *Error) Error() string {
	var out strings.Builder
	for _, p := range e.Problems {
		out.WriteString(p.String())
	}
	if n := len(e.Problems); n > 1 {
		fmt.Fprintf(&out, "%d errors\n", n)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func sortProblems(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return problems
}
