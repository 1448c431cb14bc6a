package rebalance

import (
	"context"
	"time"
)

// note is one thing about a move that people see and nothing depends on.
type note struct {
	column string
	value  any
}

func waiting(text string) note         { return note{"waiting_for", text} }
func rowsTotal(n int64) note           { return note{"rows_total", n} }
func rowsCopied(n int64) note          { return note{"rows_copied", n} }
func changesApplied(n int64) note      { return note{"applied", n} }
func logKept(n int64) note             { return note{"log_bytes", n} }
func lagBytes(n int64) note            { return note{"lag_bytes", n} }
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
	for _, n := range notes {
		if _, err := d.control.Exec(ctx, "UPDATE pgring.moves SET "+n.column+" = $2 WHERE id = $1", d.move.ID, n.value); err != nil {
			d.log.Debug("report progress", "error", err)
			return
		}
	}
}
