package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
)

// split runs a write whose rows are on several shards. Each shard runs its part at the same time, in one transaction: the client's,
// or one of this statement's own, which all shards commit or none.
func (c *session) split(ctx context.Context, s *spread) (tag string, err error) {
	if s.write != nil {
		return c.splitAlone(ctx, s)
	}
	if err := s.hide(); err != nil {
		return "", c.reject(err)
	}
	if s.queue != nil {
		if tag, alone, err := c.enqueue(ctx, s, s.queue); !alone || err != nil {
			return tag, err
		}
		c.takeTime()
		return "", c.batchedAlone(ctx, s)
	}
	if s.batch != nil {
		if tag, alone, err := c.batch(ctx, s, s.batch); !alone {
			return tag, err
		}
		c.takeTime()
	}
	if rule, ok := c.ruleFor(s.stmt, s.key); ok {
		return c.request(ctx, s, rule)
	}
	if s.batch != nil {
		return "", c.batchedAlone(ctx, s)
	}
	return c.enclosed(ctx, onShards, func() (string, error) {
		if s.stmt.Verb == router.CopyIn {
			return c.runCopy(ctx, s)
		}
		return c.runSplit(ctx, s)
	})
}

// splitAlone runs a write on one shard, in the transaction that it was planned in.
func (c *session) splitAlone(ctx context.Context, s *spread) (string, error) {
	if !c.isCovered(s.stmt) {
		return "", c.reject(errNoPortal(nil))
	}
	if err := c.drain(); err != nil {
		return "", err
	}
	tag, err := c.runSplit(ctx, s)
	if err != nil {
		return "", err
	}
	return tag, c.replyTag(tag)
}

// extent says how far the writes of a statement go that has a transaction of its own.
type extent uint8

const (
	onShards   extent = iota + 1 // several shards
	inOneShard                   // one
)

// enclosed has run write in a transaction, and answers with the tag that it returns.
func (c *session) enclosed(ctx context.Context, far extent, run func() (string, error)) (tag string, err error) {
	own, err := c.enclose(far)
	if err != nil {
		return "", c.reject(err)
	}
	tag, err = run()
	if err == nil {
		if outdated := c.checkPlan(); outdated != nil {
			err = c.reject(outdated)
		}
	}
	if ignoreReported(err) != nil {
		return "", err
	}
	if failure := c.syncBegun(); err == nil && failure != nil {
		err = c.reject(failure) // before the client is told that its write was done
	}
	if own {
		if failure := c.endScript(ctx); err == nil {
			err = failure
		}
	}
	if err != nil {
		return "", err
	}
	return tag, c.replyTag(tag)
}

// enclose opens the implicit transaction that a statement on several shards runs in, unless a block is open already. What ran
// before in the same pipeline belongs to it, and so does what follows up to Sync. own: it is to end with the statement.
func (c *session) enclose(far extent) (own bool, err error) {
	if err := c.drain(); err != nil {
		return false, err
	}
	if c.tx.active && !c.tx.implicit {
		return false, nil
	}
	statements := c.crossShard().Statements
	if statements == CommitReject && far == onShards {
		return false, errStatementsRefused()
	}
	if !c.tx.active {
		c.open("", true)
		own = !c.unit.open
	}
	if far == onShards {
		c.tx.widen(statements)
	}
	for _, p := range c.parts {
		if p.unsynced && !p.began {
			if _, err := p.run("BEGIN"); err != nil {
				return false, err
			}
			p.began = true
			c.tx.requests.plain = c.tx.requests.plain || p.wrote
		}
	}
	return own, nil
}

// runSplit runs the parts and relays the rows that they return; the tag is the sum of theirs.
func (c *session) runSplit(ctx context.Context, s *spread) (string, error) {
	parts := s.parts()
	sources, err := c.startSplit(ctx, s, parts)
	if err != nil {
		return "", err
	}
	c.awaitAnswers(ctx, sources)
	err = c.relaySplit(s, parts, sources)
	if err == nil && s.stmt.Copies {
		err = sameTags(s.stmt, sources)
	}
	if err == nil {
		err = concludeWorks(sources)
	}
	switch {
	case err != nil:
	case s.stmt.Copies:
		return sources[0].tag, nil
	default:
		return sumTags(sources), nil
	}
	c.abortGather(ctx, sources)
	if client := clientError(err); client != nil {
		return "", client
	}
	return "", c.reject(s.placed(splitFailure(parts, sources, err)))
}

