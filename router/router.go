package router

import (
	"bytes"
	"unicode/utf8"

	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// Config configures a Router.
type Config struct {
	CacheSize int // statements kept; 0: 8192
}

const (
	defaultCacheSize = 8192
	maxCachedText    = 16 << 10 // longer texts are parsed each time
)

// Router plans statements. Its methods may be called concurrently.
type Router struct {
	cache *cache
}

// New returns a Router with an empty cache.
func New(c Config) *Router {
	if c.CacheSize <= 0 {
		c.CacheSize = defaultCacheSize
	}
	return &Router{cache: newCache(c.CacheSize)}
}

// Stats are the counters of the statement cache since New.
type Stats struct {
	ExactHits  int64 // by the statement's text
	NormalHits int64 // by its text without literals
	Misses     int64 // parsed
	Evicted    int64
	Entries    int64
	Capacity   int64
}

// Stats returns the cache's counters.
func (r *Router) Stats() Stats {
	return Stats{
		ExactHits:  r.cache.hits[exact].Load(),
		NormalHits: r.cache.hits[normal].Load(),
		Misses:     r.cache.misses.Load(),
		Evicted:    r.cache.evicted.Load(),
		Entries:    int64(r.cache.entries()),
		Capacity:   int64(r.cache.capacity),
	}
}

// Scratch is a session's working memory for Query, and what it remembers of
// the session's statements. The zero value is ready; it must not be used by two
// goroutines at once.
type Scratch struct {
	memo     memo
	recalled [1]Bound // the statement that memo has for a text
	own      literals // its literals

	splitter sql.Splitter
	piece    sql.Statement
	bounds   []Bound
	literals []literals
}

// Query splits and analyses what one simple Query message holds; text is the
// message's string without its NUL. Statements that pgring refuses are in the
// result, and Plan returns their refusal, so that the statements before them
// run as in PostgreSQL; an error is a *Refusal for the whole message, such as a
// syntax error. The result is valid until scratch is used again.
func (r *Router) Query(snap *topology.Snapshot, env *Env, text []byte, scratch *Scratch) ([]Bound, error) {
	if e := scratch.recall(snap, env, text); e != nil {
		r.cache.hits[e.level].Add(1)
		return scratch.recalled[:], nil
	}
	return r.lookUp(snap, env, text, scratch)
}

// lookUp is Query for a text that the session does not remember.
func (r *Router) lookUp(snap *topology.Snapshot, env *Env, text []byte, scratch *Scratch) ([]Bound, error) {
	scratch.bounds = scratch.bounds[:0]
	scratch.literals = scratch.literals[:0]
	if e := r.cache.get(trimmed(text), env, snap.Schema, exact); e != nil {
		r.cache.hits[exact].Add(1)
		scratch.learn(e, snap, env, text)
		scratch.bounds = append(scratch.bounds, Bound{Statement: e.st, Text: text, Values: noValues{}})
		return scratch.bounds, nil
	}
	return r.split(snap, env, text, scratch)
}

// split is lookUp for a text that the cache does not have as a whole.
func (r *Router) split(snap *topology.Snapshot, env *Env, text []byte, scratch *Scratch) ([]Bound, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	piece := &scratch.piece
	scratch.splitter.Reset(text)
	var from *entry
	for scratch.splitter.Next(piece) {
		var (
			st   *Statement
			rows *sql.Rows
			err  error
		)
		if from = r.cached(snap, env, text, piece); from != nil {
			st = from.st
		} else if st, rows, err = r.fresh(snap, env, text, piece); err != nil {
			return nil, inMessage(err, text[:piece.Start])
		}
		scratch.literals = append(scratch.literals, literals{text: text, list: piece.Literals, rows: rows})
		scratch.bounds = append(scratch.bounds, Bound{Statement: st, Text: text[piece.Start:piece.Stop], Offset: piece.Start})
	}
	if len(scratch.bounds) == 1 {
		scratch.bounds[0].Text, scratch.bounds[0].Offset = text, 0
		if from != nil {
			scratch.learn(from, snap, env, text)
		}
	}
	for i := range scratch.bounds {
		scratch.bounds[i].Values = &scratch.literals[i]
	}
	return scratch.bounds, nil
}

// Parse analyses the one statement of a Parse message. Several statements are
// refused, as is a statement that no parameters can make runnable.
func (r *Router) Parse(snap *topology.Snapshot, env *Env, text []byte) (*Statement, error) {
	var st *Statement
	if e := r.cache.get(trimmed(text), env, snap.Schema, exact); e != nil {
		r.cache.hits[exact].Add(1)
		st = e.st
	} else {
		var err error
		if st, err = r.parse(snap, env, text); err != nil {
			return nil, err
		}
	}
	if refused := st.Refused(); refused != nil {
		return nil, refused
	}
	return st, nil
}

// CountHit counts a statement that the caller has kept since Parse as found by its text.
func (r *Router) CountHit() { r.cache.hits[exact].Add(1) }

// Pull analyses a statement that Parse or Query has planned as a Gather, for which the types turned out to be none that can be
// merged, or whose key cannot be read: its rows are to be copied to one shard, and it is answered there. Literals in it need no values.
func (r *Router) Pull(snap *topology.Snapshot, env *Env, text []byte) (*Statement, error) {
	var (
		splitter sql.Splitter
		piece    sql.Statement
	)
	splitter.Reset(text)
	splitter.Next(&piece)
	src := source{text: text[piece.Start:piece.End], offset: piece.Start, directive: piece.Directive, pull: true}
	if piece.Strippable {
		src.literals = piece.Literals
	}
	st, _, err := r.analyse(snap, env, src)
	if err != nil {
		return nil, err
	}
	if st.needsLiterals {
		st = st.withLiterals(&literals{text: text, list: piece.Literals})
	}
	return st, nil
}

func (r *Router) parse(snap *topology.Snapshot, env *Env, text []byte) (*Statement, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	var (
		splitter    sql.Splitter
		piece, more sql.Statement
	)
	splitter.Reset(text)
	splitter.Next(&piece)
	st, rows, err := r.statement(snap, env, text, &piece)
	if err != nil {
		return nil, inMessage(err, text[:piece.Start])
	}
	if splitter.Next(&more) {
		return nil, &Refusal{Reason: MultipleStatements, Message: "cannot insert multiple commands into a prepared statement"}
	}
	if rows != nil {
		return st.withRows(rows), nil
	}
	if st.needsLiterals {
		st = st.withLiterals(&literals{text: text, list: piece.Literals})
	}
	return st, nil
}

// statement returns the analysed statement of a piece, from the cache if it is
// there, and its rows if they say where it runs.
func (r *Router) statement(snap *topology.Snapshot, env *Env, text []byte, piece *sql.Statement) (*Statement, *sql.Rows, error) {
	if e := r.cached(snap, env, text, piece); e != nil {
		return e.st, nil, nil
	}
	return r.fresh(snap, env, text, piece)
}

// cached returns what the cache has for a piece, by its normal form or its
// text, or nil.
func (r *Router) cached(snap *topology.Snapshot, env *Env, text []byte, piece *sql.Statement) *entry {
	own := text[piece.Start:piece.End]
	if len(own) > maxCachedText || piece.Broken {
		return nil
	}
	var e *entry
	if piece.Strippable {
		e = r.cache.get(piece.Form, env, snap.Schema, normal)
	}
	if e == nil {
		e = r.cache.get(own, env, snap.Schema, exact)
	}
	if e != nil {
		r.cache.hits[e.level].Add(1)
	}
	return e
}

// fresh analyses a piece, by its rows if they say where it runs.
func (r *Router) fresh(snap *topology.Snapshot, env *Env, text []byte, piece *sql.Statement) (*Statement, *sql.Rows, error) {
	if st, rows, ok := r.byRows(snap, env, text[piece.Start:piece.End], piece); ok {
		rows.Before = utf8.RuneCount(text[:piece.Start])
		return st, rows, nil
	}
	st, err := r.whole(snap, env, text, piece)
	return st, nil, err
}

// whole parses and analyses a statement, and caches it.
func (r *Router) whole(snap *topology.Snapshot, env *Env, text []byte, piece *sql.Statement) (*Statement, error) {
	own := text[piece.Start:piece.End]
	cacheable := len(own) <= maxCachedText && !piece.Broken
	r.cache.misses.Add(1)
	source := source{text: own, offset: piece.Start, directive: piece.Directive, empty: piece.Empty}
	if piece.Strippable {
		source.literals = piece.Literals
	}
	st, general, err := r.analyse(snap, env, source)
	if err != nil {
		return nil, err
	}
	if !general && st.needsLiterals {
		st = st.withLiterals(&literals{text: text, list: piece.Literals})
	}
	switch {
	case !cacheable:
	case general && piece.Strippable && len(piece.Literals) > 0:
		r.cache.put(piece.Form, env, snap.Schema, normal, st)
	default:
		r.cache.put(own, env, snap.Schema, exact, st)
	}
	return st, nil
}

// trimmed cuts white space around text and one semicolon after it: what is
// cached under the rest, if anything, is a whole statement.
func trimmed(text []byte) []byte {
	start, end := sql.Extent(text)
	return text[start:end]
}

// checkText refuses what neither PostgreSQL nor the parser reads.
func checkText(text []byte) error {
	if bytes.IndexByte(text, 0) >= 0 {
		return &Refusal{Reason: SyntaxError, Message: "statement contains a zero byte"}
	}
	return nil
}

// inMessage moves the position of a syntax error behind what precedes the
// statement in its message.
func inMessage(err error, before []byte) error {
	refusal, ok := err.(*Refusal)
	if !ok || refusal.Position == 0 {
		return err
	}
	moved := *refusal
	moved.Position += utf8.RuneCount(before)
	return &moved
}

// WithoutLiterals returns a text with "?" in the place of each literal, for
// logs and displays that must not show values. A text that PostgreSQL's lexer
// would not accept is cut where it goes wrong.
func WithoutLiterals(text string) string {
	out := make([]byte, 0, len(text))
	scanner := sql.Scanner{Text: []byte(text)}
	from := 0
	for {
		tok := scanner.Next()
		switch tok.Kind {
		case sql.EOF:
			return string(append(out, text[from:]...))
		case sql.Error:
			return string(append(append(out, text[from:tok.Start]...), "…"...))
		case sql.Comment: // may hold anything
			out = append(out, text[from:tok.Start]...)
			from = tok.End
		case sql.Integer, sql.Radix, sql.Float, sql.String, sql.EString, sql.UString, sql.DollarString, sql.BitString:
			out = append(append(out, text[from:tok.Start]...), '?')
			from = tok.End
		case sql.Other, sql.Ident, sql.QuotedIdent, sql.UIdent, sql.Param, sql.Operator, sql.Punct:
		}
	}
}
