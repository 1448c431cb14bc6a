package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/saga"
)

// compensate: auto. Before an UPDATE or DELETE runs, the rows that it will change are read and locked; behind it they are read again. An
// INSERT returns the keys of its rows. All of it happens in the open transaction, so that nobody else can come in between.

// maxImages and maxImageBytes bound what is kept of one statement's rows on one shard; it is written to the home shard at COMMIT.
const (
	maxImages     = 1000
	maxImageBytes = 1 << 20
)

// image is one row as the server has stored it.
type image struct {
	version string   // another one after each write of the row
	whole   []byte   // all of its columns as one text
	values  [][]byte // of each column; nil is NULL
}

// derive looks at what a write is about to change.
func (c *session) derive(p *participant, w *writing, k *work) error {
	d, err := c.srv.router.Derive(c.snap, c.state.env, w.sent())
	if err != nil {
		return err
	}
	if c.appends(w.stmt) {
		return router.Underived(fmt.Sprintf("Rows of %q stay, since the table is append-only: say which row reverses this one.", d.Table.Table))
	}
	if err := c.drain(); err != nil {
		return err
	}
	facts, err := p.run(derivationFacts(d))
	if err != nil {
		return err
	}
	if err := judgeFacts(d, facts.row); err != nil {
		return err
	}
	if k.settings, err = p.run(settingsSQL(c.settingNames())); err != nil {
		return err
	}
	if err := k.keepsValues(); err != nil {
		return err
	}
	if d.Before != "" {
		used := router.UsedParams(d.Before)
		if err := c.resolveTypes(p, w, used); err != nil {
			return err
		}
		st := w.statement(d.Before+" LIMIT "+strconv.Itoa(maxImages+1), used)
		if k.before, err = p.images(&st); err != nil {
			return err
		}
	}
	k.derived = d
	return nil
}

// derivationFacts asks what else happens when rows of the table are changed or, by the undoing, deleted.
func derivationFacts(d *router.Derivation) string {
	return "SELECT c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid)," +
		" EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid)," +
		" EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = c.oid AND contype = 'f' AND confdeltype NOT IN ('a', 'r'))," +
		" (SELECT pg_catalog.string_agg(a.attname::pg_catalog.text, pg_catalog.chr(1)) FROM pg_catalog.pg_constraint k" +
		" JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)" +
		" WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.confupdtype NOT IN ('a', 'r'))" +
		" FROM pg_catalog.pg_class c WHERE c.oid = " + quoteLiteral(d.TableName()) + "::pg_catalog.regclass"
}

func judgeFacts(d *router.Derivation, row []string) error {
	if len(row) != 4 {
		return errProtocol("unexpected answer about a table")
	}
	name := d.Table.Table
	update := d.Kind == router.DerivedUpdate || d.Kind == router.DerivedAdd
	follows := strings.Split(row[3], "\x01")
	switch {
	case row[0] == "t":
		return router.Underived(fmt.Sprintf("Other tables inherit from %q.", name))
	case row[1] == "t":
		return router.Underived(fmt.Sprintf("Table %q has rules.", name))
	case row[2] == "t" && !update:
		return router.Underived(fmt.Sprintf("Deleting rows of %q changes other tables by foreign keys.", name))
	case update && slices.ContainsFunc(d.Columns, func(column string) bool { return slices.Contains(follows, column) }):
		return router.Underived(fmt.Sprintf("Updating %q changes other tables by foreign keys.", name))
	}
	return nil
}

// keepsValues makes sure that values can be written as text, and read again, without loss.
func (k *work) keepsValues() error {
	for i := 0; i+1 < len(k.settings.row); i += 2 {
		value := k.settings.row[i+1]
		switch k.settings.row[i] {
		case "extra_float_digits":
			if n, err := strconv.Atoi(value); err != nil || n < 1 {
				return router.Underived("extra_float_digits is below 1, so that old values would be rounded.")
			}
		case "DateStyle":
			if !strings.HasPrefix(value, "ISO") {
				return router.Underived("DateStyle is not ISO, so that old values could be misread.")
			}
		case "client_encoding":
			if value != "UTF8" && value != "SQL_ASCII" {
				return router.Underived("client_encoding is not UTF8.")
			}
		}
	}
	return nil
}

// images runs a query of Derivation.ImageColumns.
func (p *participant) images(s *saga.Statement) ([]image, error) {
	b := pgwire.AppendTarget(nil, pgwire.Close, 'P', ownPortal)
	b = appendBindValues(pgwire.AppendParse(b, "", s.SQL, s.Types), s)
	b = pgwire.AppendExecute(b, ownPortal, 0)
	var read imageReader
	_, err := p.exchangeRows(b, read.row, func(typ byte) bool { return typ == pgwire.CommandComplete })
	if err == nil && (len(read.list) > maxImages || read.size > maxImageBytes) {
		err = errTooManyImages()
	}
	return read.list, err
}

