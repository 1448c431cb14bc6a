package merge

import (
	"encoding/binary"

	"github.com/pgring/pgring/pgwire"
)

const (
	formatText   = 0
	formatBinary = 1

	firstColumn = pgwire.HeaderSize + 2 // where the first column's length stands in a DataRow frame
)

// span is where one column stands in a DataRow frame: its length word at at, its value in [start, end). NULL has start -1.
type span struct{ at, start, end int }

func (s span) null() bool { return s.start < 0 }

// checkHeader checks that row is one whole DataRow of the given number of columns, without looking at them.
func checkHeader(row []byte, columns int) error {
	if len(row) < firstColumn || row[0] != pgwire.DataRow || int(binary.BigEndian.Uint32(row[1:])) != len(row)-1 {
		return malformed("shard sent a malformed row", "It is not one complete DataRow message.")
	}
	if int(binary.BigEndian.Uint16(row[pgwire.HeaderSize:])) != columns {
		return malformed("shard sent a malformed row", "Its number of columns is not the one announced.")
	}
	return nil
}

// split finds the first len(spans) of a row's columns. When these are all columns the row must end with them.
func split(row []byte, spans []span, columns int) error {
	if err := checkHeader(row, columns); err != nil {
		return err
	}
	at := firstColumn
	for i := range spans {
		if len(row)-at < 4 {
			return malformed("shard sent a malformed row", "It ends inside a column.")
		}
		n := int(int32(binary.BigEndian.Uint32(row[at:])))
		start := at + 4
		if n == -1 {
			spans[i] = span{at: at, start: -1}
			at = start
			continue
		}
		if n < 0 || n > len(row)-start {
			return malformed("shard sent a malformed row", "It ends inside a column.")
		}
		spans[i] = span{at: at, start: start, end: start + n}
		at = start + n
	}
	if len(spans) == columns && at != len(row) {
		return malformed("shard sent a malformed row", "It goes on after its last column.")
	}
	return nil
}
