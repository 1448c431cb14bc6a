package rebalance

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// note is one thing about a move that people see and nothing depends on.
type note struct {
	column string
	value  any
}

const lagColumn = "lag_bytes"

func waiting(text string) note         { return note{"waiting_for", text} }
func rowsTotal(n int64) note           { return note{"rows_total", n} }
func rowsCopied(n int64) note          { return note{"rows_copied", n} }
func bytesTotal(n int64) note          { return note{"bytes_total", n} }
func bytesCopied(n int64) note         { return note{"bytes_copied", n} }
func rowRate(perSecond float64) note   { return note{"rows_per_s", perSecond} }
func byteRate(perSecond float64) note  { return note{"bytes_per_s", perSecond} }
func changesApplied(n int64) note      { return note{"applied", n} }
func logKept(n int64) note             { return note{"log_bytes", n} }
func lagBytes(n int64) note            { return note{lagColumn, n} }
func pauseLasted(d time.Duration) note { return note{"pause_ms", float64(d.Microseconds()) / 1000} }

// report writes notes beside the move, without a new epoch. What goes wrong with that is not worth stopping for.
func (d *driver) report(ctx context.Context, notes ...note) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if d.control == nil || d.control.IsClosed() {
		conn, err := d.controller.cfg.Control(ctx)
		if err != nil {
			d.log.Debug("report progress", "error", err)
			return
		}
		d.control = conn
	}
	var sets []string
	values := []any{d.move.ID}
	for _, n := range notes {
		values = append(values, n.value)
		if bytes, isNumber := n.value.(int64); isNumber && n.column == lagColumn {
			d.controller.stats.lag.Store(bytes)
		}
		sets = append(sets, n.column+" = $"+strconv.Itoa(len(values)))
	}
	if _, err := d.control.Exec(ctx, "UPDATE pgring.moves SET "+strings.Join(sets, ", ")+" WHERE id = $1", values...); err != nil {
		d.log.Debug("report progress", "error", err)
	}
}
