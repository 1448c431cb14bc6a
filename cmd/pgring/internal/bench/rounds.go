package bench

import (
	"context"
	"fmt"
)

// series is what the rounds showed of one contender in one cell: one sample per round, or why there is none.
type series struct {
	samples []Sample
	fault   error
}

// results are by cell and contender, in the lab's order.
type results [][]series

// measureAll warms up and runs the rounds. A contender that fails in a cell is not asked for this cell again, and the others go
// on; only the end of ctx ends it all.
func (l *lab) measureAll(ctx context.Context) (results, error) {
	cells := l.cells()
	found := make(results, len(cells))
	for i := range found {
		found[i] = make([]series, len(l.contenders))
	}
	l.options.say("warming up")
	if err := l.round(ctx, cells, 0, found); err != nil {
		return nil, err
	}
	for round := 1; round <= l.options.Rounds; round++ {
		l.options.say("round %d of %d", round, l.options.Rounds)
		if err := l.round(ctx, cells, round, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// round runs every cell on every contender. Round 0 is the warm-up, whose samples are not kept.
func (l *lab) round(ctx context.Context, cells []Cell, round int, found results) error {
	for i, cell := range cells {
		length := l.options.length()
		if round == 0 {
			length = cell.warmUp()
		}
		for _, j := range rotated(len(l.contenders), round) {
			c, s := l.contenders[j], &found[i][j]
			if !c.can(cell) || s.fault != nil {
				continue
			}
			sample, err := l.measure(ctx, trial{cell, c, round + 1, length})
			switch {
			case ctx.Err() != nil:
				return fmt.Errorf("interrupted in round %d: %w", round, context.Cause(ctx))
			case err != nil:
				s.fault = fmt.Errorf("%s through %s: %w%s", cell.Name(), c.name, err, c.log())
				l.options.say("error in %s through %s, which sits out this cell from now on", cell.Name(), c.name)
			case round > 0:
				s.samples = append(s.samples, sample)
			}
		}
	}
	return nil
}

// rotated are 0 to n-1, begun elsewhere in each round, so that nobody always has what the one before left behind.
func rotated(n, round int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = (i + round) % n
	}
	return order
}
