// Package ring has nothing wrong.
package ring

import (
	"context"
	"errors"
	"regexp"
	"sync"
)

// ErrGone says that it is gone.
var ErrGone = errors.New("gone")

// Letters and digits share this comment.
var (
	Letters = regexp.MustCompile(`[a-z]`)
	Digits  = regexp.MustCompile(`[0-9]`)
)

var pool = sync.Pool{New: func() any { return new(Ring) }}

var names = map[int]string{1: "one"}

// The Ring is a type, and its article is fine.
type Ring struct{ names map[int]string }

// A Shape is one of the shapes.
type Shape int

// The shapes.
const (
	Round Shape = iota
	Square
)

func (r *Ring) String() string { return names[1] }

type hidden struct{}

// nothing to say
func (hidden) Exported() {}

// Rename changes a field, not the package variable of the same name. See context.TODO and TODO(#7).
func (r *Ring) Rename(ctx context.Context, names map[int]string) {
	names[2] = "two"
	r.names = names
	r.names[3] = "three"
}

// Generic has type parameters; it gives back what it gets.
func Generic[T any](v T) T { return v }
