package proxy

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// arguments are the values of EXECUTE's arguments. What is not constant, or not of its parameter's type, the home shard computes or
// casts, as EXECUTE does. An error has been reported.
func (c *session) arguments(ctx context.Context, stmt *router.Statement, s *statement) (router.Values, error) {
	if len(stmt.Computed) == 0 || stmt.Args != nil && fit(stmt.Computed, s.shared.types()) {
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
	if builtin(params) {
		s.shared.resolved.Store(&params)
	}
	if stmt.Args != nil && fit(stmt.Computed, params) {
		return stmt.Args, nil
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

// fit reports whether the texts of constant arguments mean the same as values of these types.
func fit(args []router.Argument, types []uint32) bool {
	if len(types) != len(args) {
		return false
	}
	for i, arg := range args {
		switch types[i] {
		case oidText, oidVarchar, oidBpchar:
		case oidBool:
			if !arg.Untyped && !arg.Boolean {
				return false
			}
		case oidInt2, oidInt4, oidInt8, oidNumeric, oidFloat4, oidFloat8:
			if arg.Boolean {
				return false
			}
		default:
			if !arg.Untyped {
				return false
			}
		}
	}
	return true
}

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
			return nil, p.errNotAssignable(i+1, fields[i].Type, params[i])
		}
	}
	return out.row, nil
}

// errNotAssignable is PostgreSQL's error for an argument that cannot be assigned to its parameter.
func (p *participant) errNotAssignable(number int, from, to uint32) error {
	names, err := p.run(fmt.Sprintf("SELECT pg_catalog.format_type(%d, -1), pg_catalog.format_type(%d, -1)", from, to))
	if err != nil {
		return err
	}
	return &pgwire.Error{Code: codeDatatypeMismatch, Hint: "You will need to rewrite or cast the expression.",
		Message: fmt.Sprintf("parameter $%d of type %s cannot be coerced to the expected type %s", number, names.row[0], names.row[1])}
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
