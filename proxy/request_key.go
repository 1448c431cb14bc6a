package proxy

import (
	"bytes"

	"github.com/pgring/pgring/router"
)

// The key of a request that the client gives beside the statement: pgring.idempotency_key is that of the next write, and a comment
// gives one to its own statement. A write that has a key is a request or is refused, never done plainly.

// givenKey is such a key; the zero value: none is given.
type givenKey struct {
	setting string             // the value of pgring.idempotency_key
	comment *router.CommentKey // what the statement's comment says
}

func (k givenKey) given() bool { return k.setting != "" || k.comment != nil }

// in reads the key for an execution of the statement.
func (k givenKey) in(s *spread) (string, error) {
	if k.comment == nil {
		return k.setting, nil
	}
	types := s.oids
	if s.shared != nil {
		types = s.shared.types()
	}
	return k.comment.In(s.bindValues(), types)
}

// keyFor is the key that is given to a statement.
func (c *session) keyFor(stmt *router.Statement, text []byte) (key givenKey, err error) {
	if !c.mayHaveKey(stmt) {
		return key, nil
	}
	key.setting = c.state.own.now.requestKey
	if bytes.Contains(text, []byte(router.RequestKeyWord)) {
		err = key.readComment(text)
	}
	return key, err
}

// keyForPrepared is keyFor for a prepared statement.
func (c *session) keyForPrepared(stmt *router.Statement, s *shared) (key givenKey, err error) {
	if !c.mayHaveKey(stmt) {
		return key, nil
	}
	key.setting = c.state.own.now.requestKey
	if s.keyed {
		err = key.readComment([]byte(s.text))
	}
	return key, err
}

// mayHaveKey reports whether a statement is one that a key would be for.
func (c *session) mayHaveKey(stmt *router.Statement) bool {
	plain := stmt.Verb == router.Plain || stmt.Verb == router.CopyIn || stmt.Verb == router.CopyOut
	return plain && stmt.Access == router.Write && !c.state.own.now.plain
}

// declareKey has a parameter that only a comment names be text: a server sees no comments.
func declareKey(text []byte, oids []uint32) []uint32 {
	if !bytes.Contains(text, []byte(router.RequestKeyWord)) {
		return oids
	}
	key, _, err := router.ReadCommentKey(text)
	used := router.UsedParams(string(text))
	n := key.Param
	if err != nil || n == 0 || n <= len(used) && used[n-1] || n <= len(oids) && oids[n-1] != 0 {
		return oids // what is wrong with it is said when it is executed
	}
	for len(oids) < n {
		oids = append(oids, 0)
	}
	oids[n-1] = oidText
	return oids
}

// readComment adds the key that a comment in the text gives.
func (k *givenKey) readComment(text []byte) error {
	comment, found, err := router.ReadCommentKey(text)
	switch {
	case err != nil || !found:
		return err
	case k.setting != "":
		return &router.Refusal{Reason: router.BadDirective, Message: "statement has two idempotency keys",
			Detail: "One is in its comment, the other in pgring.idempotency_key.", Hint: "RESET pgring.idempotency_key, or leave the comment out."}
	}
	k.comment = &comment
	return nil
}

// whyNoKey says why a statement cannot be a request by the key that is given to it, apart from where its rows are, and what to do.
func (c *session) whyNoKey(stmt *router.Statement, plan *router.Plan) (why, hint string) {
	table, one := stmt.WritesOnly()
	_, opted := c.policy.Idempotent[table]
	hint = "Give keys to writes of one shard key only, or RESET pgring.idempotency_key."
	switch {
	case stmt.Verb != router.Plain || !one:
		why = "A key was given to it, and it is no INSERT, UPDATE or DELETE of one sharded table."
	case !opted:
		why, hint = "A key was given to it, and its table has no idempotency in the configuration.", "Add idempotency to the table, or RESET pgring.idempotency_key."
	case plan.Kind != router.One || !plan.HasKey:
		why = "A key was given to it, and its rows are not those of one shard key that is a constant or a parameter."
	}
	return why, hint
}

// spend takes away pgring.idempotency_key, now that a write was done with it. An error leaves it set: what is tried again is the same request.
func (c *session) spend(key givenKey) {
	if key.setting == "" || c.state.own.now.requestKey != key.setting {
		return
	}
	next := *c.state.own
	next.now.requestKey, next.lasting.requestKey = "", ""
	c.state.own = &next
}
