package proxy

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// A statement for one shard that comes again and again is prepared there, though its client does not ask for that: the server then need not
// parse and plan it each time, which is half of its work on a look-up by key. In the extended protocol that is the text of an unnamed
// statement; in the simple protocol the text with parameters in the places of constants (router.Parametric). In a transaction block, whose first
// error is its last, only writes are of which the server tells no error that it would not tell of the client's own statement.
//
// Invariant: the client cannot tell. Only texts are prepared that mean the same whenever that is done (shared.lasting), with parameters whose
// types no column decides but the key (isTyped), and that call no functions of users, which may be called immutable and are not; sessions share them
// only under equal settings (dependence). What a server refuses before it has begun to run it is sent again as the client has sent it, see
// swallowStale.

// isFrequent counts a use of a statement, and reports whether it is to be prepared.
func (c *session) isFrequent(s *shared) bool {
	if !s.lasting || s.refused.Load() {
		return false
	}
	if s.uses.Load() >= int32(c.policy.PrepareAfter) {
		return true
	}
	s.uses.Add(1)
	return false
}

// mayPrepare reports whether a statement with this plan is of a kind that pgring prepares by itself.
func (c *session) mayPrepare(stmt *router.Statement, plan *router.Plan) bool {
	return c.policy.PrepareAfter != 0 && plan.Kind == router.One && plan.HasKey && plan.SQL == "" && stmt.Verb == router.Plain &&
		(stmt.Access == router.Read || stmt.Access == router.Write) && stmt.Pin == router.PinNone && len(stmt.TempTables) == 0 &&
		!stmt.NoTransaction && !stmt.CallsUser() && (!c.tx.active || c.isSafeInBlock(stmt))
}

// isSafeInBlock reports whether a statement may be prepared in a transaction block, whose first error is its last: it returns no rows, the type of
// which might have changed, and no code of a user's has run in the transaction, which may have set something, or made a temporary table that hides the
// statement's (PostgreSQL does not look for that again when it runs what is prepared).
func (c *session) isSafeInBlock(stmt *router.Statement) bool {
	return stmt.Access == router.Write && !stmt.Returns && !c.tx.alien && !c.turn.part.opaque && !c.isSetUnseen()
}

// noteCode notes that a statement of the transaction may run code of a user's, unless it is inert.
func (c *session) noteCode(inert bool) { c.tx.alien = c.tx.alien || c.tx.active && !inert }

// preparedFor returns what a Bind of an unnamed statement, parsed with it, uses on the server; nil if that is the unnamed statement.
func (c *session) preparedFor(s *statement, p *portal, frame []byte) *statement {
	if !s.unnamed || s.shared.id == rewrittenID || p.work != nil || c.turn.part.pinned || c.again.running || c.again.binds != 1 || c.again.executes > 0 {
		return nil
	}
	if len(frame) > keptBind || !c.mayPrepare(p.stmt, &p.plan) || !s.shared.isTyped(p.stmt, c.tx.active) || !c.isExecutedAlone() || !c.isFrequent(s.shared) {
		return nil
	}
	return &s.shared.prepared
}

// unknownOID is the type "unknown". A parameter that is declared with it is like one that is not.
const unknownOID = 705

// isTyped reports whether the types of all parameters are either declared or, unless they all must be, those of the shard key. What a server takes
// others for when it prepares the statement remains so, though the type of their column may change.
func (s *shared) isTyped(stmt *router.Statement, declared bool) bool {
	for i := range stmt.Params {
		if (i >= len(s.oids) || s.oids[i] == 0 || s.oids[i] == unknownOID) && (declared || !stmt.IsKey(i)) {
			return false
		}
	}
	return true
}

// frequentQuery returns the statement, prepared by pgring, that a Query message may run instead of its own; nil if there is none. Then c.parametric
// has its parameters. A write outside of a block is none: PostgreSQL commits that before it tells of it, but not what is executed by Execute and Sync.
func (c *session) frequentQuery(b *router.Bound, plan *router.Plan) *shared {
	if b.Access == router.Write && !c.tx.active || c.turn.part.pinned || !c.mayPrepare(b.Statement, plan) {
		return nil
	}
	own := c.state.settings.Meaning()
	known := c.frequents.find(b, own)
	if !b.Parametric(&c.parametric, known == nil) {
		return nil
	}
	if known == nil {
		known = c.intern(c.parametric.SQL, c.parametric.Types, false)
		c.srv.interned.release(known) // it is remembered for a while, and its number is never another's
		c.frequents.add(b, own, known)
	}
	if !c.isFrequent(known) {
		return nil
	}
	return known
}

