package router

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// What asks for the sequence of a column that has none: on sharded tables serial and identity columns take their values from
// pgring.next_id(). An answer would be about something else.

// overrides refuses OVERRIDING USER VALUE, which ignores values given for identity columns: the server does not know that the
// column was declared as one.
func (a *analysis) overrides(t *topology.Table, s *pg.InsertStmt) {
	if column := idColumn(t); column != "" && s.Override == pg.OverridingKind_OVERRIDING_USER_VALUE {
		a.unsupported("OVERRIDING USER VALUE is not supported on table "+quoteIdent(whole(t)),
			"Column "+quoteIdent(column)+" takes its values from pgring.next_id(), by its DEFAULT.", "Leave the column out of the INSERT.")
	}
}

// restartsIDs refuses TRUNCATE … RESTART IDENTITY.
func (a *analysis) restartsIDs(list []listed) {
	for _, l := range list {
		if column := idColumn(l.at.table); column != "" {
			a.unsupported("RESTART IDENTITY is not supported on table "+quoteIdent(whole(l.at.table)),
				"Column "+quoteIdent(column)+" takes its values from pgring.next_id(), which has no start.", "Leave RESTART IDENTITY out.")
		}
	}
}

// AsksSequence reports whether the statement asks by lastval() or currval() for the value that the session took last from a sequence, before the
// statement. Only the server that gave it knows it.
func (s *Statement) AsksSequence() bool { return s.asksSequence }

// DrawsSequence reports whether the statement may take a value from a sequence. Triggers of UPDATE and DELETE that do are not seen.
func (s *Statement) DrawsSequence() bool { return s.drawsSequence }

func (a *analysis) drawsSequence() bool {
	return a.survey.nexts || a.survey.callsUser || len(a.st.inserts) > 0 || a.root.GetInsertStmt() != nil || a.root.GetDoStmt() != nil || a.root.GetCallStmt() != nil
}

func (a *analysis) asksSequence() bool {
	if len(a.survey.currents) == 0 || a.survey.nexts {
		return false
	}
	own := levelCalls(a.root.GetInsertStmt().GetReturningList()...) // the row has taken it
	return slices.ContainsFunc(a.survey.currents, func(f *pg.FuncCall) bool { return !slices.Contains(own, f) })
}

// sequenceCall notes what asks a sequence, and refuses functions that tell of one which would be there on one PostgreSQL.
func (a *analysis) sequenceCall(f *pg.FuncCall) {
	name, _, _ := lastWord(f.Funcname)
	switch {
	case callsCatalog(f, "nextval"):
		a.survey.nexts = true
	case callsCatalog(f, "lastval"), callsCatalog(f, "currval"):
		a.survey.currents = append(a.survey.currents, f)
	}
	switch name {
	case "lastval":
		for _, t := range a.snap.Tables() {
			if t.Declared && idColumn(t) != "" {
				a.unsupported("lastval() is not supported beside tables whose ids pgring makes",
					"Column "+quoteIdent(idColumn(t))+" of "+quoteIdent(whole(t))+" takes its values from pgring.next_id(), not from a sequence.", "Use RETURNING.")
				return
			}
		}
	case "pg_get_serial_sequence":
		if len(f.Args) != 2 {
			return
		}
		a.special = true // it depends on literals
		t, column := a.namedTable(f.Args[0].GetAConst().GetSval().GetSval()), f.Args[1].GetAConst().GetSval().GetSval()
		if t == nil || t.Kind != topology.Sharded {
			return
		}
		if at := t.Column(column); at >= 0 && t.Columns[at].NextID {
			a.unsupported("column "+quoteIdent(column)+" of "+quoteIdent(whole(t))+" has no sequence",
				"It takes its values from pgring.next_id().", "There is nothing to set or restart.")
		}
	}
}

// namedTable finds a table by its name in a text, as regclass reads it; nil if there is none.
func (a *analysis) namedTable(text string) *topology.Table {
	var parts []string
	for text != "" {
		var part string
		if rest, quoted := strings.CutPrefix(text, `"`); quoted {
			end := strings.IndexByte(rest, '"')
			if end < 0 {
				return nil
			}
			part, text = rest[:end], strings.TrimPrefix(rest[end+1:], ".")
		} else {
			part, text, _ = strings.Cut(text, ".")
			part = strings.ToLower(strings.TrimSpace(part))
		}
		parts = append(parts, part)
	}
	var t *topology.Table
	switch len(parts) {
	case 1:
		t, _ = a.lookUp("", parts[0])
	case 2:
		t, _ = a.lookUp(parts[0], parts[1])
	}
	return t
}
