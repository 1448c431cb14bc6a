package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/saga"
)

// callOwn answers SELECT pgring.saga_status(…), SELECT pgring.flush(…) and CALL pgring.saga(…).
func (c *session) callOwn(ctx context.Context, stmt *router.Statement, values router.Values) error {
	c.takeTime()
	args := stmt.Call.Args(values)
	switch stmt.Call.Function {
	case "saga":
		return c.callSaga(ctx, stmt, args)
	case "flush":
		return c.flush(ctx, stmt, args)
	}
	if len(args) != 1 || args[0] == nil {
		return c.reject(&pgwire.Error{Code: "42883", Message: "pgring.saga_status takes one argument, the id of a saga"})
	}
	status, err := c.srv.commit.Status(ctx, string(args[0]))
	if err != nil {
		return c.reject(sagaFailure(err))
	}
	return c.replyValue(stmt.Call.Column, string(status.State), "SELECT 1")
}

// callSaga starts a long-running saga: CALL pgring.saga(name, steps, key, mode).
func (c *session) callSaga(ctx context.Context, stmt *router.Statement, args [][]byte) error {
	if len(args) < 2 || len(args) > 4 || args[1] == nil {
		return c.reject(&pgwire.Error{Code: "42883", Message: "pgring.saga takes a name, the steps, and perhaps a key and a mode"})
	}
	if c.tx.active {
		return c.reject(&pgwire.Error{Code: codeActiveTransaction, Message: "CALL pgring.saga cannot run inside a transaction block"})
	}
	call := saga.Call{Name: string(args[0]), Steps: args[1], User: c.user.Name, Home: c.home(), Wait: true, Route: c.routeStep}
	if len(args) > 2 {
		call.Key = string(args[2])
	}
	if len(args) > 3 && args[3] != nil {
		mode := strings.ToLower(string(args[3]))
		if mode != "wait" && mode != "background" {
			return c.reject(&pgwire.Error{Code: codeInvalidParameter, Message: fmt.Sprintf("invalid mode of a saga: %q", string(args[3])),
				Hint: "Available modes: wait, background."})
		}
		call.Wait = mode == "wait"
	}
	p, err := c.use(ctx, c.home(), false)
	if err != nil {
		return c.reject(err)
	}
	if err := c.drain(); err != nil {
		return err
	}
	out, err := p.run(settingsSQL(c.settingNames()))
	if err != nil {
		return c.reject(err)
	}
	call.Settings = c.settingsOf(&out)
	ctx, done := c.interruptible(ctx)
	defer done()
	id, err := c.srv.commit.Call(ctx, call)
	if id != "" {
		c.lastSaga = id
	}
	if err != nil {
		return c.reject(sagaFailure(err))
	}
	return c.replyValue(stmt.Call.Column, id, "CALL")
}

// routeStep says on which one shard a step of a long-running saga runs.
func (c *session) routeStep(_ context.Context, sql string, params [][]byte) (ring.ShardID, error) {
	stmt, err := c.srv.router.Parse(c.snap, c.state.env, []byte(sql))
	if err != nil {
		return "", err
	}
	if stmt.Verb != router.Plain {
		return "", &pgwire.Error{Code: codeFeatureNotSupported, Message: "a step of a saga must be a statement that reads or writes rows"}
	}
	plan, err := stmt.Plan(c.snap, textValues(params))
	if err != nil {
		return "", err
	}
	if plan.Kind != router.One && plan.Kind != router.Home {
		return "", &pgwire.Error{Code: codeFeatureNotSupported, Message: "a step of a saga must concern one shard",
			Hint: "Name the shard key, and make a step for each shard."}
	}
	if plan.SQL != "" {
		return "", errors.New("the statement would have to be rewritten")
	}
	return plan.Shard, nil
}

// textValues are parameters in text; nil is NULL.
type textValues [][]byte

// Value returns parameter $(i+1).
func (t textValues) Value(i int) (router.Value, bool) {
	if i < 0 || i >= len(t) {
		return router.Value{}, false
	}
	return router.Value{Data: t[i], Null: t[i] == nil}, true
}

var _ router.Values = textValues(nil)