// startSplit sends each shard its part, together with what opens the transaction there.
func (c *session) startSplit(ctx context.Context, s *spread, parts []router.Part) ([]*shardRows, error) {
	sources, err := c.enlistAll(ctx, s, parts)
	if err != nil {
		return nil, c.rejectBegun(err)
	}
	var behind error // of a copy of a reference table that cannot tell whether it may be changed; the others can
	for i, source := range sources {
		source.extended = s.bind != nil
		g := &gathering{text: s.sql(parts[i]), bind: s.bind, oids: s.oids}
		if used := parts[i].Params(); s.bind != nil && used != nil {
			g.bind, g.oids = s.bind.only(used), typesOfUnused(s.oids, used)
		}
		source.returnKeys(g)
		if source.oids, err = source.part.types.parameters(g.oids, source.part.shard); err == nil {
			err = source.start(g)
		}
		if err != nil {
			c.abortGather(ctx, sources[:i])
			c.drop(source.part)
			c.awaitOpenings(sources[i+1:])
			return nil, c.reject(err)
		}
		// Writers of one row of a reference table meet at the first copy: none waits for another one at a later copy. While slots move
		// a copy may not know whether the row may be changed, so each is asked, and none of them cancelled.
		if s.stmt.Copies && (i == 0 || len(c.snap.Moves) > 0) {
			err := source.result()
			if isBehind(err) {
				behind = err
				continue
			}
			if err != nil {
				c.abortGather(ctx, sources[:i+1])
				c.awaitOpenings(sources[i+1:])
				return nil, c.rejectBegun(splitFailure(parts[:i+1], sources[:i+1], err))
			}
		}
	}
	if behind != nil {
		c.abortGather(ctx, sources)
		return nil, c.rejectBegun(splitFailure(parts, sources, behind))
	}
	return sources, nil
}

// enlistAll takes a connection to each shard into the transaction, in the order of their names: sessions that take connections in
// one order cannot wait for each other in a circle. What opens the transaction is written, and its answers are read as part of each
// shard's answer to the statement, so that it costs no round trips. In mode saga each source knows how its part is undone.
func (c *session) enlistAll(ctx context.Context, s *spread, parts []router.Part) ([]*shardRows, error) {
	if err := c.chooseMode(ctx, parts); err != nil {
		return nil, err
	}
	works := make([]*work, len(parts))
	if c.commitMode() == CommitSaga {
		if s.rewritten {
			return nil, errUnsupported("statement needs the rows of several shards, and cannot be compensated", "Read the values first and write them as constants.")
		}
		var err error
		if works, err = c.coverAll(ctx, s, parts); err != nil {
			return nil, err
		}
	}
	sources := make([]*shardRows, 0, len(parts))
	for i, part := range parts {
		c.tx.covered = works[i]
		source, err := c.enlistWriter(ctx, part.Shard)
		if err != nil {
			c.turn.part = nil
			_ = c.awaitOpenings(sources) // err is the first failure
			return nil, err
		}
		source.work = works[i]
		if works[i] != nil {
			c.tx.works = append(c.tx.works, works[i])
		}
		sources = append(sources, source)
	}
	c.turn.part = nil
	return sources, nil
}

// chooseMode makes sure that shards which are to commit by two-phase commit can do so.
func (c *session) chooseMode(ctx context.Context, parts []router.Part) error {
	if c.commitMode() != CommitTwoPhase || len(parts) == 1 {
		return nil
	}
	for _, part := range parts {
		p, err := c.reach(ctx, part.Shard)
		if err != nil {
			return err
		}
		able, err := c.srv.commit.CanPrepare(ctx, p.conn)
		switch {
		case err != nil:
			return err
		case able:
		case c.tx.choose && c.otherWriter("") == nil:
			c.tx.wideMode = CommitSaga
			return nil
		default:
			return &pgwire.Error{Code: codeFeatureNotSupported, Message: "statement would write to several shards that cannot commit together",
				Detail: fmt.Sprintf("max_prepared_transactions is 0 on shard %q.", p.shard),
				Hint:   "Set max_prepared_transactions on every shard, or write the rows of one shard at a time."}
		}
	}
	return nil
}