func errTooManyImages() error {
	return &pgwire.Error{Code: codeTooLarge, Message: "statement changes too many rows to be compensated automatically",
		Detail: fmt.Sprintf("On each shard, at most %d rows with %d bytes are kept of it.", maxImages, maxImageBytes),
		Hint:   "Say how it is undone: /* compensate: UPDATE … */, or change fewer rows at once."}
}

// imageReader collects images.
type imageReader struct {
	list []image
	size int
}

func (r *imageReader) row(frame []byte) {
	if r.size += len(frame); r.size > maxImageBytes {
		return
	}
	values := rowValues(bytes.Clone(frame))
	if len(values) > 2 {
		r.list = append(r.list, image{version: string(values[0]), whole: values[1], values: values[2:]})
	}
}

// rowValues splits a DataRow, whose bytes it refers to.
func rowValues(frame []byte) [][]byte {
	body := pgwire.BodyOf(frame)
	values := make([][]byte, max(body.Int16(), 0))
	for i := range values {
		if n := body.Int32(); n >= 0 {
			if values[i] = body.Bytes(n); values[i] == nil {
				values[i] = []byte{}
			}
		}
	}
	return values
}

// conclude makes the undo of a derived work, now that its statement has run.
func (k *work) conclude(p *participant, keys [][][]byte) error {
	u := &undoing{d: k.derived, before: k.distinct()}
	if u.d.Kind == router.DerivedInsert {
		if int64(len(keys)) != k.affected {
			return errRowsMoved()
		}
		k.undo = u.deleteKeys(keys)
		return nil
	}
	if len(u.before) == 0 {
		if k.affected != 0 {
			return errRowsMoved()
		}
		return nil
	}
	query := u.statement("SELECT "+u.d.ImageColumns("")+" FROM "+u.d.TableName()+" WHERE ", saga.AnyRows)
	query.SQL += u.in(&query, u.beforeKeys())
	after, err := p.images(&query)
	if err != nil {
		return err
	}
	u.after = map[string]*image{}
	for i := range after {
		u.after[u.key(&after[i])] = &after[i]
	}
	if u.d.Kind == router.DerivedDelete {
		k.undo, err = u.insertAgain(k.affected)
	} else {
		k.undo, err = u.restore(k.affected)
	}
	return err
}

// errRowsMoved: the rows that were changed are not those that were read before.
func errRowsMoved() error {
	return &pgwire.Error{Code: codeSerialization, Message: "could not note how to undo the statement, because other rows came in between",
		Detail: "Between reading them and changing them, others were added that the statement changes too.", Hint: "Repeat the transaction."}
}

// distinct are the rows read before; a join may have named one several times.
func (k *work) distinct() []image {
	u := &undoing{d: k.derived}
	seen := map[string]bool{}
	var list []image
	for i := range k.before {
		if key := u.key(&k.before[i]); !seen[key] {
			seen[key] = true
			list = append(list, k.before[i])
		}
	}
	return list
}

// undoing makes undo statements from images.
type undoing struct {
	d      *router.Derivation
	before []image
	after  map[string]*image // by key
}

// keyOf are the values of a row's primary key.
func (u *undoing) keyOf(row *image) [][]byte {
	key := make([][]byte, 0, len(u.d.Table.Primary))
	for _, column := range u.d.Table.Primary {
		key = append(key, row.values[u.d.Table.Column(column)])
	}
	return key
}

func (u *undoing) key(row *image) string { return fmt.Sprintf("%q", u.keyOf(row)) }

func (u *undoing) beforeKeys() [][][]byte {
	keys := make([][][]byte, 0, len(u.before))
	for i := range u.before {
		keys = append(keys, u.keyOf(&u.before[i]))
	}
	return keys
}

func (u *undoing) statement(sql string, rows int64) saga.Statement {
	return saga.Statement{SQL: sql, Rows: rows}
}

// parameter adds a value and returns how the statement names it. Type 0: what it stands beside says.
func parameter(s *saga.Statement, value []byte, oid uint32) string {
	s.Values, s.Types = append(s.Values, value), append(s.Types, oid)
	return "$" + strconv.Itoa(len(s.Values))
}

