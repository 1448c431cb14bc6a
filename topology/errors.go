package topology

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/ring"
)

var (
	// ErrConflict means that somebody else changed the control database first, again and again. Nothing was changed; read
	// the new snapshot and decide anew.
	ErrConflict = errors.New("the control database was changed at the same time")

	// ErrOutcomeUnknown means that the connection broke while a change was being committed. It may or may not have
	// happened: the next snapshot tells.
	ErrOutcomeUnknown = errors.New("the control database did not answer whether the change was committed")

	errOtherCluster = errors.New("the control database belongs to another cluster now")

	// ErrNotStarted means that Start has not succeeded yet.
	ErrNotStarted = errors.New("the topology is not loaded yet")
)

// RefusedError says why a change, or a wish that differs from the facts, cannot be carried out. Nothing was changed.
type RefusedError struct {
	Object string                 // what it is about: `table public.orders`, `shard s5`
	Reason string                 // the facts, as a clause that goes on from Object
	Hint   string                 // what to do: a whole clause, often a command of the console; may be empty
	Rows   map[ring.ShardID]int64 // rows in the wrong place, by shard, when that is the reason
}

func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString(e.Object + " " + e.Reason)
	for i, id := range slices.Sorted(maps.Keys(e.Rows)) {
		fmt.Fprintf(&b, "%s %d on %s", map[bool]string{true: ":", false: ","}[i == 0], e.Rows[id], id)
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// ShardInUseError says what keeps a shard from being dropped.
type ShardInUseError struct {
	Shard  ring.ShardID
	Home   bool           // it is the home shard
	Groups map[string]int // by group, the number of slots it owns; for range and list, of ranges and lists
	Tables []Name         // home tables declared on it
	Moves  []int64        // moves to or from it that are not finished

	// Reversible are further moves: they are done, but for that they can still be reverted.
	Reversible []int64
}

func (e *ShardInUseError) Error() string {
	var facts []string
	if e.Home {
		facts = append(facts, "it is the home shard")
	}
	for _, group := range slices.Sorted(maps.Keys(e.Groups)) {
		facts = append(facts, fmt.Sprintf("it owns %d of group %s", e.Groups[group], group))
	}
	for _, table := range e.Tables {
		facts = append(facts, "it holds home table "+table.String())
	}
	for _, id := range e.Moves {
		facts = append(facts, fmt.Sprintf("move %d is not finished", id))
	}
	for _, id := range e.Reversible {
		facts = append(facts, fmt.Sprintf("move %d can still be reverted (REBALANCE FINISH ends that)", id))
	}
	return fmt.Sprintf("shard %s is in use: %s", e.Shard, strings.Join(facts, ", "))
}

// NewerSchemaError means that a newer pgring has migrated the control database.
type NewerSchemaError struct {
	Found, Known int
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the control database is at version %d of schema pgring, and this pgring knows up to %d: run a newer pgring",
		e.Found, e.Known)
}

// transient reports whether trying again may help: the server was not reached, is starting or ending, or a change conflicted.
func transient(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		class := pg.Code[:min(2, len(pg.Code))]
		return class == "08" || class == "53" || class == "40" || strings.HasPrefix(pg.Code, "57P0") || pg.Code == "25006"
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || errors.Is(err, ErrConflict) || errors.Is(err, ErrOutcomeUnknown) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}

// scrub makes an error fit to be shown: one line, no password. pgx leaves passwords out; this is the second lock on that door.
func scrub(err error) string {
	if err == nil {
		return ""
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = regexp.MustCompile(`(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)`).ReplaceAllString(text, "${1}xxxxx")
	return regexp.MustCompile(`(://[^/\s:@]*):[^/\s@]*@`).ReplaceAllString(text, "${1}:xxxxx@")
}
