package router

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// UndoKind says how a write of a saga is undone.
type UndoKind uint8

// The kinds.
const (
	UndoUnset     UndoKind = iota // no directive
	UndoStatement                 // by a statement that the client gives
	UndoDerived                   // by a statement that pgring derives
	UndoNothing                   // nothing is to be undone
	UndoRetriable                 // never: it is run again until it succeeds
)

// RowsRule says how many rows an undo must affect.
type RowsRule uint8

// The rules.
const (
	RowsSame    RowsRule = iota // as many as the statement that it undoes
	RowsAny                     // any number
	RowsCounted                 // Undo.Count
)

// Undo is what a directive says of how a write is undone.
type Undo struct {
	Kind  UndoKind
	SQL   string // UndoStatement
	Rows  RowsRule
	Count int64
}

// ReadUndo reads the directive in the comments of a statement. It looks at the text itself, not at what is cached of it, since
// statements that differ in their comments only share their analysis. The error is a *Refusal.
func ReadUndo(text []byte) (Undo, error) {
	var found Undo
	scanner := sql.Scanner{Text: text}
	for {
		tok := scanner.Next()
		switch tok.Kind {
		case sql.EOF, sql.Error:
			return found, nil
		case sql.Comment:
			u, ok, err := undoComment(string(sql.CommentBody(text[tok.Start:tok.End])))
			if err != nil {
				return found, err
			}
			if ok && found.Kind != UndoUnset {
				return found, badUndo("the statement has two of them")
			}
			if ok {
				found = u
			}
		default:
		}
	}
}

// ParseUndo reads the value of pgring.compensate: what stands in the comment, with or without "compensate:".
func ParseUndo(value string) (Undo, error) {
	value = strings.TrimSpace(value)
	if u, ok, err := undoComment(value); ok || err != nil {
		return u, err
	}
	return undoBody(value, Undo{})
}

// undoComment reads the text of a comment; false: it is not a directive of this kind.
func undoComment(body string) (Undo, bool, error) {
	if strings.EqualFold(body, "retriable") {
		return Undo{Kind: UndoRetriable}, true, nil
	}
	const word = "compensate"
	if len(body) < len(word) || !strings.EqualFold(body[:len(word)], word) {
		return Undo{}, false, nil
	}
	rest := strings.TrimLeft(body[len(word):], " \t\r\n")
	var u Undo
	if strings.HasPrefix(rest, "(") {
		options, after, closed := strings.Cut(rest[1:], ")")
		after = strings.TrimLeft(after, " \t\r\n")
		if !closed || !strings.HasPrefix(after, ":") {
			return Undo{}, false, nil // prose
		}
		if err := u.readRows(options); err != nil {
			return Undo{}, false, err
		}
		rest = after
	}
	if !strings.HasPrefix(rest, ":") {
		return Undo{}, false, nil
	}
	u, err := undoBody(strings.TrimSpace(rest[1:]), u)
	return u, true, err
}

// undoBody reads what stands behind the colon.
func undoBody(body string, u Undo) (Undo, error) {
	switch strings.ToLower(body) {
	case "":
		return u, badUndo("it is empty")
	case "auto":
		u.Kind = UndoDerived
	case "none":
		u.Kind = UndoNothing
	case "retriable":
		u.Kind = UndoRetriable
	default:
		u.Kind, u.SQL = UndoStatement, body
		return u, nil
	}
	if u.Rows != RowsSame {
		return u, badUndo("rows is given without a statement")
	}
	return u, nil
}

func (u *Undo) readRows(options string) error {
	name, value, _ := strings.Cut(options, "=")
	value = strings.ToLower(strings.TrimSpace(value))
	if strings.TrimSpace(strings.ToLower(name)) != "rows" {
		return badUndo("there is no option " + quoteIdent(strings.TrimSpace(name)))
	}
	switch value {
	case "same":
		return nil
	case "any":
		u.Rows = RowsAny
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return badUndo("rows is neither same nor any nor a number: " + quoteIdent(value))
	}
	u.Rows, u.Count = RowsCounted, n
	return nil
}

func badUndo(why string) *Refusal {
	return &Refusal{Reason: BadDirective, Message: "compensation is not understood", Detail: "In its directive, " + why + ".",
		Hint: "Write /* compensate: UPDATE … */, /* compensate(rows=any): DELETE … */, /* compensate: auto */, /* compensate: none */ or /* retriable */."}
}

// Compensation analyses the statement of a directive, which must be INSERT, UPDATE, DELETE or MERGE. The error is a *Refusal.
func (r *Router) Compensation(snap *topology.Snapshot, env *Env, text string) (*Statement, error) {
	st, err := r.Parse(snap, env, []byte(text))
	if err != nil {
		refusal, ok := err.(*Refusal)
		if !ok {
			return nil, err
		}
		inner := *refusal
		inner.Position = 0
		inner.Message = "compensation: " + inner.Message
		return nil, &inner
	}
	if !isModification([]byte(text)) || st.Verb != Plain {
		return nil, badUndo("the statement is not INSERT, UPDATE, DELETE or MERGE")
	}
	return st, nil
}

// isModification says whether a text that parses is INSERT, UPDATE, DELETE or MERGE.
func isModification(text []byte) bool {
	is, _ := modification(text)
	return is
}

// CountsItsWrites reports whether the row count in the answer to a text that parses is that of all rows which it has written: it is
// INSERT, UPDATE, DELETE or MERGE, and its WITH clause does not write. What triggers write is not known here.
func CountsItsWrites(text []byte) bool {
	is, with := modification(text)
	return is && !withWrites(with)
}

// modification says whether a text that parses is INSERT, UPDATE, DELETE or MERGE, and returns the WITH clause before it.
func modification(text []byte) (is bool, with *pg.WithClause) {
	scanner := sql.Scanner{Text: text}
	tok := scanner.Next()
	for tok.Kind == sql.Comment {
		tok = scanner.Next()
	}
	switch foldCase(string(text[tok.Start:tok.End])) {
	case "insert", "update", "delete", "merge":
		return true, nil
	case "with":
	default:
		return false, nil
	}
	node, err := parseOne(text)
	if err != nil {
		return false, nil
	}
	switch n := node.Node.(type) {
	case *pg.Node_InsertStmt:
		return true, n.InsertStmt.WithClause
	case *pg.Node_UpdateStmt:
		return true, n.UpdateStmt.WithClause
	case *pg.Node_DeleteStmt:
		return true, n.DeleteStmt.WithClause
	case *pg.Node_MergeStmt:
		return true, n.MergeStmt.WithClause
	}
	return false, nil
}

// UsedParams says which parameters occur in a text: $n does if the result has n elements or more and the n-th is true.
func UsedParams(text string) []bool {
	var used []bool
	scanner := sql.Scanner{Text: []byte(text)}
	for {
		tok := scanner.Next()
		switch tok.Kind {
		case sql.EOF, sql.Error:
			return used
		case sql.Param:
			n, err := strconv.Atoi(text[tok.Start+1 : tok.End])
			if err != nil || n < 1 || n > maxParam {
				continue
			}
			for len(used) < n {
				used = append(used, false)
			}
			used[n-1] = true
		default:
		}
	}
}
