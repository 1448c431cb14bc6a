package proxy

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/saga"
)

// sendAside runs a query of the session's own ahead of the client's statement, as part of the turn, and keeps its first row. The
// client's portals stay as they are.
func (c *session) sendAside(p *participant, sql string, into *outcome) error {
	p.unnamed = 0
	c.out = pgwire.AppendTarget(c.out[:0], pgwire.Close, 'P', ownPortal)
	c.out = appendRun(c.out, ownPortal, sql)
	c.out = pgwire.AppendTarget(c.out, pgwire.Close, 'P', ownPortal) // COPY FREEZE, TRUNCATE and the like see open portals
	if err := c.makeRoom(len(c.out)); err != nil {
		return err
	}
	c.turn.steps = append(c.turn.steps, step{kind: stepBind, hidden: true}, step{kind: stepParse, hidden: true}, step{kind: stepBind, hidden: true})
	if err := c.send(c.out, step{kind: stepExecute, hidden: true, into: into}); err != nil {
		return err
	}
	c.turn.steps = append(c.turn.steps, step{kind: stepClose, hidden: true, id: rewrittenID})
	return nil
}

// sendOwn runs a prepared statement of the session's own as part of the turn. The values are text, but those of bytea.
func (c *session) sendOwn(p *participant, id uint64, sql string, types []uint32, values [][]byte, into *outcome) error {
	if !p.conn.Prepared(id) {
		if err := c.prepareOn(p, id, sql, types, step{kind: stepParse, hidden: true}); err != nil {
			return err
		}
	}
	b := pgwire.AppendTarget(c.out[:0], pgwire.Close, 'P', ownPortal)
	b = appendOwnBind(b, ownPortal, id, types, values)
	b = pgwire.AppendExecute(b, ownPortal, 0)
	c.out = pgwire.AppendTarget(b, pgwire.Close, 'P', ownPortal) // COPY FREEZE, TRUNCATE and the like see open portals
	if err := c.makeRoom(len(c.out)); err != nil {
		return err
	}
	c.turn.steps = append(c.turn.steps, step{kind: stepClose, hidden: true, id: rewrittenID}, step{kind: stepBind, hidden: true})
	if err := c.send(c.out, step{kind: stepExecute, hidden: true, into: into}); err != nil {
		return err
	}
	c.turn.steps = append(c.turn.steps, step{kind: stepClose, hidden: true, id: rewrittenID})
	return nil
}

// appendOwnBind binds such a statement; its results are binary, which is what texts and bytes are anyway.
func appendOwnBind(b []byte, portal string, id uint64, types []uint32, values [][]byte) []byte {
	b, at := pgwire.Begin(b, pgwire.Bind)
	b = append(append(b, portal...), 0)
	b = append(append(b, backend.StatementName(id)...), 0)
	b = appendInt16(b, len(values))
	for _, oid := range types {
		b = appendInt16(b, int(boolByte(oid == oidBytea)))
	}
	b = appendInt16(b, len(values))
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		b = append(b, v...)
	}
	return pgwire.End(appendInt16(appendInt16(b, 1), 1), at)
}

// inspect asks for the types of a statement's parameters and for its RowDescription, on an otherwise quiet connection.
func (p *participant) inspect(sql string, oids []uint32) (outcome, error) {
	b := pgwire.AppendTarget(pgwire.AppendParse(nil, "", sql, oids), pgwire.Describe, 'S', "")
	return p.exchange(b, func(typ byte) bool { return typ == pgwire.NoData || typ == pgwire.RowDescription })
}

// describe is inspect for the parameters' types only.
func (p *participant) describe(sql string, oids []uint32) ([]uint32, error) {
	out, err := p.inspect(sql, oids)
	return out.types, err
}

// query runs a statement with parameters, on an otherwise quiet connection.
func (p *participant) query(s *saga.Statement) (outcome, error) {
	b := pgwire.AppendTarget(nil, pgwire.Close, 'P', ownPortal)
	b = pgwire.AppendParse(b, "", s.SQL, s.Types)
	b = appendBindValues(b, s)
	b = pgwire.AppendExecute(b, ownPortal, 0)
	return p.exchange(b, func(typ byte) bool { return typ == pgwire.CommandComplete })
}

// exchange sends messages of the extended protocol and reads the answer. In the middle of a pipeline they become part of it.
func (p *participant) exchange(b []byte, last func(typ byte) bool) (outcome, error) {
	return p.exchangeRows(b, nil, last)
}