// frequents has the statements that a session has used last in place of its own, so that their texts need not be made and looked up each time.
type frequents struct {
	known  [4]frequent
	oldest uint8
}

type frequent struct {
	stmt *router.Statement
	own  string // see session.dependence
	as   *shared
}

func (f *frequents) find(b *router.Bound, own string) *shared {
	if b.IsFixed() {
		for i := range f.known {
			if f.known[i].stmt == b.Statement && f.known[i].own == own {
				return f.known[i].as
			}
		}
	}
	return nil
}

func (f *frequents) add(b *router.Bound, own string, as *shared) {
	if b.IsFixed() {
		f.known[f.oldest] = frequent{stmt: b.Statement, own: own, as: as}
		f.oldest = (f.oldest + 1) % uint8(len(f.known))
	}
}

// relayFrequent runs a Query message by a prepared statement. When c.again.stale is set afterwards, the server has not begun to run it.
func (c *session) relayFrequent(p *participant, s *shared, describe bool) error {
	c.again.ready, c.again.prepared, c.again.simple = !c.tx.active, s, true
	if err := c.ensureParsed(p, &s.prepared, false); err != nil {
		return err
	}
	b := pgwire.AppendBindValues(c.out[:0], "", s.name, c.parametric.Values)
	c.turn.steps = append(c.turn.steps, step{kind: stepBind, hidden: true})
	if describe {
		b = pgwire.AppendTarget(b, pgwire.Describe, 'P', "")
		c.turn.steps = append(c.turn.steps, step{kind: stepDescribe, rows: true})
	}
	c.out = append(pgwire.AppendExecute(b, "", 0), syncFrame...)
	c.turn.steps = append(c.turn.steps, step{kind: stepExecute})
	if err := c.send(c.out, step{kind: stepSync}); err != nil {
		return err
	}
	return c.receive()
}

// swallowStale takes a server's refusal of a statement that pgring has prepared by itself, if it can be sent as the client has sent it: the server
// has not begun to run it, and all that the client has sent of the unit is Bind and what goes with it. It is not prepared any more.
func (c *session) swallowStale(code string) bool {
	t := &c.turn
	last := t.steps[len(t.steps)-1].kind
	if c.again.prepared == nil || last != stepSync || !c.again.forgives(t.steps[t.head].kind, code) {
		return false
	}
	if code == codeInvalidStatement {
		t.part.conn.ForgetPrepared(c.again.prepared.id)
	}
	for ; t.steps[t.head].kind != stepSync; t.head++ {
		c.again.described = c.again.described || t.steps[t.head].kind == stepDescribe
		c.unsent(t.part, t.steps[t.head])
	}
	c.again.prepared.refused.Store(true)
	c.again.ready, c.again.prepared, c.again.stale = false, nil, true
	return true
}

// tellFrequent returns an error that the client is told as one of the Query that it has sent: there are neither parameters in that, which a server
// tells of if it is told to (log_parameter_max_length_on_error), nor are its constants replaced.
func (c *session) tellFrequent(frame []byte) []byte {
	if c.again.prepared == nil || !c.again.simple {
		return frame
	}
	e := pgwire.ParseError(frame)
	before, last := "", e.Where
	if i := strings.LastIndexByte(e.Where, '\n'); i >= 0 {
		before, last = e.Where[:i], e.Where[i+1:]
	}
	if strings.Contains(last, "$1 = '") {
		e.Where = before
	}
	if e.Position > 0 {
		e.Position = c.parametric.Position(e.Position)
	}
	return pgwire.AppendError(nil, e)
}

