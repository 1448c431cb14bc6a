package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pgring/pgring/pgwire"
)

// Caller is who asks a console.
type Caller struct {
	User string
	Role Role
}

// Answer is what a console answers to one statement.
type Answer struct {
	Fields  []pgwire.Field // nil: no rows, only the tag
	Rows    [][][]byte     // text; nil is NULL
	Tag     string
	Notices []*pgwire.Error
	Close   bool // the session ends after this answer
}

// Console answers the statements that clients send to a database of its name. An error that is a *pgwire.Error is told to the
// client as it is.
type Console interface {
	// Fields describes the answer to sql without running it; nil means that it returns no rows.
	Fields(sql string) []pgwire.Field
	// Answer runs sql.
	Answer(ctx context.Context, caller Caller, sql string) (*Answer, error)
}

// consoleSession speaks the protocol for a console: no servers, no transactions, text results.
type consoleSession struct {
	*session
	console    Console
	statements map[string]string
	portals    map[string]consolePortal
	skipping   bool
}

// consolePortal is a bound command with the formats that its result columns shall have.
type consolePortal struct {
	text    string
	formats []int16
}

// runConsole serves a client of the console until it leaves.
func (c *session) runConsole(ctx context.Context, console Console) error {
	c.policy = c.srv.policy.Load()
	defer c.srv.accountTraffic(c.client)
	s := &consoleSession{session: c, console: console, statements: map[string]string{}, portals: map[string]consolePortal{}}
	var b []byte
	for _, p := range [][2]string{{"server_version", "15.0 (pgring)"}, {"server_encoding", "UTF8"}, {"client_encoding", "UTF8"},
		{"DateStyle", "ISO, MDY"}, {"TimeZone", "UTC"}, {"integer_datetimes", "on"}, {"standard_conforming_strings", "on"}, {"is_superuser", "off"}} {
		b = pgwire.AppendParameterStatus(b, p[0], p[1])
	}
	b = appendKeyData(b, c.pid, c.secret)
	if err := c.write(pgwire.AppendReady(b, pgwire.TxIdle)); err != nil {
		return err
	}
	for {
		if c.client.Buffered() == 0 {
			if err := c.client.Flush(); err != nil {
				return err
			}
		}
		typ, size, err := c.await(c.policy.ClientIdle, c.srv.draining.Load)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return c.ended(err)
		}
		if err != nil || typ == pgwire.Terminate {
			return err
		}
		frame, err := c.client.Frame(size, c.policy.MessageLimit)
		if err != nil {
			return err
		}
		done, err := s.message(ctx, typ, frame)
		if err == nil && done {
			err = c.client.Flush()
		}
		if err != nil || done {
			return err
		}
	}
}

// message handles one message; true ends the session.
func (s *consoleSession) message(ctx context.Context, typ byte, frame []byte) (bool, error) {
	if s.skipping && typ != pgwire.Sync {
		return false, nil
	}
	body := pgwire.BodyOf(frame)
	switch typ {
	case pgwire.Query:
		return s.simpleQuery(ctx, string(body.Text()))
	case pgwire.Sync:
		s.skipping = false
		return false, s.write(pgwire.AppendReady(nil, pgwire.TxIdle))
	case pgwire.Flush:
		return false, s.client.Flush()
	case pgwire.Parse:
		name := string(body.Text())
		s.statements[name] = string(body.Text())
		return false, s.write(pgwire.AppendEmpty(nil, pgwire.ParseComplete))
	case pgwire.Bind:
		return false, s.bindConsole(frame)
	case pgwire.Describe:
		return false, s.describeConsole(body)
	case pgwire.Execute:
		portal, ok := s.portals[string(body.Text())]
		if !ok {
			return false, s.refuse(errNoPortal(nil))
		}
		return s.answer(ctx, portal, false)
	case pgwire.Close:
		return false, s.write(pgwire.AppendEmpty(nil, pgwire.CloseComplete))
	}
	return true, fatal(codeProtocolViolation, fmt.Sprintf("message type %q is not supported on the console", typ))
}

