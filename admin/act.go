package admin

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// reloadError tells what keeps the file from being applied.
func reloadError(changes []Change, err error) error {
	e := &pgwire.Error{Code: codeConfigFile, Message: "configuration was not reloaded: nothing was changed", Detail: oneLine(err),
		Hint: "Correct the file; pgring check reports all of its faults. SHOW CONFIG shows what is in force."}
	var reasons []string
	for _, c := range changes {
		if c.Outcome != "refused" {
			continue
		}
		reasons = append(reasons, fmt.Sprintf("%s: %s", c.Key, c.Reason))
		if len(reasons) == 1 && c.Hint != "" {
			e.Hint = c.Hint
		}
	}
	if len(reasons) > 0 {
		e.Detail = strings.Join(reasons, "; ")
	}
	return e
}

// optionalShard reads a shard's name, or nothing, which means all of them.
func (c *Console) optionalShard(in *input) (ring.ShardID, error) {
	if in.arguments.peek().kind == tokenEnd {
		return "", nil
	}
	word, err := in.arguments.word("a shard")
	if err != nil {
		return "", err
	}
	if err := in.arguments.end(); err != nil {
		return "", err
	}
	snap, err := c.snapshot()
	if err != nil {
		return "", err
	}
	shard, err := shardNamed(snap, word)
	return shard.ID, err
}

// shardNamed finds a shard by its exact name, or by a name that differs only in case.
func shardNamed(snap *topology.Snapshot, word token) (topology.Shard, error) {
	name := word.plain()
	if shard, ok := snap.Shard(ring.ShardID(name)); ok {
		return shard, nil
	}
	var names []string
	for _, s := range snap.Shards {
		if strings.EqualFold(string(s.ID), name) {
			return s, nil
		}
		names = append(names, string(s.ID))
	}
	return topology.Shard{}, noShard(name, names)
}

// pause answers PAUSE.
func (c *Console) pause(ctx context.Context, in *input) (*outcome, error) {
	shard, err := c.optionalShard(in)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, c.cfg.PauseTimeout)
	defer cancel()
	err = c.cfg.Pools.Pause(waiting, shard)
	if err != nil && waiting.Err() != nil {
		return nil, &pgwire.Error{Code: codeTimeout, Message: fmt.Sprintf("transactions have not ended within %s: paused for new ones only", c.cfg.PauseTimeout),
			Detail: c.busy(shard), Hint: "SHOW QUERIES says what runs; KILL ends a client, RESUME ends the pause."}
	}
	if err != nil {
		return nil, poolError(err)
	}
	return &outcome{}, nil
}

// busy counts the connections that are lent.
func (c *Console) busy(shard ring.ShardID) string {
	var parts []string
	for _, p := range c.cfg.Pools.Stats() {
		if (shard == "" || p.Shard == shard) && p.Active > 0 {
			parts = append(parts, fmt.Sprintf("%d of shard %s as %s", p.Active, p.Shard, p.User))
		}
	}
	return "Connections in use: " + strings.Join(parts, ", ") + "."
}

// resume answers RESUME.
func (c *Console) resume(_ context.Context, in *input) (*outcome, error) {
	shard, err := c.optionalShard(in)
	if err == nil {
		err = poolError(c.cfg.Pools.Resume(shard))
	}
	return &outcome{}, err
}

// reconnect answers RECONNECT.
func (c *Console) reconnect(_ context.Context, in *input) (*outcome, error) {
	shard, err := c.optionalShard(in)
	if err == nil {
		err = poolError(c.cfg.Pools.Reconnect(shard))
	}
	return &outcome{}, err
}

// kill answers KILL.
func (c *Console) kill(ctx context.Context, in *input) (*outcome, error) {
	typed, err := in.arguments.value("the id of a client")
	if err != nil {
		return nil, err
	}
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	id, err := strconv.ParseUint(typed, 0, 64)
	if err != nil {
		return nil, &pgwire.Error{Code: codeInvalidText, Message: fmt.Sprintf("%q is not the id of a client", typed),
			Detail: "KILL ends one client connection.", Hint: "SHOW CLIENTS shows the ids; PAUSE stops all traffic of a shard."}
	}
	if !c.cfg.Server.Kill(ctx, id) {
		return nil, &pgwire.Error{Code: codeUndefinedObject, Message: fmt.Sprintf("there is no client %d", id),
			Detail: fmt.Sprintf("%d clients are connected.", c.cfg.Server.Stats().Sessions), Hint: "SHOW CLIENTS shows the ids."}
	}
	if !c.gone(ctx, id) {
		return &outcome{notices: notice(fmt.Sprintf("client %d has not ended yet: a shard does not answer its cancel request", id), "SHOW CLIENTS and SHOW SHARDS tell more.")}, nil
	}
	return &outcome{}, nil
}

const (
	killAgain = 100 * time.Millisecond
	killWait  = 3 * time.Second
)

// gone waits until a client that was told to end has ended. It tells it again meanwhile, because a cancel request that overtakes
// its statement on the way to the shard has no effect.
func (c *Console) gone(ctx context.Context, id uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, killWait)
	defer cancel()
	again := time.NewTicker(killAgain)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		}
		if !c.cfg.Server.Kill(ctx, id) {
			return true
		}
	}
}