// enlistWriter takes a connection to one shard into the transaction. The turn is empty afterwards.
func (c *session) enlistWriter(ctx context.Context, shard ring.ShardID) (*shardRows, error) {
	p, err := c.use(ctx, shard, true)
	if err != nil {
		return nil, err
	}
	source := &shardRows{session: c, part: p, limit: c.policy.MessageLimit}
	for _, s := range c.turn.steps {
		if s.kind == stepExecute || s.kind == stepClose {
			source.opening++
		}
	}
	c.turn.reset()
	return source, nil
}

// relaySplit relays the rows of RETURNING: in the order of the rows of an INSERT, as far as each gave one; else shard by shard.
func (c *session) relaySplit(s *spread, parts []router.Part, sources []*shardRows) error {
	for _, source := range sources {
		if err := source.result(); err != nil {
			return err
		}
	}
	fields := sources[0].fields
	fields = fields[:len(fields)-sources[0].keyed]
	s.returned = len(fields) > 0
	if s.returned && s.describe {
		c.out = pgwire.AppendRowDescription(c.out[:0], fields)
		if err := c.write(c.out); err != nil {
			return err
		}
	}
	if s.stmt.Copies {
		return c.relayCopy(sources)
	}
	for _, i := range inTurn(parts) {
		if err := c.relayRow(sources[i]); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	for _, source := range sources {
		for {
			err := c.relayRow(source)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// relayCopy relays the rows of one copy of a reference table; the others' are the same.
func (c *session) relayCopy(sources []*shardRows) error {
	for i, source := range sources {
		for {
			frame, err := source.nextShown()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil && i == 0 {
				err = c.write(frame)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// sameTags makes sure that the copies of a reference table were changed alike.
func sameTags(stmt *router.Statement, sources []*shardRows) error {
	for _, other := range sources[1:] {
		if other.tag != sources[0].tag {
			return errDiffers(stmt, sources[0].shard(), other.shard(), sources[0].tag, other.tag)
		}
	}
	return nil
}

// inTurn lists for each row of an INSERT the part that has it.
func inTurn(parts []router.Part) []int {
	total := 0
	for i := range parts {
		total += len(parts[i].Rows())
	}
	turns := make([]int, total)
	for i := range parts {
		for _, row := range parts[i].Rows() {
			turns[row] = i
		}
	}
	return turns
}

// relayRow relays the next row of one shard; io.EOF at the end of its answer.
func (c *session) relayRow(source *shardRows) error {
	frame, err := source.nextShown()
	if err != nil {
		return err
	}
	return c.write(frame)
}

// result reads up to the first row or the end of the answer. A server that returns rows of a write has then done all of it.
func (s *shardRows) result() error {
	for !s.complete {
		typ, size, err := s.peek()
		if err != nil || typ == pgwire.DataRow {
			return err
		}
		if err := s.other(typ, size); err != nil {
			return err
		}
	}
	return nil
}

// sumTags adds up the row counts of the shards' tags.
func sumTags(sources []*shardRows) string {
	total := int64(0)
	for _, s := range sources {
		total += affected(s.tag)
	}
	tag := sources[0].tag
	return tag[:strings.LastIndexByte(tag, ' ')+1] + strconv.FormatInt(total, 10)
}

// splitFailure is the error to tell, with its position in the client's text.
func splitFailure(parts []router.Part, sources []*shardRows, err error) error {
	told := firstFailure(sources, err)
	for i, s := range sources {
		if s.failed != nil && errors.Is(told, s.failed) && s.failed.Position > 0 {
			moved := *s.failed
			moved.Position = parts[i].Position(moved.Position)
			return &moved
		}
	}
	return told
}

// only returns the message with NULL in place of the parameters that are not used: a server would ask for their types.
func (b *bindMessage) only(used []bool) *bindMessage {
	formats := int(uint16(b.rest[0])<<8 | uint16(b.rest[1]))
	rest := append([]byte(nil), b.rest[:2+2*formats+2]...)
	for i := range b.values {
		v := &b.values[i]
		if v.Null || i >= len(used) || !used[i] {
			rest = append(rest, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		size := len(v.Data)
		rest = append(rest, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
		rest = append(rest, v.Data...)
	}
	return &bindMessage{rest: append(rest, b.results...), results: b.results}
}

// typesOfUnused declares the parameters that do not occur in a text, whose types nothing else tells.
func typesOfUnused(oids []uint32, used []bool) []uint32 {
	types := make([]uint32, max(len(oids), len(used)))
	copy(types, oids)
	for i := range types {
		if types[i] == 0 && (i >= len(used) || !used[i]) {
			types[i] = oidText
		}
	}
	return types
}
