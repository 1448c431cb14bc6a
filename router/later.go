package router

import (
	"slices"
	"strconv"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// An INSERT into a table with asynchronous writes is accepted now and done later. So nothing in it may depend on when it is done, and
// nobody may wait for its answer. The time, where a DEFAULT asks for it, is written into it; what it is when nobody has seen it does not
// matter, such as a random id, may be made later.
//
// It is done in pgring's words, with constants as parameters: so all INSERTs of one form are one statement.

// clockFormat is a moment as every DateStyle reads it.
const clockFormat = "2006-01-02 15:04:05.999999+00"

// later is what an INSERT of one row needs to be done later.
type later struct {
	values   []laterValue
	clocks   int    // how many columns, behind those of the values, get the time by their DEFAULT
	columns  string // all columns that are written to, as elements of an SQL array
	head     string // the statement up to its row
	literals bool   // among the values there are constants
	whole    string // the statement; empty: it has constants that only a server can read
	row      string // the statement without the clocks' columns, which are what they are when it runs; empty likewise
}

// laterValue is a constant or a parameter that a column gets.
type laterValue struct {
	column  topology.Column
	operand operand
	word    string // TRUE, FALSE or NULL; empty: it is a value
}

// Deferred is an INSERT of one row that is to be done later. Its slices are used again by the next [Statement.Later], and its values are the message's.
type Deferred struct {
	Request
	SQL     string
	Types   []uint32 // of its parameters; 0: that of the column
	Formats []int16  // of its parameters: 0 text, 1 binary
	Values  [][]byte // nil is NULL
	Known   bool     // of each constant it is certain that PostgreSQL reads it; else a server has to be asked
}

// later says whether an INSERT that insertRow knows can be done later; nil: it cannot.
func (a *analysis) later(n *pg.InsertStmt, t *topology.Table, names []string, values []*pg.Node) *later {
	if n.OnConflictClause != nil || len(n.ReturningList) > 0 || n.Override > pg.OverridingKind_OVERRIDING_NOT_SET || a.st.Unknown {
		return nil
	}
	l := &later{}
	given := map[string]bool{}
	var written []string
	for i, value := range values {
		at := t.Column(names[i])
		if at < 0 {
			return nil
		}
		if value.GetSetToDefault() != nil {
			continue
		}
		given[names[i]] = true
		v, ok := a.laterValue(&t.Columns[at], value)
		if !ok {
			return nil
		}
		l.values = append(l.values, v)
		l.literals = l.literals || v.operand.kind == operandLiteral
		written = append(written, names[i])
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		switch {
		case given[c.Name] || isOmitted(c):
		case c.HasDefault && isClock(c.Default):
			written = append(written, c.Name)
			l.clocks++
		default:
			return nil
		}
	}
	l.write(t.Name, written)
	return l
}

// write writes the statement, for the columns of the values and of the clocks.
func (l *later) write(table topology.Name, columns []string) {
	elements := make([]string, len(columns))
	for i, column := range columns {
		elements[i] = quoteLiteral(column)
	}
	l.columns = strings.Join(elements, ", ")
	l.head = insertHead(table, columns)
	if !slices.ContainsFunc(l.values, func(v laterValue) bool { return v.isOpen() }) {
		l.whole = l.statement(l.head, l.clocks, nil)
		l.row = l.statement(insertHead(table, columns[:len(l.values)]), 0, nil)
	}
}

func insertHead(table topology.Name, columns []string) string {
	quoted := make([]string, len(columns))
	for i, column := range columns {
		quoted[i] = quoteIdent(column)
	}
	return "INSERT INTO " + quoteIdent(table.Schema) + "." + quoteIdent(table.Table) + " (" + strings.Join(quoted, ", ") + ") VALUES "
}

// statement is the statement with this head, and these constants that are not parameters, as SQL.
func (l *later) statement(head string, clocks int, open []string) string {
	var b strings.Builder
	b.WriteString(head)
	param := 0
	mark := byte('(')
	next := func(word string) {
		b.WriteByte(mark)
		if mark == ',' {
			b.WriteByte(' ')
		}
		mark = ','
		if word == "" {
			param++
			word = "$" + strconv.Itoa(param)
		}
		b.WriteString(word)
	}
	for i := range l.values {
		v := &l.values[i]
		if !v.isOpen() {
			next(v.word)
			continue
		}
		next(open[0])
		open = open[1:]
	}
	for range clocks {
		next("")
	}
	b.WriteByte(')')
	return b.String()
}

// isOpen reports whether the value is a constant of a type that only a server can read: it stays what it is.
func (v *laterValue) isOpen() bool {
	return v.operand.kind == operandLiteral && !isRead(v.column.Type)
}

// laterValue reads a value; false: only a server can compute it, or it may be another one later.
func (a *analysis) laterValue(c *topology.Column, n *pg.Node) (laterValue, bool) {
	v := laterValue{column: *c}
	if cast := n.GetTypeCast(); cast != nil {
		if !castsTo(cast.TypeName, c.Type) {
			return v, false
		}
		n = cast.Arg
	}
	switch n := n.GetNode().(type) {
	case *pg.Node_ParamRef:
		v.operand = operand{kind: operandParam, index: int(n.ParamRef.Number) - 1}
		return v, n.ParamRef.Number > 0
	case *pg.Node_AConst:
		switch truth, isTruth := n.AConst.Val.(*pg.A_Const_Boolval); {
		case n.AConst.Isnull:
			v.word = "NULL"
			return v, !c.NotNull
		case isTruth:
			v.word = strings.ToUpper(strconv.FormatBool(truth.Boolval.Boolval))
			return v, c.Type == oidBool
		}
		var ok bool
		v.operand, ok = a.literalAt(int(n.AConst.Location))
		return v, ok
	}
	return v, false
}

// castsTo says whether a cast is to a type without more ado.
func castsTo(t *pg.TypeName, oid uint32) bool {
	if t.Setof || t.PctType || len(t.Typmods) > 0 || len(t.ArrayBounds) > 0 {
		return false
	}
	name, ok := words(t.Names)
	if !ok || len(name) == 0 || len(name) > 2 || len(name) == 2 && name[0] != catalogSchema {
		return false
	}
	return map[string]uint32{"bool": oidBool, "bytea": oidBytea, "int8": oidInt8, "int2": oidInt2, "int4": oidInt4, "text": oidText, "json": oidJSON,
		"jsonb": oidJSONB, "float4": oidFloat4, "float8": oidFloat8, "varchar": oidVarchar, "date": oidDate, "timestamp": oidTimestamp,
		"timestamptz": oidTimestampTZ, "numeric": oidNumeric, "uuid": oidUUID}[name[len(name)-1]] == oid
}

// isOmitted says whether what a column gets that has no value in the statement can be left to later.
func isOmitted(c *topology.Column) bool {
	switch {
	case c.Generated, !c.HasDefault && !c.NotNull, c.HasDefault && !c.DefaultVolatile && !isClock(c.Default), c.NextID, c.Identity:
		return true
	}
	return c.HasDefault && isUnseen(c.Default) // without a DEFAULT, NULL is refused
}

// isClock says whether a default is the time, and nothing else.
func isClock(text string) bool {
	switch text {
	case "now()", "CURRENT_TIMESTAMP", "transaction_timestamp()", "statement_timestamp()", "clock_timestamp()", "LOCALTIMESTAMP", "CURRENT_DATE":
		return true
	}
	return false
}

// isUnseen says whether a default is a value that is as good later, since nobody has seen another one.
func isUnseen(text string) bool {
	switch text {
	case "gen_random_uuid()", "random()", "public.uuid_generate_v4()", "public.gen_random_uuid()":
		return true
	}
	return strings.HasPrefix(text, "nextval(") && strings.Count(text, "(") == 1
}

// MayBeLater says whether the statement, which puts one row into a table and does nothing else, may be done later.
func (s *Statement) MayBeLater() bool { return s.row != nil && s.row.later != nil }

// Later says how to do an INSERT later that may be: what is written where it belongs, and now is the time. False: it is not certain that the
// values are ones that their columns take, or that they mean the same later, so only the shard's own answer will do. Text is the statement's; types are
// those of its parameters.
func (s *Statement) Later(d *Deferred, v Values, types []uint32, text string, now time.Time) bool {
	l := s.row.later
	in := s.laterInput(v, text)
	open, ok := d.read(l, &in, types)
	if !ok {
		return false
	}
	if l.clocks > 0 {
		at := now.UTC().AppendFormat(make([]byte, 0, len(clockFormat)), clockFormat)
		for range l.clocks {
			d.add(Value{Data: at}, oidTimestampTZ)
		}
	}
	if d.SQL, d.Known = l.whole, l.whole != ""; !d.Known {
		d.SQL = l.statement(l.head, l.clocks, open)
	}
	key, err := s.row.shardKey(&in)
	if err != nil {
		return false
	}
	d.Request = Request{Table: s.row.table, Group: s.row.group, Hash: key.Hash(), ShardKey: key.String()}
	return true
}

// laterInput is where the row's values are.
func (s *Statement) laterInput(v Values, text string) input {
	in := s.input(v)
	if _, none := in.literals.(noValues); none && s.row.later.literals {
		in.literals = literalsOf([]byte(text))
	}
	return in
}

// read takes the row's values; open are those that only a server can read, as SQL. False: of one it is not certain that its column takes it.
func (d *Deferred) read(l *later, in *input, types []uint32) (open []string, certain bool) {
	d.Types, d.Formats, d.Values = d.Types[:0], d.Formats[:0], d.Values[:0]
	for i := range l.values {
		v := &l.values[i]
		if v.word != "" {
			continue
		}
		value, own, ok := in.certainly(v, types)
		switch {
		case !ok:
			return nil, false
		case v.isOpen():
			open = append(open, quoteLiteral(string(value.Data)))
		case own == v.column.Type:
			d.add(value, 0)
		default:
			d.add(value, own)
		}
	}
	return open, true
}

// WithParameters gives an INSERT of one row of the simple protocol in pgring's words, with its constants as parameters, as it may be done now: so a
// server need not parse and plan it each time. False: it cannot be, or of some constant it is not certain that its column takes it as it is, and the
// server's error would not be that of the client's text. Text is the statement's.
func (s *Statement) WithParameters(d *Deferred, v Values, text string) bool {
	if !s.MayBeLater() || s.row.later.row == "" {
		return false
	}
	in := s.laterInput(v, text)
	_, ok := d.read(s.row.later, &in, nil)
	d.SQL = s.row.later.row
	return ok && len(d.Values) > 0
}

// add appends a parameter.
func (d *Deferred) add(v Value, oid uint32) {
	data := v.Data
	switch {
	case v.Null:
		data = nil
	case data == nil:
		data = []byte{}
	}
	format := int16(0)
	if v.Binary {
		format = 1
	}
	d.Types, d.Formats, d.Values = append(d.Types, oid), append(d.Formats, format), append(d.Values, data)
}

// LaterColumns are the columns that the row is written with when it is done later, as elements of an SQL array.
func (s *Statement) LaterColumns() string { return s.row.later.columns }
