package bench

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// Run builds the lab, measures, and takes the lab down. An error means that there is no report; cells that did not work are in the
// report, see Failed. A full run takes minutes, and the end of ctx ends it at any time.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	machine := describeMachine()
	l, err := openLab(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	idle, err := l.measureIdle(ctx) // before the load, which leaves memory that the clients would then be given
	if err != nil {
		return nil, err
	}
	o.say("measuring: %s at least", o.duration(len(l.contenders)))
	found, err := l.measureAll(ctx)
	if err != nil {
		return nil, err
	}
	report = l.report(found, machine)
	report.Idle = idle
	if o.Profiles != "" {
		err = l.profile(ctx)
	}
	return report, err
}

// duration is what the rounds take without anything that pgbench does before and after.
func (o Options) duration(contenders int) time.Duration {
	if o.Transactions > 0 {
		return 0
	}
	return time.Duration(o.Rounds*len(o.cells())*contenders*o.Seconds) * time.Second
}

func (l *lab) report(found results, machine Machine) *Report {
	o := l.options
	r := &Report{Taken: time.Now(), Machine: machine, Versions: l.versions, Command: o.Command, Notes: append([]string{}, l.notes...)}
	r.Versions.Go = runtime.Version()
	r.Conditions = Conditions{Rounds: o.Rounds, Seconds: o.Seconds, Transactions: o.Transactions, Rows: o.Rows, Shards: o.Shards, Pool: o.Pool, Data: l.dataPlace()}
	for i, cell := range o.cells() {
		r.Results = append(r.Results, summarize(cell, l.contenders, found[i]))
	}
	return r
}
