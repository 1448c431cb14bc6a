package proxy

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// copyLines maps the lines of the data that one shard gets to the client's. It keeps two small numbers for each row, of as many of
// the latest rows as fit: a server's error concerns one of those.
type copyLines struct {
	rows   []byte // for each row: its lines, and how far its last one is from the row before, as varints
	shard  int    // the shard's line that the rows begin behind
	client int    // the client's line there
	last   int    // the client's line of the last row
	total  int    // the shard's
}

// maxCopyLines bounds, in bytes, what is kept of the rows of one shard.
const maxCopyLines = 1 << 20

// add notes a row that ends on the client's line.
func (l *copyLines) add(line, lines int) {
	if len(l.rows) > maxCopyLines {
		l.forget()
	}
	l.rows = binary.AppendUvarint(l.rows, uint64(lines))
	l.rows = binary.AppendUvarint(l.rows, uint64(line-l.last))
	l.last = line
	l.total += lines
}

// forget drops the older half.
func (l *copyLines) forget() {
	at := 0
	for at < len(l.rows)/2 {
		lines, far, n := l.row(at)
		l.shard, l.client, at = l.shard+lines, l.client+far, at+n
	}
	l.rows = l.rows[:copy(l.rows, l.rows[at:])]
}

// row reads the row at an offset, and its size.
func (l *copyLines) row(at int) (lines, far, size int) {
	a, n := binary.Uvarint(l.rows[at:])
	b, m := binary.Uvarint(l.rows[at+n:])
	return int(a), int(b), n + m
}

// origin returns the client's line of a line of the shard's; 0: it is not known any more.
func (l *copyLines) origin(line int) int {
	if line <= l.shard {
		return 0
	}
	shard, client := l.shard, l.client
	for at := 0; at < len(l.rows); {
		lines, far, n := l.row(at)
		shard, client, at = shard+lines, client+far, at+n
		if line <= shard {
			return client - (shard - line)
		}
	}
	return client + line - shard
}

// copyContext is the part of an error's context that says in which line of a COPY it was: "COPY users, line 7, column id: …".
const copyContext = "COPY "

// contextLine finds the line number in the context of an error of COPY, which is that of the server's data: text[from:to].
func contextLine(text string) (line, from, to int) {
	start := strings.LastIndex("\n"+text, "\n"+copyContext)
	if start < 0 {
		return 0, 0, 0
	}
	const before = ", line "
	at := strings.Index(text[start:], before)
	if at < 0 {
		return 0, 0, 0
	}
	from = start + at + len(before)
	to = from
	for to < len(text) && text[to] >= '0' && text[to] <= '9' {
		to++
	}
	line, err := strconv.Atoi(text[from:to])
	if err != nil {
		return 0, 0, 0
	}
	return line, from, to
}
