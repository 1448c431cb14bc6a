package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
	"github.com/pgring/pgring/rebalance"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// keyCommands move single keys, and say how much each shard shall have.
func keyCommands() []command {
	return []command{
		{name: "MOVE KEY", syntax: "key [OF table] TO shard", role: proxy.RoleAdmin, run: (*Console).moveKey,
			does: "Moves the rows of one key to a shard and pins them there, while clients go on writing. OF may be left out when there is one colocation group."},
		{name: "UNPIN KEY", syntax: "key [OF table]", role: proxy.RoleAdmin, run: (*Console).unpinKey,
			does: "Moves the rows of a pinned key back to the shard that owns its slot."},
		{name: "SHOW PINS", does: "Lists the keys that are pinned to a shard.", role: proxy.RoleStats, columns: pinColumns(), run: (*Console).showPins},
		{name: "ALTER SHARD", syntax: "name WEIGHT weight", role: proxy.RoleAdmin, run: (*Console).alterShard,
			does: "Changes a shard's share of the slots; REBALANCE START moves them. A shard of weight 0 gets no slots, only keys that are moved to it."},
	}
}

func pinColumns() []column {
	return []column{
		{"group", text, "The colocation group."},
		{"key", text, "The key."},
		{"slot", integer, "Its slot."},
		{"shard", text, "The shard that it is pinned to."},
		{"slot_shard", text, "The shard that owns its slot: where UNPIN KEY brings it."},
		{"moving_to", text, "The shard that it is being moved to; NULL when it stays."},
	}
}

// showPins answers SHOW PINS.
func (c *Console) showPins(context.Context, *input) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, g := range snap.Groups() {
		placed, bySlots := g.Placement.(*ring.Map)
		if !bySlots {
			continue
		}
		for _, pin := range placed.Pins() {
			slot := pin.Key.Slot()
			rows = append(rows, row{g.Name, pin.Key.String(), number(slot), string(pin.Shard), orNull(string(placed.Owner(slot))), movingTo(snap, g.Name, pin.Key)})
		}
	}
	return rowsOf(rows)
}

// movingTo gives the shard that a key is being moved to, or NULL.
func movingTo(snap *topology.Snapshot, group string, key ring.Key) any {
	for _, m := range snap.Moves {
		if m.Group == group && m.Switched == 0 && m.State != topology.MoveCancelling && m.Slots.HasKey(key) {
			return string(m.To)
		}
	}
	return nil
}

// keyOf reads key [OF table]. Without a table there must be one group.
func keyOf(snap *topology.Snapshot, t *tokens) (*topology.Group, ring.Key, error) {
	typed, err := t.value("a key")
	if err != nil {
		return nil, ring.Key{}, err
	}
	var group *topology.Group
	if t.accept("OF") {
		word, err := t.word("a table")
		if err != nil {
			return nil, ring.Key{}, err
		}
		name, err := groupOf(snap, word)
		if err != nil {
			return nil, ring.Key{}, err
		}
		group = snap.Group(name)
	} else if all := snap.Groups(); len(all) == 1 {
		group = all[0]
	} else {
		names := make([]string, len(all))
		for i, g := range all {
			names[i] = g.Name
		}
		return nil, ring.Key{}, &pgwire.Error{Code: codeNotInState, Message: fmt.Sprintf("key %s may be of any colocation group", typed),
			Detail: "The groups are: " + strings.Join(names, ", ") + ".", Hint: "Write OF and a table after the key."}
	}
	key, err := parseKey(group.KeyType, typed)
	return group, key, err
}

// parseKey reads a key as it was typed.
func parseKey(t ring.KeyType, typed string) (ring.Key, error) {
	key, err := ring.ParseKey(t, []byte(typed))
	var bad *ring.KeyError
	if errors.As(err, &bad) {
		e := &pgwire.Error{Code: bad.Code, Message: fmt.Sprintf("%q is no key of type %s", typed, t), Detail: sentence(bad.Reason), Hint: "Write the key as in SQL, in quotes if it is text."}
		if !bad.Understood() {
			e.Code = codeFeature
		}
		return key, e
	}
	return key, err
}

