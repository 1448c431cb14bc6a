package config

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/pgring/pgring/ring"
)

func (c *checker) tables() {
	first := map[string]string{}
	for i, t := range c.cfg.Tables {
		path := fmt.Sprintf("tables[%d]", i)
		c.once(first, path+".name", t.Name.String(), "table")
		if !c.sound(path) || !c.sound(path+".strategy") {
			continue
		}
		c.misplaced(path, t)
		c.shardKey(path, t)
		c.reference(path+".shard", t.Shard)
		c.reference(path+".default", t.Default)
		c.ranges(path, t)
		c.values(path, t)
		c.lonely(path, t)
		c.rate(path+".rate_limit", t.RateLimit)
		c.rateKey(path+".rate_limit.per", t)
		c.idempotency(path+".idempotency", t)
		c.batch(path+".batch", t)
		c.async(path+".async", t)
		c.partition(path+".partition", t)
	}
	c.groups()
}

// rate reports a limit without a rate: it would let nothing through, or everything.
func (c *checker) rate(path string, r TableRate) {
	if c.given(path) && c.sound(path) && c.sound(path+".rate") && !r.Cap().IsSet() {
		c.fault(path, "rate_limit has no rate above 0", "write rate_limit: {rate: 500/s}, or remove it")
	}
}

// rateKey reports a rate for each value of something that pgring does not know of every statement.
func (c *checker) rateKey(path string, t Table) {
	per := t.RateLimit.Per
	if per == "" || !c.sound(path) || !c.sound(parentPath(parentPath(path))+".shard_key") {
		return
	}
	if len(t.ShardKey) != 1 || t.ShardKey[0] != per {
		hint := "leave it out for one rate of the whole table"
		if len(t.ShardKey) == 1 {
			hint = fmt.Sprintf("write per: %s, or %s", t.ShardKey[0], hint)
		}
		c.fault(path, fmt.Sprintf("per must name the shard key of table %s", t.Name), hint)
	}
}

// idempotency reports one that says nothing of which writes are the same.
func (c *checker) idempotency(path string, t Table) {
	if c.given(path) && c.sound(path) && c.sound(path+".column") && c.sound(path+".keep") && t.Strategy.Sharded() && !t.Idempotency.On() {
		c.fault(path, "idempotency has neither column nor keep", "write idempotency: {column: request_id}, or idempotency: {keep: 24h} for keys that clients give, or remove it")
	}
}

// batch reports one that says nothing of how much is done together.
func (c *checker) batch(path string, t Table) {
	if c.given(path) && c.sound(path) && c.sound(path+".max_rows") && t.Strategy.Sharded() && t.Batch.MaxRows == 0 {
		c.fault(path, "batch has no max_rows", "write batch: {max_rows: 64}, or remove it")
	}
}

// async reports one that does not say that it is on, that has no place for its log, or that another feature stands against.
func (c *checker) async(path string, t Table) {
	if !c.given(path) || !c.sound(path) || !c.sound(path+".enabled") || !t.Strategy.Sharded() {
		return
	}
	if !c.given(path + ".enabled") {
		c.fault(path, "async does not say whether it is on", "write async: {enabled: true}, or remove it")
		return
	}
	if !t.Async.Enabled {
		return
	}
	if c.sound("async") && c.sound("async.dir") && c.cfg.Async.Backend == AsyncFiles && c.cfg.Async.Dir == "" {
		c.fault(path, fmt.Sprintf("asynchronous writes to table %s have no place for their log", t.Name),
			"write async: {dir: /var/lib/pgring/async} at the top level: a folder on a disk of this machine")
	}
	if t.AppendOnly {
		c.conflict(path, fmt.Sprintf("writes to table %s cannot be both asynchronous and append-only in this version", t.Name),
			"remove async or append_only: what a shard refuses later would be missing in the book", parentPath(path)+".append_only", "append_only stands here")
	}
	if t.Idempotency.On() {
		c.conflict(path, fmt.Sprintf("writes to table %s cannot be both asynchronous and idempotent", t.Name),
			"remove async or idempotency: whether a write is a repeat is known on its shard only", parentPath(path)+".idempotency", "idempotency stands here")
	}
}

