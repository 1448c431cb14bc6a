package proxy

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// shared is a prepared statement as all sessions have it that prepare the same text, with the same parameter types, under the same
// schema and search_path: then its result is described alike. Its id names it on the servers.
type shared struct {
	id       uint64
	name     string    // on the servers
	prepared statement // of pgring's own, under that name
	text     string
	oids     []uint32
	keyed    bool         // a comment may name the request that it is
	lasting  bool         // it means the same whenever it is prepared, under the same settings
	uses     atomic.Int32 // by clients that did not prepare it, up to when it is frequent
	refused  atomic.Bool  // a server has refused it when pgring had prepared it
	key      internKey
	refs     int
	parked   bool                     // among those that nobody refers to, but for the last that somebody has
	dropped  bool                     // no longer in the table
	recent   bool                     // used since the hand was there
	resolved atomic.Pointer[[]uint32] // the types of all parameters, once a server was asked
	valid    atomic.Bool              // a server has accepted it: a further Parse needs none
}

// types are those of the parameters as far as they are known, 0 for others.
func (s *shared) types() []uint32 {
	if known := s.resolved.Load(); known != nil {
		return *known
	}
	return s.oids
}

// internKey is what makes two prepared statements the same.
type internKey struct {
	text   string
	oids   string // big-endian
	schema int64
	env    *router.Env
	own    string // what else its meaning depends on; empty: nothing
}

// internTable gives equal statements one id, so that a server connection prepares a text once for all clients.
type internTable struct {
	sync.Mutex
	byKey map[internKey]*shared
	next  uint64
	idle  [idleStatements]*shared // that nobody refers to, as a clock
	hand  int
}

// How many statements are remembered that no session has at present, and the longest of them in bytes.
const (
	idleStatements = 1024
	idleText       = 4 << 10
)

func newInternTable() *internTable {
	return &internTable{byKey: map[internKey]*shared{}, next: beginID}
}

// acquire returns the shared statement of a text with parameters of these types; release gives it back.
func (t *internTable) acquire(text, types []byte, schema int64, env *router.Env, own string) *shared {
	t.Lock()
	defer t.Unlock()
	s := t.byKey[internKey{text: string(text), oids: string(types), schema: schema, env: env, own: own}]
	if s == nil {
		s = t.add(internKey{text: string(text), oids: string(types), schema: schema, env: env, own: own})
	}
	s.refs++
	s.recent = true
	return s
}

// again refers to a statement once more, unless the table has dropped it.
func (t *internTable) again(s *shared) bool {
	t.Lock()
	defer t.Unlock()
	if s.dropped {
		return false
	}
	s.refs++
	s.recent = true
	return true
}

// isKept reports whether the table keeps the statement for a while when nobody refers to it.
func (s *shared) isKept() bool {
	return len(s.text) <= idleText && !strings.HasPrefix(s.key.own, ownMeaning)
}

func (t *internTable) drop(s *shared) {
	s.dropped = true
	if t.byKey[s.key] == s {
		delete(t.byKey, s.key)
	}
}

func (t *internTable) add(key internKey) *shared {
	t.next++
	s := &shared{id: t.next, name: backend.StatementName(t.next), text: key.text, key: key,
		keyed: strings.Contains(key.text, router.RequestKeyWord), lasting: isLasting(key.text)}
	for types := []byte(key.oids); len(types) > 0; types = types[4:] {
		s.oids = append(s.oids, binary.BigEndian.Uint32(types))
	}
	s.prepared.shared = s
	t.byKey[key] = s
	return s
}

// intern returns the shared statement of a text under the unit's schema.
func (c *session) intern(text []byte, oids []uint32, named bool) *shared {
	c.types = c.types[:0]
	for _, oid := range oids {
		c.types = binary.BigEndian.AppendUint32(c.types, oid)
	}
	return c.srv.interned.acquire(text, c.types, c.snap.Schema, c.state.env, c.dependence(text, named))
}

func (t *internTable) release(s *shared) {
	if s == nil {
		return
	}
	t.Lock()
	defer t.Unlock()
	if s.refs = max(s.refs-1, 0); s.refs == 0 { // two changes of a pipeline that is undone may both have it
		t.park(s)
	}
}