// moveKey answers MOVE KEY.
func (c *Console) moveKey(ctx context.Context, in *input) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	group, key, err := keyOf(snap, &in.arguments)
	if err != nil {
		return nil, err
	}
	if err := in.arguments.expect("TO"); err != nil {
		return nil, err
	}
	word, err := in.arguments.word("a shard")
	if err != nil {
		return nil, err
	}
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	shard, err := shardNamed(snap, word)
	if err != nil {
		return nil, err
	}
	return c.bringKey(ctx, snap, group, key, shard.ID)
}

// bringKey records the move of a key.
func (c *Console) bringKey(ctx context.Context, snap *topology.Snapshot, group *topology.Group, key ring.Key, to ring.ShardID) (*outcome, error) {
	m, err := rebalance.MoveKey(snap, group.Name, key, to)
	if err != nil {
		return nil, topologyError(err)
	}
	if m == nil {
		return &outcome{notices: notice(fmt.Sprintf("key %s of group %s is on shard %s already", key, group.Name, to), "SHOW PINS lists the keys that stay where they are when slots move.")}, nil
	}
	if err := c.record(ctx, snap, []topology.Move{*m}); err != nil {
		return nil, err
	}
	return &outcome{notices: notice(fmt.Sprintf("key %s of group %s is being moved from shard %s to %s", key, group.Name, m.From, to), "SHOW REBALANCE tells how far that is.")}, nil
}

// unpinKey answers UNPIN KEY.
func (c *Console) unpinKey(ctx context.Context, in *input) (*outcome, error) {
	snap, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	group, key, err := keyOf(snap, &in.arguments)
	if err != nil {
		return nil, err
	}
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	placed, bySlots := group.Placement.(*ring.Map)
	if !bySlots || !pinned(placed, key) {
		return nil, &pgwire.Error{Code: codeUndefinedObject, Message: fmt.Sprintf("key %s of group %s is not pinned", key, group.Name),
			Detail: "It is where its slot is.", Hint: "SHOW PINS lists the keys that are pinned."}
	}
	owner := placed.Owner(key.Slot())
	if owner != placed.Locate(key).Shard {
		return c.bringKey(ctx, snap, group, key, owner)
	}
	if _, err := c.cfg.Topology.Unpin(ctx, group.Name, key); err != nil {
		return nil, topologyError(err)
	}
	return &outcome{notices: notice(fmt.Sprintf("key %s of group %s goes with its slot, which is on shard %s too", key, group.Name, owner), "")}, nil
}

func pinned(placed *ring.Map, key ring.Key) bool {
	for _, pin := range placed.Pins() {
		if pin.Key.Compare(key) == 0 {
			return true
		}
	}
	return false
}

// alterShard answers ALTER SHARD.
func (c *Console) alterShard(ctx context.Context, in *input) (*outcome, error) {
	word, err := in.arguments.word("a shard")
	if err != nil {
		return nil, err
	}
	if err := in.arguments.expect("WEIGHT"); err != nil {
		return nil, err
	}
	weight, err := readWeight(&in.arguments)
	if err != nil {
		return nil, err
	}
	_, shard, err := c.lastShard(in, word)
	if err != nil {
		return nil, err
	}
	if _, err := c.cfg.Topology.SetShardWeight(ctx, shard.ID, weight); err != nil {
		return nil, topologyError(err)
	}
	return &outcome{notices: notice(fmt.Sprintf("shard %s has weight %d", shard.ID, weight),
		"REBALANCE PLAN tells what would move, REBALANCE START moves it. Change the configuration file too, or the next RELOAD takes the weight back.")}, nil
}

// readWeight reads a number from 0, which readNumber refuses.
func readWeight(t *tokens) (int, error) {
	if t.accept("0") {
		return 0, nil
	}
	return readNumber(t, "WEIGHT", 10000)
}
