package proxy

import "slices"

// recentStatements is how many unnamed statements a session remembers; it bounds what comparing a text with all of them costs.
const recentStatements = 8

// recent has the unnamed statements that a session parsed last, and which one came after which: applications send the same few again and
// again. Comparing a text with what it is likely to be is much less work than looking up what it means. The zero value is empty.
//
// It holds no references, so that a session which rests can drop it: who takes a statement from it asks internTable.again.
type recent struct {
	known  [recentStatements]*statement
	next   [recentStatements]uint8 // what came after each of them the last time
	last   uint8                   // the one that came last
	oldest uint8                   // the one that is forgotten next
}

// find returns the statement of that text and those declared types, or nil.
func (r *recent) find(text []byte, oids []uint32) *statement {
	likely := r.next[r.last]
	for n := range uint8(recentStatements) {
		i := (likely + n) % recentStatements
		if s := r.known[i]; s != nil && s.shared.text == string(text) && slices.Equal(s.shared.oids, oids) {
			r.next[r.last], r.last = i, i
			return s
		}
	}
	return nil
}

// add remembers a statement in the place of the oldest.
func (r *recent) add(s *statement) {
	i := r.oldest
	r.known[i] = s
	r.next[r.last], r.last = i, i
	r.oldest = (i + 1) % recentStatements
}

// forget drops the statement found last.
func (r *recent) forget() { r.known[r.last] = nil }

// parsedBefore returns the unnamed statement of a Parse if the session has parsed it before under what its meaning depends on, or nil. Last is
// the unnamed statement that it had until now, of which the session still has the reference.
func (c *session) parsedBefore(name, text []byte, oids []uint32, last *statement) *statement {
	if len(name) > 0 || c.tx.failed {
		return nil
	}
	s := c.recent.find(text, oids)
	if s == nil {
		return nil
	}
	key := &s.shared.key
	if key.schema != c.snap.Schema || key.env != c.state.env || key.own != c.state.settings.Meaning() || s.schema != key.schema || s.env != key.env || c.isSetUnseen() {
		c.recent.forget()
		return nil
	}
	if s != last && !c.srv.interned.again(s.shared) {
		c.recent.forget()
		return nil
	}
	c.srv.router.CountHit()
	return s
}

// parse finds out what a Parse means, and remembers it for parsedBefore.
func (c *session) parse(name, text []byte, oids []uint32) (*statement, error) {
	parsed, err := c.srv.router.Parse(c.snap, c.state.env, text)
	if err != nil {
		return nil, err
	}
	if c.tx.failed && !endsFailed(parsed.Verb) {
		return nil, errFailedTransaction()
	}
	c.oids = declareKey(text, oids)
	s := &statement{unnamed: len(name) == 0, shared: c.intern(text, c.oids, len(name) > 0), parsed: parsed, schema: c.snap.Schema, env: c.state.env}
	if s.unnamed && !s.shared.keyed && s.shared.isKept() {
		c.recent.add(s)
	}
	return s, nil
}
