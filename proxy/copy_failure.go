package proxy

import (
	"errors"
	"strconv"

	"github.com/pgring/pgring/pgwire"
)

// endsSession reports whether nothing more can be said to the client after this error.
func endsSession(err error) bool {
	var e *pgwire.Error
	return clientError(err) != nil || errors.As(err, &e) && e.Severity == "FATAL"
}

// cut closes the connections to all shards: nothing more will come from the client.
func (f *copyFeed) cut() {
	for _, to := range f.to {
		to.part.conn.MarkDirty("copy broken off")
		_ = to.part.conn.Wire().Close()
	}
}

// dropLost gives up the participants whose connections broke.
func (f *copyFeed) dropLost() {
	for _, to := range f.to {
		if to.lost != nil {
			f.session.drop(to.part)
		}
	}
}

// failure is the error to tell, with its line in the client's data: the first by that, and one of the session's own making last.
func (f *copyFeed) failure() (told error, best int) {
	for _, to := range f.to {
		switch {
		case to.failed != nil:
			e, rank := f.located(to)
			if told == nil || rank < best {
				told, best = e, rank
			}
		case to.lost != nil && told == nil:
			told, best = to.lost, lastRank
		}
	}
	return told, best
}

// copyRank is the rank of an error in a line.
func copyRank(code string, line int) int {
	const unique, exclusion = "23505", "23P01"
	if code == unique || code == exclusion {
		return ((line-1)/batchLines+1)*batchLines*lineRank + 1 + (line-1)%batchLines
	}
	return line * lineRank
}

// located returns the server's error with the client's line in its context, and its rank among others.
func (f *copyFeed) located(to *copyTo) (*pgwire.Error, int) {
	e := *to.failed
	rank := lastRank
	if line, from, end := contextLine(e.Where); line > 0 && to.lines.total > 0 {
		here := to.lines.origin(line)
		if line > to.lines.total { // behind the last row of all
			here = f.rows.Lines() + line - to.lines.total
		}
		if rank = copyRank(e.Code, here); here > 0 {
			e.Where = e.Where[:from] + strconv.Itoa(here) + e.Where[end:]
		}
	}
	if e.Code == codeQueryCanceled {
		rank = cancelRank
	}
	return &e, rank
}