// park keeps a statement that nobody refers to for a while, since clients come back to the same texts.
func (t *internTable) park(s *shared) {
	switch {
	case s.parked, s.dropped:
		return
	case !s.isKept():
		t.drop(s)
		return
	}
	for {
		t.hand = (t.hand + 1) % len(t.idle)
		old := t.idle[t.hand]
		if old != nil && old.refs == 0 && old.recent {
			old.recent = false
			continue
		}
		if old != nil {
			old.parked = false
			if old.refs == 0 {
				t.drop(old)
			}
		}
		t.idle[t.hand], s.parked = s, true
		return
	}
}

// statement is a prepared statement of one session: what it means is looked up again when the schema or search_path has changed.
type statement struct {
	shared  *shared
	unnamed bool
	parsed  *router.Statement
	schema  int64
	env     *router.Env
}

// portal is a bound statement.
type portal struct {
	stmt   *router.Statement
	owner  *statement
	text   string
	plan   router.Plan
	part   *participant  // where it lives; nil: the session answers it itself, or runs it on several shards
	values *bindMessage  // the client's Bind, kept for several shards
	work   *work         // what is noted of it when it runs, in mode saga
	write  *writing      // it is on one shard, and its undoing is derived, in mode saga
	key    givenKey      // which request it is, if the client has said so
	batch  *Batching     // it waits in line to share a transaction; nil: it does not
	queue  *ingest.Queue // it is done later, if that turns out to be possible; nil: it is done now
	done   bool          // it was run to its end, on several shards
	again  string        // the tag of running it again, if it may be
	inert  bool          // it runs no code of a user's
}

// returnsRows reports whether the portal reads rows of several shards that come as they are asked for.
func (p *portal) returnsRows() bool {
	return p.stmt.Verb == router.Plain && p.stmt.Access == router.Read && p.plan.Explained == nil && (p.plan.Kind == router.Gather || p.plan.Kind == router.Pull)
}

// isShared reports whether the portal waits for something that it shares with those of other sessions: a batch, or a flush of a log. It does
// that on the loop.
func (p *portal) isShared() bool { return p.batch != nil || p.queue != nil }

// definition is a change to session.statements that is undone if the server refuses it.
type definition struct {
	name string
	old  *statement
	new  *statement
}

// bindMessage is a decoded Bind, by reference into its frame; it implements router.Values.
type bindMessage struct {
	portal    []byte
	statement []byte
	rest      []byte // from the parameter formats to the end
	values    []router.Value
	frame     []byte // its own copy, if kept
	results   []byte // result format codes as sent
}

// Value returns parameter $(i+1).
func (b *bindMessage) Value(i int) (router.Value, bool) {
	if i < 0 || i >= len(b.values) {
		return router.Value{}, false
	}
	return b.values[i], true
}

// decode reads a Bind frame.
func (b *bindMessage) decode(frame []byte) bool {
	body := pgwire.BodyOf(frame)
	b.portal, b.statement = body.Text(), body.Text()
	b.rest = body.Rest()
	formats := body.Bytes(2 * int(uint16(body.Int16()))) // counts are unsigned: 65,535 parameters at most
	n := int(uint16(body.Int16()))
	b.values = b.values[:0]
	if !body.OK() {
		return false
	}
	for i := range n {
		v := router.Value{Binary: binaryFormat(formats, i)}
		if size := body.Int32(); size == -1 {
			v.Null = true
		} else {
			v.Data = body.Bytes(size)
		}
		if !body.OK() {
			return false
		}
		b.values = append(b.values, v)
	}
	b.results = body.Rest()
	body.Bytes(2 * int(uint16(body.Int16())))
	return body.Done()
}

// binaryFormat says whether parameter i is binary: no codes means text, one code means all (PostgreSQL manual, Bind).
func binaryFormat(formats []byte, i int) bool {
	switch len(formats) / 2 {
	case 0:
		return false
	case 1:
		return formats[1] == 1
	}
	return 2*i+1 < len(formats) && formats[2*i+1] == 1
}

// types fills in the parameter types that Parse declared.
func (b *bindMessage) types(oids []uint32) {
	for i := range b.values {
		if i < len(oids) {
			b.values[i].OID = oids[i]
		}
	}
}

