package router

import (
	"strconv"
	"strings"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// why says in words how the plan came to be, and lists the keys found.
func (s *Statement) why(snap *topology.Snapshot, v Values, plan *Plan) (keys, reason string) {
	if s.forced != "" {
		return "", "a directive names the shard"
	}
	var said, found []string
	in := s.input(v)
	for i := range s.needs {
		n := &s.needs[i]
		group := snap.Group(n.group)
		if s.route == routeBroadcast || group == nil || s.insertion != nil {
			continue
		}
		list := in.explain(n, group)
		for _, key := range list {
			found = append(found, key.text)
			said = append(said, n.table+"."+n.column()+" = "+key.text+" → slot "+strconv.Itoa(int(key.at.Slot))+" → "+string(key.at.Shard))
		}
		if len(list) == 0 {
			said = append(said, s.noKey(n, group))
		}
	}
	said = append(said, s.kindReason(plan)...)
	return strings.Join(found, ", "), strings.Join(said, "; ")
}

// noKey says why a requirement has no key.
func (s *Statement) noKey(n *requirement, group *topology.Group) string {
	owners := group.Placement.Owners()
	switch {
	case n.any != nil:
		return "no row of " + n.table + " can have the key asked for"
	case len(owners) == 1:
		return "all rows of " + n.table + " are on " + string(owners[0])
	}
	return n.table + " has no key condition: all " + strconv.Itoa(len(owners)) + " owners"
}

// kindReason adds what the kind of the plan says.
func (s *Statement) kindReason(plan *Plan) []string {
	switch plan.Kind {
	case Home:
		switch {
		case plan.Anywhere:
			return []string{"needs no table: any shard answers"}
		case len(s.homes) > 0:
			return []string{"home tables are on " + string(plan.Shard)}
		}
		return []string{"catalogs, functions and tables not declared are on " + string(plan.Shard)}
	case Reference:
		return []string{"reference tables are on every shard"}
	case Gather:
		return []string{"rows are merged from " + strconv.Itoa(len(plan.Shards)) + " shards"}
	case Pull:
		if s.pull.combined {
			return []string{"each shard sends its part of each group to " + string(plan.Shard) + ", which combines them: " + s.pull.why}
		}
		return []string{"rows are copied to " + string(plan.Shard) + ", which answers: " + s.pull.why}
	case Broadcast:
		return []string{"runs on every shard that has the tables"}
	case Split:
		if len(plan.Parts) > 0 {
			return []string{"each of its rows goes to the owner of its key: " + strconv.Itoa(len(plan.Parts)) + " shards"}
		}
		return []string{"each of " + strconv.Itoa(len(plan.Shards)) + " shards writes its own rows"}
	case Staged:
		if plan.Stages.Fills() {
			return []string{"pgring.next_id() makes the keys of its rows; it is then planned with them"}
		}
		return []string{"its queries are answered first; what is left is planned with their results in the place of the marks"}
	case One, KindUnset:
	}
	return nil
}

// explained is one key for EXPLAIN ROUTE.
type explained struct {
	text string
	at   ring.Location
}

// explain reads all keys of a requirement.
func (in *input) explain(n *requirement, group *topology.Group) []explained {
	var out []explained
	add := func(k ring.Key) { out = append(out, explained{k.String(), group.Placement.Locate(k)}) }
	for i := range n.any {
		o := &n.any[i]
		if o.array {
			if got, _ := in.elements(o, add); got == readUnknown {
				return nil
			}
			continue
		}
		key, got, _ := in.key(o)
		switch got {
		case readKey:
			add(key)
		case readUnknown:
			return nil
		case readingUnset, readNothing, readInvalid:
		}
	}
	return out
}

// AnyShard names a shard on which the statement can be parsed and described
// before its values are known: one that has all its tables.
func (s *Statement) AnyShard(snap *topology.Snapshot) (ring.ShardID, error) {
	if s.refused != nil {
		return "", s.refused
	}
	if s.forced != "" {
		return s.forced, nil
	}
	if len(s.homes) > 0 && s.expanded == "" {
		return s.homes[0], nil
	}
	return snap.Home, nil
}

// HomeOnly says whether only the shard that AnyShard names can describe the
// statement: home tables, views or catalogs are in it.
func (s *Statement) HomeOnly(*topology.Snapshot) bool {
	return s.forced != "" || len(s.homes) > 0 || s.catalogs || s.expanded != ""
}

// KeyText is the shard key of a statement whose plan has one, as people write it.
func (s *Statement) KeyText(snap *topology.Snapshot, v Values) string {
	in := s.input(v)
	for i := range s.needs {
		group := snap.Group(s.needs[i].group)
		if group == nil {
			continue
		}
		if list := in.explain(&s.needs[i], group); len(list) > 0 {
			return list[0].text
		}
	}
	return ""
}