// exchangeRows is exchange for all rows of an answer; their frames are valid until the next one.
func (p *participant) exchangeRows(b []byte, row func(frame []byte), last func(typ byte) bool) (outcome, error) {
	p.unnamed = 0
	end := byte(pgwire.Sync)
	if p.unsynced {
		end = pgwire.Flush
	}
	wire := p.conn.Wire()
	err := wire.Write(pgwire.AppendEmpty(b, end))
	if err == nil {
		err = wire.Flush()
	}
	if err != nil {
		return outcome{}, &lostError{shard: p.shard, err: err}
	}
	if !p.unsynced {
		return readRows(p.conn, row)
	}
	return p.readUntil(row, last)
}

// readUntil reads the answer to messages that no Sync follows.
func (p *participant) readUntil(row func(frame []byte), last func(typ byte) bool) (out outcome, err error) {
	for {
		frame, err := readFrame(p.conn.Wire())
		if err != nil {
			p.conn.MarkDirty("connection lost")
			return out, &lostError{shard: p.shard, err: err}
		}
		if frame[0] == pgwire.ErrorResponse {
			p.skips = true
			return out, pgwire.ParseError(frame)
		}
		body := pgwire.BodyOf(frame)
		if frame[0] == pgwire.CommandComplete {
			out.tag = string(body.Text())
		}
		if out.take(frame); row != nil && frame[0] == pgwire.DataRow {
			row(frame)
		}
		if last(frame[0]) {
			return out, nil
		}
	}
}

// appendBindValues appends the Bind of a statement to the session's own portal; its results are text.
func appendBindValues(b []byte, s *saga.Statement) []byte {
	b, at := pgwire.Begin(b, pgwire.Bind)
	b = append(b, ownPortal...)
	b = append(b, 0, 0)
	b = appendInt16(b, len(s.Formats))
	for _, format := range s.Formats {
		b = appendInt16(b, int(format))
	}
	b = appendInt16(b, len(s.Values))
	for _, v := range s.Values {
		if v == nil {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		b = append(b, byte(len(v)>>24), byte(len(v)>>16), byte(len(v)>>8), byte(len(v)))
		b = append(b, v...)
	}
	return pgwire.End(appendInt16(b, 0), at)
}

func appendInt16(b []byte, n int) []byte { return append(b, byte(n>>8), byte(n)) }

// commonSettings are those that decide what an undo statement means and how values are written in it; the session's own of the
// form a.b, which policies and triggers read, are added.
var commonSettings = strings.Fields("role search_path client_encoding DateStyle IntervalStyle TimeZone standard_conforming_strings " +
	"extra_float_digits bytea_output xmloption lc_monetary lc_numeric lc_time transform_null_equals array_nulls quote_all_identifiers row_security")

var commonSQL = settingsSQL(commonSettings)

// settingNames lists the settings that are kept with an undo statement.
func (c *session) settingNames() []string {
	names := slices.Clip(commonSettings)
	for _, s := range c.state.settings.List() {
		if strings.Contains(s.Name, ".") {
			names = append(names, s.Name)
		}
	}
	return names
}

// askSettings reads their values ahead of the client's statement. The query is kept prepared, unless the session has settings of its own.
func (c *session) askSettings(p *participant, into *outcome) error {
	names := c.settingNames()
	if len(names) > len(commonSettings) {
		return c.sendAside(p, settingsSQL(names), into)
	}
	return c.sendOwn(p, settingsID, commonSQL, nil, nil, into)
}

// settingsSQL reads the values of settings, in a row with the names in front.
func settingsSQL(names []string) string {
	var sql strings.Builder
	sql.WriteString("SELECT ")
	for i, name := range names {
		if i > 0 {
			sql.WriteString(", ")
		}
		sql.WriteString(quoteLiteral(name) + ", pg_catalog.current_setting(" + quoteLiteral(name) + ", true)")
	}
	return sql.String()
}

// settingsOf returns the settings of such a row. Equal ones share one list.
func (c *session) settingsOf(row *outcome) []saga.Setting {
	list := make([]saga.Setting, 0, len(row.row)/2)
	for i := 0; i+1 < len(row.row); i += 2 {
		list = append(list, saga.Setting{Name: row.row[i], Value: row.row[i+1]})
	}
	if sameSettings(list, c.tx.shared) {
		return c.tx.shared
	}
	c.tx.shared = list
	return list
}

func sameSettings(a, b []saga.Setting) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
