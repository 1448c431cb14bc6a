package bench

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"
)

// Run builds a lab, measures and takes it down, and then does the same with servers that sync what they commit. An error means that
// there is no report; cells that did not work are in the report, see Failed. A full run takes minutes, and the end of ctx ends it
// at any time.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	r := &Report{Taken: time.Now(), Machine: describeMachine(), Versions: Versions{Go: runtime.Version()}, Command: o.Command, Notes: []string{}}
	r.Conditions = Conditions{Rounds: o.Rounds, Seconds: o.Seconds, Transactions: o.Transactions, Rows: o.Rows, Shards: o.Shards, Pool: o.Pool}
	for _, durable := range []bool{false, true} {
		if len(o.cellsOf(durable)) == 0 {
			continue
		}
		if err := r.addLab(ctx, o, durable); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// addLab adds to the report what one lab shows.
func (r *Report) addLab(ctx context.Context, o Options, durable bool) (err error) {
	l, err := openLab(ctx, o, durable)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if r.Idle == nil {
		if r.Idle, err = l.measureIdle(ctx); err != nil { // before the load, which leaves memory that the clients would then be given
			return err
		}
	}
	o.say("measuring: %s at least", l.duration())
	found, err := l.measureAll(ctx)
	if err != nil {
		return err
	}
	r.add(l, found)
	if o.Profiles != "" {
		err = l.profile(ctx)
	}
	return err
}

// duration is what the rounds take without anything that pgbench does before and after.
func (l *lab) duration() time.Duration {
	if l.options.Transactions > 0 {
		return 0
	}
	runs := 0
	for _, cell := range l.cells() {
		for _, c := range l.contenders {
			if c.can(cell) {
				runs++
			}
		}
	}
	return time.Duration(l.options.Rounds*runs*l.options.Seconds) * time.Second
}

// add puts a lab's results behind those that are there.
func (r *Report) add(l *lab, found results) {
	l.versions.Go = r.Versions.Go
	r.Versions = l.versions
	if l.durable {
		r.Conditions.Disk = l.dataPlace()
	} else {
		r.Conditions.Data = l.dataPlace()
	}
	for _, note := range l.notes {
		if !slices.Contains(r.Notes, note) {
			r.Notes = append(r.Notes, note)
		}
	}
	for i, cell := range l.cells() {
		r.Results = append(r.Results, summarize(cell, l.contenders, found[i]))
	}
}
