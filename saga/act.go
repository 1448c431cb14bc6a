package saga

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/ring"
)

// beginSQL makes an act independent of the login's defaults. It sees rows that were committed while it waited for them.
const beginSQL = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = '9min'"

// errGone means that the row that an act rests on is not there: the saga was settled and cleaned away meanwhile.
var errGone = errors.New("the saga's rows have changed")

// act undoes a step, or runs it, as the user whose saga it is, and notes so in the same transaction. If that is noted already,
// somebody else has done it.
func (s *settlement) act(ctx context.Context, step int, what op, statements []Statement) error {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	shard := s.rec.Steps[step].Shard
	if _, err := s.operator(ctx, shard); err != nil { // reads the shard's secret
		return err
	}
	a := &act{s: s, step: step, what: what, shard: shard}
	var err error
	if a.conn, err = s.c.cfg.Login(ctx, shard, s.rec.User); err != nil {
		return fmt.Errorf("log in for %q: %w", s.rec.User, err)
	}
	defer hangUp(ctx, a.conn)
	if err := a.run(ctx, statements); err != nil {
		return fmt.Errorf("%s step %d on %s: %w", a.name(), step, shard, err)
	}
	return nil
}

// act is one transaction of a settlement.
type act struct {
	s     *settlement
	step  int
	what  op
	shard ring.ShardID
	conn  *pgx.Conn

	settings []Setting // of the last statement
}

func (a *act) name() string {
	switch a.what {
	case opUndo:
		return "undo"
	case opForward:
		return "forward"
	case opAction:
		return "run"
	}
	return string(a.what)
}

func (a *act) run(ctx context.Context, statements []Statement) error {
	if err := a.message("begin", func() error { return a.begin(ctx) }); err != nil {
		return err
	}
	var noted string
	err := a.message("mark", func() (err error) {
		noted, err = a.mark(ctx)
		return err
	})
	if err != nil {
		return err
	}
	switch noted {
	case "new":
	case "done":
		return nil
	default:
		return errGone
	}
	if a.what == opAction {
		if err := a.stillWanted(ctx); err != nil {
			return err
		}
	}
	for _, statement := range statements {
		if err := a.message("statement", func() error { return a.execute(ctx, statement) }); err != nil {
			return err
		}
	}
	if err := a.message("commit", func() error { return a.simple(ctx, "COMMIT", "COMMIT") }); err != nil {
		return err
	}
	a.count()
	return nil
}

func (a *act) count() {
	switch a.what {
	case opUndo:
		a.s.c.counter.compensations.Add(1)
	case opForward:
		a.s.c.counter.forwarded.Add(1)
	case opAction:
	}
}

func (a *act) message(name string, send func() error) error {
	name = a.name() + " " + name
	a.s.c.reach(name, before, a.shard)
	err := send()
	a.s.c.reach(name, answered, a.shard)
	return err
}

func (a *act) begin(ctx context.Context) error {
	return a.simple(ctx, fmt.Sprintf("%s; SET LOCAL lock_timeout = %d", beginSQL, a.s.c.cfg.locks.Milliseconds()), "")
}

// mark writes the barrier row.
func (a *act) mark(ctx context.Context) (noted string, err error) {
	secret := a.s.c.facts.secret(a.shard)
	err = a.conn.QueryRow(ctx, "SELECT pgring.saga_mark($1, $2, $3::\"char\", $4)", pgx.QueryExecModeExec,
		a.s.id, a.step, string(a.what), markProof(secret, a.s.id, a.step, a.what)).Scan(&noted)
	switch code(err) {
	case codeUndefinedFunction, codeUndefinedSchema, codeUndefinedTable, codeInsufficientRights:
		a.s.c.facts.forgetInstalled(a.shard)
	}
	return noted, err
}

// execute runs one statement of the client's under its settings.
func (a *act) execute(ctx context.Context, st Statement) error {
	if err := a.adopt(ctx, st.Settings); err != nil {
		return fmt.Errorf("set its settings: %w", err)
	}
	result := a.conn.PgConn().ExecParams(ctx, st.SQL, st.Values, st.Types, st.Formats, nil).Read()
	if result.Err != nil {
		return result.Err
	}
	if got := result.CommandTag.RowsAffected(); st.Rows != AnyRows && got != st.Rows {
		return &wrongCountError{sql: st.String(), got: got, want: st.Rows}
	}
	return nil
}

// adopt sets a statement's settings for this transaction, and resets those of the statement before it.
func (a *act) adopt(ctx context.Context, settings []Setting) error {
	if slices.Equal(a.settings, settings) {
		return nil
	}
	var names []string
	var values []*string
	for _, old := range a.settings {
		names, values = append(names, old.Name), append(values, nil) // NULL is the login's default
	}
	for _, s := range settings {
		names, values = append(names, s.Name), append(values, &s.Value)
	}
	a.settings = settings
	_, err := a.conn.Exec(ctx, "SELECT pg_catalog.set_config(s.n, s.v, true) FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) s(n, v)",
		pgx.QueryExecModeExec, names, values)
	return err
}

// simple runs SQL without parameters; the last tag must be the one that is wanted, if any is.
func (a *act) simple(ctx context.Context, sql, want string) error {
	results, err := a.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return err
	}
	return checkTag(results, want)
}

func checkTag(results []*pgconn.Result, want string) error {
	if got := results[len(results)-1].CommandTag.String(); want != "" && got != want {
		return errNotOpen
	}
	return nil
}

// stillWanted asks home, behind the barrier row of a long-running saga's step, whether the saga is still going forward. The rows
// of a settled one may be gone already, and with them the fence that would have kept the step from running.
func (a *act) stillWanted(ctx context.Context) error {
	r, err := a.s.read(ctx)
	if err == nil && (r == nil || r.state.Settled() || r.state == Compensating) {
		return errGone
	}
	return err
}