// misplaced reports keys that the table's strategy has no use for.
func (c *checker) misplaced(path string, t Table) {
	allowed := map[string]bool{
		"shard_key": t.Strategy.Sharded(),
		"colocate":  t.Strategy.Sharded(),
		"ranges":    t.Strategy == StrategyRange,
		"values":    t.Strategy == StrategyList,
		"default":   t.Strategy == StrategyList,
		"shard":     t.Strategy == StrategyHome,

		"idempotency": t.Strategy.Sharded(),
		"append_only": t.Strategy.Sharded(),
		"batch":       t.Strategy.Sharded(),
		"async":       t.Strategy.Sharded(),
		"partition":   t.Strategy.Sharded(),
	}
	for _, name := range []string{"shard_key", "colocate", "ranges", "values", "default", "shard", "idempotency", "append_only", "batch", "async", "partition"} {
		if c.given(path+"."+name) && !allowed[name] {
			c.fault(path+"."+name, fmt.Sprintf("%s has no meaning for strategy %s", name, t.Strategy), "remove it, or choose another strategy")
		}
	}
}

func (c *checker) shardKey(path string, t Table) {
	key := path + ".shard_key"
	switch n := len(t.ShardKey); {
	case !t.Strategy.Sharded() || !c.sound(key):
	case n == 0:
		c.fault(key, fmt.Sprintf("table %s has no shard_key", t.Name), fmt.Sprintf("strategy %s needs one: shard_key: [column]", t.Strategy))
	case n > ring.MaxKeyColumns:
		c.fault(fmt.Sprintf("%s[%d]", key, ring.MaxKeyColumns), fmt.Sprintf("table %s has a shard_key of %d columns", t.Name, n),
			fmt.Sprintf("a shard key has at most %d", ring.MaxKeyColumns))
	case n > 1 && (t.Strategy == StrategyRange || t.Strategy == StrategyList):
		c.fault(fmt.Sprintf("%s[1]", key), fmt.Sprintf("strategy %s needs a shard_key of one column", t.Strategy), "several columns are hashed together: use strategy consistent or hash")
	default:
		for i := range t.ShardKey {
			if slices.Contains(t.ShardKey[:i], t.ShardKey[i]) {
				c.fault(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("column %s is in the shard_key twice", t.ShardKey[i]), "remove it")
			}
		}
	}
}

func (c *checker) ranges(path string, t Table) {
	for i, r := range t.Ranges {
		at := fmt.Sprintf("%s.ranges[%d]", path, i)
		c.reference(at+".shard", r.Shard)
		if r.From == "" || !c.sound(at+".from") {
			continue
		}
		switch {
		case i == 0 && r.From != MinBound:
			c.fault(at+".from", "the first range must start at MIN", "keys below it would have no shard")
		case i > 0 && r.From == MinBound:
			c.fault(at+".from", "only the first range starts at MIN", "")
		case i > 1 && t.Ranges[i-1].From != "" && t.Ranges[i-1].From != MinBound && !ascending(t.Ranges[i-1].From, r.From):
			c.conflict(at+".from", fmt.Sprintf("lower bound %s is not above the one before it, %s", r.From, t.Ranges[i-1].From),
				"write ranges in ascending order", fmt.Sprintf("%s.ranges[%d].from", path, i-1), "the one before it stands here")
		}
	}
}

// ascending tells whether a is below b. The key's type is not known before the table is seen, so either order will do: the
// order of numbers when both are numbers, and the order of bytes, which is that of texts, UUIDs and timestamps.
func ascending(a, b string) bool {
	x, okX := number(a)
	y, okY := number(b)
	if okX && okY {
		return x.Cmp(y) < 0
	}
	return a < b
}

