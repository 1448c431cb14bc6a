package proxy

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// arguments are the values of EXECUTE's arguments. What is not constant the home shard computes, as the types of the parameters that
// they are for. An error has been reported.
func (c *session) arguments(ctx context.Context, stmt *router.Statement, s *statement) (router.Values, error) {
	if len(stmt.Computed) == 0 {
		return stmt.Args, nil
	}
	p, err := c.usePlain(ctx, c.home(), false)
	if err != nil {
		return nil, err
	}
	c.turn.part = nil
	params, err := p.describe(s.shared.text, s.shared.oids)
	if err != nil {
		return nil, c.reject(err)
	}
	if len(params) != len(stmt.Computed) {
		return nil, c.reject(errArguments(stmt.Name, len(params), len(stmt.Computed)))
	}
	converted := make([]string, len(params))
	for i, arg := range stmt.Computed {
		converted[i] = arg.SQL
	}
	seen, err := p.inspect("SELECT "+strings.Join(converted, ", "), nil)
	if err != nil {
		return nil, c.reject(unplaced(err))
	}
	types, err := p.assignable(stmt.Computed, seen.fields, params)
	if err != nil {
		return nil, c.reject(err)
	}
	for i, typ := range types {
		converted[i] = "(" + converted[i] + ")::" + typ
	}
	var values argumentValues
	if err := p.runRows("SELECT "+strings.Join(converted, ", "), values.take); err != nil {
		return nil, c.reject(unplaced(err))
	}
	return values, nil
}

func errArguments(name string, want, got int) *pgwire.Error {
	return &pgwire.Error{Code: codeSyntax, Message: fmt.Sprintf("wrong number of parameters for prepared statement %q", name),
		Detail: fmt.Sprintf("Expected %d parameters but got %d.", want, got)}
}

// Types of strings beside text.
const (
	oidBpchar  = 1042
	oidVarchar = 1043
)

// assignable names the types of the parameters, given that the arguments can be assigned to them, as EXECUTE demands.
func (p *participant) assignable(args []router.Argument, described []byte, params []uint32) ([]string, error) {
	fields, _ := pgwire.ParseRowDescription(described)
	checks := make([]string, len(params))
	for i, to := range params { // with a modifier of -1, for the plain names of char and bit mean one character, and one bit
		from := fields[i].Type
		if args[i].Untyped || to == oidText || to == oidVarchar || to == oidBpchar { // anything can be assigned to strings
			from = to
		}
		checks[i] = fmt.Sprintf("CASE WHEN %[1]d = %[2]d OR EXISTS (SELECT FROM pg_catalog.pg_cast WHERE castsource = %[1]d AND casttarget = %[2]d"+
			" AND castcontext IN ('i', 'a')) THEN pg_catalog.format_type(%[2]d, -1) END", from, to)
	}
	out, err := p.run("SELECT " + strings.Join(checks, ", "))
	if err != nil {
		return nil, err
	}
	for i, typ := range out.row {
		if typ == "" {
			return nil, errUnsupported(fmt.Sprintf("argument %d of EXECUTE is not of the parameter's type", i+1), "Cast it to that type.")
		}
	}
	return out.row, nil
}

// unplaced is an error without its position, which is one in a text of the session's own.
func unplaced(err error) error {
	if e, ok := err.(*pgwire.Error); ok {
		told := *e
		told.Position = 0
		return &told
	}
	return err
}

// argumentValues are the values of one row.
type argumentValues []router.Value

func (v *argumentValues) take(frame []byte) {
	body := pgwire.BodyOf(frame)
	for range max(body.Int16(), 0) {
		n := body.Int32()
		if n < 0 {
			*v = append(*v, router.Value{Null: true})
			continue
		}
		*v = append(*v, router.Value{Data: append([]byte{}, body.Bytes(n)...)})
	}
}

// Value implements router.Values.
func (v argumentValues) Value(i int) (router.Value, bool) {
	if i < 0 || i >= len(v) {
		return router.Value{}, false
	}
	return v[i], true
}

// runRows is run for all rows of an answer.
func (p *participant) runRows(sql string, row func(frame []byte)) error {
	b := appendRun(pgwire.AppendTarget(nil, pgwire.Close, 'P', ownPortal), ownPortal, sql)
	_, err := p.exchangeRows(b, row, func(typ byte) bool { return typ == pgwire.CommandComplete })
	return err
}
