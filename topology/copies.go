package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgring/pgring/ring"
)

// referenceTable declares a table of which every shard has the same copy already, or which exists nowhere yet.
func (d *draft) referenceTable(ctx context.Context, w TableWish) error {
	s, err := d.find(ctx, w)
	if err != nil {
		return err
	}
	var all []ring.ShardID
	for _, shard := range d.facts.shards {
		if shard.State != Joining {
			all = append(all, shard.ID)
		}
	}
	object := "table " + w.Name.String()
	if lacking := s.lacking(all); len(lacking) > 0 {
		return &RefusedError{Object: object, Reason: "does not exist with the same columns on " + join(lacking) + ", but a reference table is on every shard",
			Hint: "create and fill it there first"}
	}
	if same, err := d.sameRows(ctx, s); err != nil {
		return err
	} else if !same {
		rows, err := d.countRows(ctx, s)
		if err != nil {
			return err
		}
		return &RefusedError{Object: object, Reason: "does not have the same rows on every shard", Rows: rows,
			Hint: "a reference table is a full copy on each shard: copy its rows first"}
	}
	d.facts.setTable(declaration{Name: w.Name, kind: Reference, key: []string{}})
	return nil
}

func (d *draft) sameRows(ctx context.Context, s sighting) (bool, error) {
	if len(s.rows) == 0 {
		return true, nil
	}
	first := ""
	for id := range s.on {
		shard, _ := d.facts.shard(id)
		sum, err := d.survey.digest(ctx, shard, s.wish.Name)
		if err != nil {
			return false, err
		}
		if first == "" {
			first = sum
		}
		if sum != first {
			return false, nil
		}
	}
	return true, nil
}

func (d *draft) countRows(ctx context.Context, s sighting) (map[ring.ShardID]int64, error) {
	rows := map[ring.ShardID]int64{}
	for id := range s.on {
		shard, _ := d.facts.shard(id)
		n, err := d.survey.countRows(ctx, shard, s.wish.Name)
		if err != nil {
			return nil, err
		}
		rows[id] = n
	}
	return rows, nil
}

// homeTable declares a table that is whole on one shard, and has rows nowhere else.
func (d *draft) homeTable(ctx context.Context, w TableWish) error {
	target := w.Shard
	if target == "" {
		target = d.facts.home
	}
	shard, found := d.facts.shard(target)
	if !found || shard.State == Joining {
		return &RefusedError{Object: "table " + w.Name.String(), Reason: fmt.Sprintf("cannot be put on %s: there is no such shard, or it is joining", target)}
	}
	s, err := d.find(ctx, w)
	if err != nil {
		return err
	}
	if !s.onlyOn(target) {
		rows, err := d.countRows(ctx, s)
		if err != nil {
			return err
		}
		delete(rows, target)
		return &RefusedError{Object: "table " + w.Name.String(), Reason: "has rows on other shards than " + string(target), Rows: rows,
			Hint: "bring them to shard " + string(target) + " first"}
	}
	if len(s.on) > 0 && s.on[target] == nil {
		return &RefusedError{Object: "table " + w.Name.String(), Reason: "does not exist on shard " + string(target) + ", but on others", Hint: "create it there first"}
	}
	d.facts.setTable(declaration{Name: w.Name, kind: Home, key: []string{}, shard: w.Shard})
	return nil
}

// readiness looks whether a shard that owns nothing yet can serve: it has every declared table that exists on the home shard,
// with equal columns, the reference tables with equal rows. The reason says what is missing; "" means that it is ready.
func (d *draft) readiness(ctx context.Context, candidate Shard) (reason string, err error) {
	home, found := d.facts.shard(d.facts.home)
	if !found || home.ID == candidate.ID {
		return "", nil
	}
	model, err := d.survey.catalog(ctx, home)
	if err != nil {
		return "", err
	}
	copied, err := d.survey.catalog(ctx, candidate)
	if err != nil {
		return "", err
	}
	var missing []string
	for _, declared := range d.facts.tables {
		r := model.relation(declared.Name)
		if declared.kind == Home || r == nil {
			continue
		}
		fits, err := d.fits(ctx, declared, home, candidate, r, copied.relation(declared.Name))
		if err != nil {
			return "", err
		}
		if !fits {
			missing = append(missing, declared.Name.String())
		}
	}
	if len(missing) == 0 {
		return "", nil
	}
	return "it has no copy, or another one, of " + strings.Join(missing, ", "), nil
}

func (d *draft) fits(ctx context.Context, declared declaration, home, candidate Shard, model, copied *relation) (bool, error) {
	if copied == nil || !model.sameColumns(copied) {
		return false, nil
	}
	if declared.kind == Reference {
		want, err := d.survey.digest(ctx, home, declared.Name)
		if err != nil {
			return false, err
		}
		got, err := d.survey.digest(ctx, candidate, declared.Name)
		return got == want, err
	}
	if d.facts.ownsAnything(candidate.ID) {
		return true, nil
	}
	n, err := d.survey.countRows(ctx, candidate, declared.Name)
	if err == nil && n > 0 {
		err = &RefusedError{Object: "shard " + string(candidate.ID), Reason: fmt.Sprintf("owns nothing, but has %d rows of sharded table %s", n, declared.Name),
			Hint: "empty the table on it first"}
	}
	return true, err
}

func (f *facts) ownsAnything(id ring.ShardID) bool {
	return slices.ContainsFunc(f.groups, func(g group) bool { return slices.Contains(g.owners(), id) })
}

// ownServer refuses a shard whose database is another one's under a second name: statements on several shards would count its rows
// twice, and a move between the two would delete what it copies. Shards that cannot be reached now are not looked at.
func (d *draft) ownServer(ctx context.Context, candidate Shard) error {
	own, err := d.survey.identity(ctx, candidate)
	if err != nil {
		return err
	}
	for _, s := range d.facts.shards {
		if s.ID == candidate.ID {
			continue
		}
		if other, err := d.survey.identity(ctx, s); err == nil && other == own {
			return &RefusedError{Object: "shard " + string(candidate.ID), Reason: "is the same database as shard " + string(s.ID),
				Hint: "each shard needs a database of its own: look at the host and the port"}
		}
	}
	return nil
}

// startState is the state of a shard that is new: the wished one if the shard is ready, else Joining. What keeps a new shard from
// being looked at is no reason to refuse the rest of a wish.
func (d *draft) startState(ctx context.Context, s Shard) (ShardState, error) {
	if home, found := d.facts.shard(d.facts.home); found {
		if _, err := d.survey.catalog(ctx, home); err != nil {
			return StateUnset, err
		}
	}
	reason, err := "", d.ownServer(ctx, s)
	if err == nil {
		reason, err = d.readiness(ctx, s)
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		return StateUnset, err
	}
	if err != nil {
		reason = scrub(err)
	}
	if reason != "" {
		d.notice("shard %s is joining: %s", s.ID, reason)
		return Joining, nil
	}
	return s.State, nil
}