// lookup finds a prepared statement by the client's name for it.
func (c *session) lookup(name []byte) *statement {
	if len(name) == 0 {
		return c.unnamed
	}
	return c.statements[string(name)]
}

// meaning returns the statement's analysis under the unit's snapshot.
func (c *session) meaning(s *statement) (*router.Statement, error) {
	if s.parsed != nil && s.schema == c.snap.Schema && s.env == c.state.env {
		return s.parsed, nil
	}
	parsed, err := c.srv.router.Parse(c.snap, c.state.env, []byte(s.shared.text))
	if err != nil {
		return nil, err
	}
	s.parsed, s.schema, s.env = parsed, c.snap.Schema, c.state.env
	return parsed, nil
}

// define gives a name to a statement, or takes it away (nil). It is undone if the server refuses the message that asked for it.
func (c *session) define(name string, s *statement) {
	old := c.lookup([]byte(name))
	c.unit.changes = append(c.unit.changes, definition{name: name, old: old, new: s})
	c.set(name, s)
}

// releaseUnnamed gives up a former unnamed statement.
func (c *session) releaseUnnamed(s *statement) {
	if s != nil {
		c.srv.interned.release(s.shared)
	}
}

func (c *session) set(name string, s *statement) {
	switch {
	case name == "":
		c.unnamed = s
	case s == nil:
		delete(c.statements, name)
	default:
		if c.statements == nil {
			c.statements = map[string]*statement{}
		}
		c.statements[name] = s
	}
}

// confirmChange makes the oldest change final.
func (c *session) confirmChange() {
	if len(c.unit.changes) == 0 {
		return
	}
	change := c.unit.changes[0]
	if change.old != nil {
		c.srv.interned.release(change.old.shared)
	}
	if change.new != nil {
		change.new.shared.valid.Store(true)
	}
	c.unit.changes = slices.Delete(c.unit.changes, 0, 1)
}

// revertChanges undoes, newest first, the changes that the server has skipped.
func (c *session) revertChanges() {
	for _, change := range slices.Backward(c.unit.changes) {
		c.set(change.name, change.old)
		if change.new != nil {
			c.srv.interned.release(change.new.shared)
		}
	}
	c.unit.changes = c.unit.changes[:0]
	c.unit.deferred = nil
}

// ensureParsed has the participant know the statement, sending Parse where it does not. Seen says that the client waits for a
// ParseComplete.
func (c *session) ensureParsed(p *participant, s *statement, seen bool) error {
	id := s.shared.id
	parse := step{kind: stepParse, hidden: !seen, change: seen}
	switch {
	case s.unnamed && p.unnamed == id && !seen:
		return nil
	case s.unnamed:
		oids, err := p.types.parameters(s.shared.oids, p.shard)
		if err != nil {
			return c.reject(err)
		}
		p.unnamed = id
		if err := c.makeRoom(len(s.shared.text)); err != nil {
			return err
		}
		c.out = pgwire.AppendParse(c.out[:0], "", s.shared.text, oids)
		return c.send(c.out, parse)
	case p.conn.Prepared(id):
		if !seen {
			return nil
		}
		c.confirmWhenReached()
		return nil
	}
	if err := c.makeRoom(len(s.shared.text)); err != nil {
		return err
	}
	return c.prepareOn(p, id, s.shared.text, s.shared.oids, parse)
}

// confirmWhenReached answers ParseComplete for a statement that the server knows already.
func (c *session) confirmWhenReached() {
	from := len(c.turn.local)
	c.turn.local = pgwire.AppendEmpty(c.turn.local, pgwire.ParseComplete)
	c.turn.steps = append(c.turn.steps, step{kind: stepLocal, change: true, from: from, to: len(c.turn.local)})
}

// serverName is what the statement is called on servers.
func (s *statement) serverName() string {
	if s.unnamed {
		return ""
	}
	return s.shared.name
}

// forgetPortals drops the portals that live on a participant; nil means all.
func (c *session) forgetPortals(p *participant) {
	for name, portal := range c.portals {
		if p == nil || portal.part == p {
			delete(c.portals, name)
		}
	}
}

var _ router.Values = (*bindMessage)(nil)
