package saga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
)

// Call is a long-running saga: CALL pgring.saga(name, steps, key, mode). Its steps commit one after another, each in a
// transaction of its own, and it goes on when its client and its proxy are gone.
type Call struct {
	Name string // for people
	User string // the client's user; every statement logs in as Config.Login does for it
	Key  string // makes repeats known; empty means none. It belongs to the User

	// Home is the shard that owns the key; empty means that of the first step, which will do only without a Key or if repeats
	// begin on the same shard.
	Home ring.ShardID

	// Steps is a JSON array of objects with the members
	//
	//	sql           the step's statement, which must concern one shard
	//	params        its parameters $1, $2, … as an array of strings, numbers, booleans and nulls; may be missing
	//	rows          how many rows it must affect; missing means any. Another number fails the step
	//	compensate    the statement that undoes it, on the same shard; for compensable steps only
	//	compensate_params, compensate_rows
	//	kind          compensable (the default), pivot or retriable
	//
	// in the order: any number of compensable steps, at most one pivot, any number of retriable steps. A compensable step or
	// the pivot that fails for good has the steps before it undone, the last first. A retriable step is tried until it succeeds.
	Steps []byte

	// Route names the one shard that a statement concerns, or says why it concerns none or several.
	Route func(ctx context.Context, sql string, params [][]byte) (ring.ShardID, error)

	Settings []Setting     // for all statements, see Statement
	Wait     bool          // until it is settled; else Call returns once the saga is durable
	Timeout  time.Duration // of Wait; zero means as long as ctx
}

// Call starts a long-running saga, or finds the one with the same key, and returns its id. Nil means that it is durable, with Wait
// that it is COMMITTED. Errors:
//
//   - [*InvalidError]: the steps are wrong; nothing was started;
//   - [*AbortedError]: it failed and all that was done has been undone;
//   - [*UnsettledError]: it goes on without its caller, or needs an operator;
//   - others, also those of Route: nothing was started. If home was lost just then, it may have been: a Key makes it safe to repeat.
func (c *Coordinator) Call(ctx context.Context, call Call) (id string, err error) {
	if c.cfg.Login == nil {
		return "", errNoLogin
	}
	rec, err := call.record(ctx)
	if err != nil {
		return "", err
	}
	home := call.Home
	if home == "" {
		home = rec.Steps[0].Shard
	}
	// Whoever breaks it off must not be left in doubt whether there is a saga.
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), enrollTime)
	defer cancel()
	id, err = c.enroll(writing, home, rec)
	if err != nil {
		return "", err
	}
	if !call.Wait {
		c.crew.call()
		return id, nil
	}
	if call.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, call.Timeout)
		defer cancel()
	}
	return id, c.await(ctx, id)
}

// enrollTime bounds the writing down of a called saga.
const enrollTime = 10 * time.Second

// enroll writes the saga's row on its home, and returns the id under which it is there: that of an earlier one, if the key is taken.
func (c *Coordinator) enroll(ctx context.Context, home ring.ShardID, rec *record) (string, error) {
	text, err := rec.encode()
	if err != nil {
		return "", err
	}
	s, err := c.settlement(newID(home))
	if err != nil {
		return "", err
	}
	defer s.close(ctx)
	conn, err := s.operator(ctx, home)
	if err != nil {
		return "", err
	}
	id := s.id
	c.reach("enroll", before, home)
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE pgring.saga SET key = NULL WHERE key = $1 AND state = 'COMPENSATED'", rec.keyHash())
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `INSERT INTO pgring.saga (id, mode, shards, record, key, state, started) VALUES ($1, $2, $3, $4, $5, 'RUNNING', clock_timestamp())
ON CONFLICT DO NOTHING`, id, modeCall, rec.shards(), text, rec.keyHash())
		if err != nil || tag.RowsAffected() == 1 {
			return err
		}
		return tx.QueryRow(ctx, "SELECT id FROM pgring.saga WHERE key = $1", rec.keyHash()).Scan(&id)
	})
	c.reach("enroll", answered, home)
	if err != nil {
		return "", fmt.Errorf("write down the saga on %s: %w", home, err)
	}
	return id, nil
}

// await drives a long-running saga until it is settled; others may drive it too. What is left when ctx ends is the janitors'.
func (c *Coordinator) await(ctx context.Context, id string) error {
	for pause := firstPause; ; pause = min(2*pause, time.Second) {
		state, reason, err := c.drive(ctx, id)
		if err == nil {
			err = errors.New(reason)
		}
		if state == None && ctx.Err() != nil {
			state = Running // it is written down: only the look at it was broken off
		}
		switch state {
		case Committed:
			return nil
		case Compensated:
			home, _ := homeOf(id) // it was read from there
			return &AbortedError{Shard: home, Err: refusal(reason, err)}
		case Stuck, Abandoned, None:
			return &UnsettledError{ID: id, State: state, Err: err}
		case Running, Forwarding, Compensating:
		}
		if wait(ctx, pause) != nil {
			c.handOver(ctx, id)
			return &UnsettledError{ID: id, State: state, Err: err}
		}
	}
}

// refusal makes of the reason that is written down of a saga, perhaps by another proxy, the server's error again; otherwise it is err.
func refusal(reason string, err error) error {
	text, code, coded := strings.Cut(reason, " (SQLSTATE ")
	_, message, named := strings.Cut(text, "ERROR: ")
	if !coded || !named || len(code) < len("00000)") {
		return err
	}
	return &pgwire.Error{Severity: "ERROR", Code: code[:len("00000")], Message: message}
}

// drive takes a saga as far as it goes now, if nobody else does, and reads how far that is.
func (c *Coordinator) drive(ctx context.Context, id string) (State, string, error) {
	s, err := c.settlement(id)
	if err != nil {
		return Running, "", err
	}
	defer s.close(ctx)
	mine, err := s.claim(ctx)
	if err != nil {
		return Running, "", err
	}
	if mine {
		_, err := s.settle(ctx, "")
		if err != nil {
			c.cfg.Logger.Debug("saga cannot be settled yet", "saga", id, "error", err)
		}
		if err := s.update(ctx, "UPDATE pgring.saga SET leased = NULL WHERE id = $1 AND finished IS NULL", id); err != nil {
			return Running, "", err
		}
	}
	status, err := s.status(ctx)
	return status.State, status.Reason, err
}

// calledStep is a step as the client writes it.
type calledStep struct {
	SQL              string            `json:"sql"`
	Params           []json.RawMessage `json:"params"`
	Rows             *int64            `json:"rows"`
	Compensate       string            `json:"compensate"`
	CompensateParams []json.RawMessage `json:"compensate_params"`
	CompensateRows   *int64            `json:"compensate_rows"`
	Kind             kind              `json:"kind"`
}