// number reads a decimal number; exponents are bounded, for big.Rat would write them out.
func number(text string) (*big.Rat, bool) {
	if len(text) > 200 || strings.ContainsAny(text, "eEpP/xXoObB_") {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func (c *checker) values(path string, t Table) {
	first := map[string]string{}
	for i, v := range t.Values {
		at := fmt.Sprintf("%s.values[%d]", path, i)
		c.reference(at+".shard", v.Shard)
		if !c.given(at + ".value") {
			continue
		}
		c.once(first, at+".value", v.Value, "value")
	}
}

// lonely warns of a colocation word that no other table shares, as a misspelled one does not.
func (c *checker) lonely(path string, t Table) {
	if t.Colocate == "" || !t.Strategy.Sharded() {
		return
	}
	group := c.cfg.GroupOf(t)
	var others []string
	for _, o := range c.cfg.Tables {
		if o.Name == t.Name || !o.Strategy.Sharded() {
			continue
		}
		if c.cfg.GroupOf(o) == group {
			return
		}
		others = append(others, c.cfg.GroupOf(o), o.Name.Short())
	}
	if group != t.Name.Short() {
		c.warn(path+".colocate", fmt.Sprintf("no other table is in group %q", group), didYouMean(group, others))
	}
}

// member is a table with its place in the file.
type member struct {
	path, group string
	Table
}

// members lists the sharded tables that were understood.
func (c *checker) members() []member {
	var members []member
	for i, t := range c.cfg.Tables {
		path := fmt.Sprintf("tables[%d]", i)
		if t.Strategy.Sharded() && c.sound(path) && c.sound(path+".strategy") && c.sound(path+".name") {
			members = append(members, member{path, c.cfg.GroupOf(t), t})
		}
	}
	return members
}

// groups checks what the tables of one group must agree on.
func (c *checker) groups() {
	members := c.members()
	leaders, ranges, values := map[string]member{}, map[string]member{}, map[string]member{}
	for _, m := range members {
		leader := firstOf(leaders, m, true)
		if leader.Strategy != m.Strategy {
			c.conflict(m.path+".strategy", fmt.Sprintf("tables %s and %s are in group %q but have strategies %s and %s", leader.Name, m.Name, m.group, leader.Strategy, m.Strategy),
				"tables of one group share one placement", leader.path+".strategy", fmt.Sprintf("%s stands here", leader.Name))
			continue
		}
		if a, b := len(leader.ShardKey), len(m.ShardKey); a != b && a > 0 && b > 0 {
			c.conflict(m.path+".shard_key", fmt.Sprintf("tables %s and %s are in group %q but have shard keys of %d and %d columns", leader.Name, m.Name, m.group, a, b),
				"equal keys of one group live together", leader.path+".shard_key", fmt.Sprintf("that of %s stands here", leader.Name))
		}
		if before := firstOf(ranges, m, len(m.Ranges) > 0); len(m.Ranges) > 0 && describe(before.Ranges) != describe(m.Ranges) {
			c.disagree(before, m, "ranges")
		}
		says := len(m.Values) > 0 || m.Default != ""
		if before := firstOf(values, m, says); says && describe(before.Values)+before.Default != describe(m.Values)+m.Default {
			c.disagree(before, m, "values")
		}
	}
	for _, leader := range leaders {
		c.placed(leader, ranges, values)
	}
}

// firstOf returns the first member of m's group that counts; that may be m itself.
func firstOf(first map[string]member, m member, counts bool) member {
	before, ok := first[m.group]
	if !ok && counts {
		first[m.group] = m
		return m
	}
	return before
}

func (c *checker) disagree(a, b member, what string) {
	c.conflict(b.path+"."+what, fmt.Sprintf("tables %s and %s are in group %q but have different %s", a.Name, b.Name, b.group, what),
		"say them once", a.path+"."+what, "the other ones stand here")
}

// placed reports a group whose strategy needs ranges or values, and that has none.
func (c *checker) placed(leader member, ranges, values map[string]member) {
	_, hasRanges := ranges[leader.group]
	_, hasValues := values[leader.group]
	switch {
	case leader.Strategy == StrategyRange && !hasRanges && c.sound(leader.path+".ranges"):
		c.fault(leader.path+".strategy", fmt.Sprintf("table %s has strategy range but no ranges", leader.Name), "ranges: [{from: MIN, shard: "+c.cfg.HomeShard()+"}]")
	case leader.Strategy == StrategyList && !hasValues && c.sound(leader.path+".values") && c.sound(leader.path+".default"):
		c.fault(leader.path+".strategy", fmt.Sprintf("table %s has strategy list but neither values nor default", leader.Name), "values: [{value: …, shard: "+c.cfg.HomeShard()+"}]")
	}
}