// forgives reports whether the client is not told of an error with this code in answer to a step. One of the extended protocol is, unless it says that
// the statement is not what it was when it was prepared; of the simple protocol no error is told that may be about the text or the parameters, which
// are not the client's. Errors that tell of limits, cancels and failures are told.
func (r *repetition) forgives(kind stepKind, code string) bool {
	switch {
	case code == codeInvalidStatement, code == codeFeatureNotSupported:
		return kind == stepBind
	case r.simple:
		return (kind == stepParse || kind == stepBind) && (strings.HasPrefix(code, "22") || strings.HasPrefix(code, "42"))
	}
	return false
}

// bindUnprepared runs the unit's one Bind again, and what came with it, by the client's own statement.
func (c *session) bindUnprepared(ctx context.Context) error {
	described := c.again.described
	c.again.stale, c.again.described = false, false
	if err := c.settle(); err != nil {
		return err
	}
	clear(c.portals) // they ended with the transaction
	c.hasCurrent, c.again.executes = false, 0
	if err := c.onBind(ctx, c.again.bind); err != nil {
		return err
	}
	portal := string(c.bind.portal)
	if described {
		if err := c.onDescribe(ctx, pgwire.AppendTarget(nil, pgwire.Describe, 'P', portal)); err != nil {
			return err
		}
	}
	c.again.executes++
	return c.onExecute(ctx, pgwire.AppendExecute(nil, portal, c.again.limit))
}

// ownMeaning begins what a statement depends on that is like no other one.
const ownMeaning = "#"

// dependence is what the meaning of a text depends on, beside the schema and the names in it. A server reads a text when it prepares it, and
// computes what does not change: as the settings are then (transform_null_equals, TimeZone, and even immutable functions heed some), and 'now'
// as the time of then. So statements are shared among sessions with equal settings only, and those that may name the present with nobody.
//
// Applications' own settings count for what a client does not prepare: a policy of row security may call a function that reads them, and is called
// immutable. What a client prepares itself is computed once in PostgreSQL, too.
func (c *session) dependence(text []byte, named bool) string {
	switch {
	case mayQuote(text) && namesThePresent(text), c.isSetUnseen():
		return ownMeaning + strconv.FormatUint(c.srv.unlike.Add(1), 10)
	case named:
		return c.state.settings.CommonMeaning()
	}
	return c.state.settings.Meaning()
}

// isSetUnseen reports whether settings hold for the session, or for its transaction, that its Settings do not have.
func (c *session) isSetUnseen() bool {
	for _, e := range c.tx.prelude {
		for _, s := range e.sets {
			if backend.IsRead(s.Name) && !decidesMeaning([]string{s.Name}) { // those are in the names' environment
				return true
			}
		}
	}
	for _, p := range c.parts {
		if p.pinned && c.policy.Mode != SessionMode {
			return true
		}
	}
	return false
}

// maxName is the length of names from which on PostgreSQL says, each time it reads one, that it cuts it.
const maxName = 63

// isLasting reports whether a text may be prepared at another time than when it is sent: there is no quoted constant in it, and no name to cut.
func isLasting(text string) bool {
	length, quoted := 0, false // of the name at hand
	for _, c := range []byte(text) {
		switch {
		case c == '"':
			length, quoted = 0, !quoted
		case quoted || c == '_' || c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '$':
			length++
		default:
			length = 0
		}
		if length > maxName {
			return false
		}
	}
	return !mayQuote([]byte(text))
}

// mayQuote reports whether there may be a quoted constant in a text.
func mayQuote(text []byte) bool {
	for i, c := range text {
		if c == '\'' || c == '$' && (i+1 == len(text) || text[i+1] < '0' || text[i+1] > '9') {
			return true
		}
	}
	return false
}

// presents are what date and time types take for a time that is not always the same (PostgreSQL manual, "Special Values").
var presents = [][]byte{[]byte("now"), []byte("today"), []byte("tomorrow"), []byte("yesterday")}

// namesThePresent reports whether one of them occurs where it is not the name of a function that is called.
func namesThePresent(text []byte) bool {
	text = bytes.ToLower(text)
	for _, word := range presents {
		for rest := text; ; {
			at := bytes.Index(rest, word)
			if at < 0 {
				break
			}
			rest = rest[at+len(word):]
			if !bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte("(")) {
				return true
			}
		}
	}
	return false
}