func (s *consoleSession) bindConsole(frame []byte) error {
	var b bindMessage
	text, ok := "", b.decode(frame)
	if ok {
		text, ok = s.statements[string(b.statement)]
	}
	switch {
	case !ok:
		return s.refuse(errNoStatement(b.statement))
	case len(b.values) > 0:
		return s.refuse(errUnsupported("the console takes no parameters", "Write the values into the command."))
	}
	s.portals[string(b.portal)] = consolePortal{text: text, formats: b.resultFormats()}
	return s.write(pgwire.AppendEmpty(nil, pgwire.BindComplete))
}

func (s *consoleSession) describeConsole(body pgwire.Body) error {
	kind, name := body.Byte(), string(body.Text())
	portal, out := s.portals[name], []byte(nil)
	if kind == 'S' {
		portal = consolePortal{text: s.statements[name]}
		out = append(out, pgwire.ParameterDescription, 0, 0, 0, 6, 0, 0)
	}
	if fields := s.console.Fields(portal.text); fields != nil {
		return s.write(pgwire.AppendRowDescription(out, portal.described(fields)))
	}
	return s.write(pgwire.AppendEmpty(out, pgwire.NoData))
}

func (s *consoleSession) refuse(err error) error {
	s.skipping = true
	return s.write(pgwire.AppendError(nil, toWire(err)))
}

func (s *consoleSession) simpleQuery(ctx context.Context, sql string) (bool, error) {
	if strings.Trim(sql, " \t\r\n;") == "" {
		return false, s.write(pgwire.AppendReady(pgwire.AppendEmpty(nil, pgwire.EmptyQueryResponse), pgwire.TxIdle))
	}
	done, err := s.answer(ctx, consolePortal{text: sql}, true)
	s.skipping = false
	if err != nil {
		return done, err
	}
	return done, s.write(pgwire.AppendReady(nil, pgwire.TxIdle))
}

func (s *consoleSession) answer(ctx context.Context, portal consolePortal, describe bool) (bool, error) {
	answer, err := s.console.Answer(ctx, Caller{User: s.user.Name, Role: s.user.Role}, portal.text)
	if err != nil {
		if told := toWire(err); told.Code == codeInternal {
			s.srv.log.Error("console command failed", "user", s.user.Name, "error", err)
		}
		return false, s.refuse(err)
	}
	var b []byte
	for _, n := range answer.Notices {
		b = pgwire.AppendNotice(b, n)
	}
	if describe && answer.Fields != nil {
		b = pgwire.AppendRowDescription(b, answer.Fields)
	}
	fields := portal.described(answer.Fields)
	for _, row := range answer.Rows {
		if row, err = encodeRow(row, fields); err != nil {
			return false, err
		}
		b = pgwire.AppendDataRow(b, row)
	}
	return answer.Close, s.write(pgwire.AppendText(b, pgwire.CommandComplete, answer.Tag))
}

// described returns the fields with the formats that the client asked for: none means text, one means all.
func (p consolePortal) described(fields []pgwire.Field) []pgwire.Field {
	if len(p.formats) == 0 {
		return fields
	}
	fields = slices.Clone(fields)
	for i := range fields {
		switch {
		case len(p.formats) == 1:
			fields[i].Format = p.formats[0]
		case i < len(p.formats):
			fields[i].Format = p.formats[i]
		}
	}
	return fields
}

// encodeRow turns text values into binary where the field says so. Text types are the same in both formats.
func encodeRow(row [][]byte, fields []pgwire.Field) ([][]byte, error) {
	out := row
	for i, f := range fields {
		if f.Format == 0 || i >= len(row) || row[i] == nil {
			continue
		}
		if &out[0] == &row[0] {
			out = slices.Clone(row)
		}
		var err error
		switch f.Type {
		case oidInt8:
			var n int64
			n, err = strconv.ParseInt(string(row[i]), 10, 64)
			out[i] = binary.BigEndian.AppendUint64(nil, uint64(n))
		case oidFloat8:
			var v float64
			v, err = strconv.ParseFloat(string(row[i]), 64)
			out[i] = binary.BigEndian.AppendUint64(nil, math.Float64bits(v))
		case oidBool:
			out[i] = []byte{0}
			if row[i][0] == 't' {
				out[i][0] = 1
			}
		}
		if err != nil {
			return nil, fmt.Errorf("encode column %s: %w", f.Name, err)
		}
	}
	return out, nil
}

func itoa(n int) string { return strconv.Itoa(n) }
