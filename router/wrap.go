package router

import (
	"bytes"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// wrapping is the text of a statement around the query in it, such as COPY ( … )
// TO STDOUT or DECLARE … CURSOR FOR …: over several shards the query is pulled,
// and the final shard runs the statement with what the query has become.
type wrapping struct {
	before, after string
	look          string // Copy.Look
}

// wrap puts the pulled query back into the statement, where it stood from start to end.
func (a *analysis) wrap(query *pg.SelectStmt, start, end int) {
	p := a.st.pull
	if p == nil {
		return
	}
	text := a.src.text
	if start < end && end <= len(text) {
		again, err := pg.Parse(string(text[start:end]))
		if err == nil && len(again.Stmts) == 1 && sameTree(again.Stmts[0].Stmt, &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: query}}) {
			p.around.before, p.around.after = string(text[:start]), " "+string(text[end:])
			return
		}
	}
	a.st.pull = nil
	a.st.spread = &Refusal{Reason: Unsupported, Message: "statement cannot be answered from several shards",
		Detail: "Its query could not be found in its text with certainty.", Hint: "Write the statement in a simpler form."}
}

// declared analyses the query of a cursor. It is never gathered: a cursor stays
// open, and PostgreSQL has it move.
func (a *analysis) declared(query []byte) {
	st, err := a.router.Pull(a.snap, a.env, query)
	if err != nil {
		a.refuseFor(err)
		return
	}
	a.st.Inner, a.st.InnerText = st.after(string(a.src.text[:bytes.LastIndex(a.src.text, query)])), string(query)
}

// blank is as many spaces as the text has characters, so that what follows keeps
// its position.
func blank(text []byte) string { return strings.Repeat(" ", utf8.RuneCount(text)) }

// hasEffects says whether the statement may change anything besides what it
// makes of its query.
func (a *analysis) hasEffects() bool {
	for _, f := range a.survey.funcs {
		if a.classify(f).writes {
			return true
		}
	}
	return a.survey.writes > 0
}