// in is the condition for rows with one of the keys.
func (u *undoing) in(s *saga.Statement, keys [][][]byte) string {
	var names []string
	for _, column := range u.d.Table.Primary {
		names = append(names, quoteName(column))
	}
	rows := make([]string, 0, len(keys))
	for _, key := range keys {
		var row []string
		for _, value := range key {
			row = append(row, parameter(s, value, 0))
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	return "(" + strings.Join(names, ", ") + ") IN (" + strings.Join(rows, ", ") + ")"
}

func (u *undoing) deleteKeys(keys [][][]byte) []saga.Statement {
	if len(keys) == 0 {
		return nil
	}
	s := u.statement("DELETE FROM "+u.d.TableName()+" WHERE ", int64(len(keys)))
	s.SQL += u.in(&s, keys)
	return []saga.Statement{s}
}

// insertAgain undoes a DELETE.
func (u *undoing) insertAgain(affected int64) ([]saga.Statement, error) {
	const maxParameters = 65535
	var columns []string
	for i := range u.d.Table.Columns {
		if c := &u.d.Table.Columns[i]; !c.Generated {
			columns = append(columns, quoteName(c.Name))
		}
	}
	s := u.statement("INSERT INTO "+u.d.TableName()+" ("+strings.Join(columns, ", ")+") OVERRIDING SYSTEM VALUE VALUES ", affected)
	var rows []string
	for i := range u.before {
		if u.after[u.key(&u.before[i])] != nil {
			continue // a trigger has kept it
		}
		var row []string
		for j, value := range u.before[i].values {
			if !u.d.Table.Columns[j].Generated {
				row = append(row, parameter(&s, value, 0))
			}
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	switch {
	case int64(len(rows)) != affected:
		return nil, errRowsMoved()
	case len(s.Values) > maxParameters:
		return nil, errTooManyImages()
	case len(rows) == 0:
		return nil, nil
	}
	s.SQL += strings.Join(rows, ", ")
	return []saga.Statement{s}, nil
}

// restore undoes an UPDATE, row by row.
func (u *undoing) restore(affected int64) ([]saga.Statement, error) {
	var list []saga.Statement
	written := int64(0)
	for i := range u.before {
		before := &u.before[i]
		after := u.after[u.key(before)]
		switch {
		case after == nil:
			return nil, router.Underived("A trigger has changed the primary key of a row, or the row cannot be read any more.")
		case after.version == before.version:
			continue
		}
		written++
		s, changed, err := u.restoreRow(before, after)
		if err != nil {
			return nil, err
		}
		if changed {
			list = append(list, s)
		}
	}
	if written != affected {
		return nil, errRowsMoved()
	}
	return list, nil
}

// restoreRow gives one row its old values: what was added to is subtracted from; otherwise they are written as long as the row is
// still as the statement has left it.
func (u *undoing) restoreRow(before, after *image) (s saga.Statement, changed bool, err error) {
	s = u.statement("", 1)
	var set []string
	for i := range u.d.Table.Columns {
		column := &u.d.Table.Columns[i]
		old, now := before.values[i], after.values[i]
		if column.Generated || (old == nil) == (now == nil) && bytes.Equal(old, now) {
			continue
		}
		name := quoteName(column.Name)
		switch {
		case u.d.Kind == router.DerivedAdd && !slices.Contains(u.d.Columns, column.Name):
		case u.d.Kind == router.DerivedAdd && old != nil && now != nil:
			was, is := parameter(&s, old, oidNumeric), parameter(&s, now, oidNumeric)
			set = append(set, fmt.Sprintf("%s = CASE WHEN %s = %s THEN %s ELSE %s - (%s - %s) END", name, name, is, was, name, is, was))
		case column.Identity:
			return s, false, router.Underived(fmt.Sprintf("It changes identity column %q.", column.Name))
		default:
			set = append(set, name+" = "+parameter(&s, old, 0))
		}
	}
	if len(set) == 0 {
		return s, false, nil
	}
	s.SQL = "UPDATE " + u.d.TableName() + " SET " + strings.Join(set, ", ") + " WHERE " + u.in(&s, [][][]byte{u.keyOf(before)})
	if u.d.Kind == router.DerivedUpdate {
		s.SQL += " AND " + u.d.Whole() + " = " + parameter(&s, after.whole, oidText)
	}
	return s, true, nil
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// isUnderived reports whether a write is one that no rule can undo.
func isUnderived(err error) bool {
	var refusal *router.Refusal
	return errors.As(err, &refusal)
}

// derived runs a write on one shard whose undoing is derived, as the only part of a split.
func (c *session) derived(ctx context.Context, w *writing, describe bool) error {
	c.takeTime()
	s := &spread{stmt: w.stmt, plan: w.parted(), text: w.text, bind: w.bind, describe: describe, write: w}
	if w.shared != nil {
		s.shared, s.oids = w.shared, w.shared.oids
	}
	_, err := c.split(ctx, s)
	return err
}

// parted is the plan of a write on one shard as that of a split with one part.
func (w *writing) parted() *router.Plan {
	plan := *w.plan
	plan.Kind, plan.Parts = router.Split, []router.Part{{Shard: plan.Shard, SQL: plan.SQL}}
	return &plan
}
