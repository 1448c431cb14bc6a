package router

import (
	"errors"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// source is the text of one statement to analyse.
type source struct {
	text      []byte
	offset    int           // of text in the message, which the literals' positions count from
	literals  []sql.Literal // nil when literals are not to be told apart from the rest
	directive bool          // a /* pgring: … */ comment is in it
	empty     bool
	pull      bool      // gather is out of the question
	rows      *sql.Rows // text has one row of each of their shapes; nil: it is a statement as it was sent
}

// analysis is the work on one statement. It ends with st filled in; general
// says that st holds for every statement with the same normal form.
type analysis struct {
	router *Router
	snap   *topology.Snapshot
	env    *Env
	src    source
	st     *Statement

	root     *pg.Node // the statement, not one in it
	special  bool     // st depends on literals: it is not for the whole normal form
	refused  *Refusal // first reason not to run it at all
	alone    *Refusal // first reason not to run it unless all its rows are on one shard
	survey   survey
	refs     []*rel // sharded relations, in the order they were met
	written  []write
	inserts  map[*rel]*pg.InsertStmt
	follow   *follow        // INSERT … SELECT
	strays   *Refusal       // why INSERT … SELECT cannot run where its rows are not all on one shard, unless it is split
	homes    []ring.ShardID // shards of home relations
	catalogs bool           // uses system catalogs or relations unknown here
	tables   map[topology.Name]*topology.Table
	sublinks map[*pg.SubLink]*query
	byRange  map[*pg.RangeVar]*rel
	typed    map[*pg.ParamRef]ring.KeyType // parameters that stand where a key of this type does
	claimed  map[*pg.RangeVar]bool         // range variables that the scopes have understood
	levels   []*query                      // every SELECT and the like
	undated  map[any]bool                  // constants and parameters stored in columns that are no dates
	defaults []string                      // columns set to a DEFAULT that shards may compute differently
}

// analyse parses and analyses one statement. general: the result holds for all
// statements of the same normal form. The error is a *Refusal that concerns the
// message rather than this statement.
func (r *Router) analyse(snap *topology.Snapshot, env *Env, src source) (st *Statement, general bool, err error) {
	a := &analysis{
		router: r, snap: snap, env: env, src: src, st: &Statement{Verb: Plain, core: core{env: env}},
		tables: map[topology.Name]*topology.Table{}, claimed: map[*pg.RangeVar]bool{},
		sublinks: map[*pg.SubLink]*query{}, inserts: map[*rel]*pg.InsertStmt{},
		byRange: map[*pg.RangeVar]*rel{}, typed: map[*pg.ParamRef]ring.KeyType{}, undated: map[any]bool{},
	}
	if src.empty {
		a.st.Verb, a.st.Access = Empty, Read
		a.local()
		return a.st, false, nil
	}
	var forced directives
	if src.directive {
		if forced, err = readDirectives(src.text); err != nil {
			return nil, false, err
		}
	}
	if inner, ok := cutExplainRoute(src.text); ok {
		return a.explainRoute(inner)
	}
	node, err := parseOne(src.text)
	if err != nil {
		return nil, false, err
	}
	if text := a.expand(node); text != "" {
		return r.expanded(a, text)
	}
	a.statement(node)
	a.apply(forced)
	a.finish()
	return a.st, !a.special, nil
}

// parseOne parses a text that holds one statement.
func parseOne(text []byte) (*pg.Node, error) {
	if !utf8.Valid(text) {
		return nil, &Refusal{
			Reason: Unsupported, Message: "statement is not valid UTF-8",
			Hint: "Use client_encoding UTF8 through pgring for statements with characters outside ASCII.",
		}
	}
	tree, err := pg.Parse(string(text))
	if err != nil {
		return nil, syntaxError(err)
	}
	if len(tree.Stmts) != 1 {
		return nil, &Refusal{Reason: SyntaxError, Message: "statement boundaries are not understood",
			Hint: "Send the statements one by one."}
	}
	return tree.Stmts[0].Stmt, nil
}

func syntaxError(err error) *Refusal {
	var e *parser.Error
	if !errors.As(err, &e) {
		return &Refusal{Reason: TooComplex, Message: "statement is too complex", Detail: "Its parse tree cannot be read."}
	}
	reason := SyntaxError
	if strings.Contains(e.Message, "stack depth") || strings.Contains(e.Message, "memory") {
		reason = TooComplex
	}
	return &Refusal{Reason: reason, Message: e.Message, Position: e.Cursorpos}
}

// statement dispatches on the kind of statement.
func (a *analysis) statement(node *pg.Node) {
	if a.root == nil {
		a.root = node
	}
	if a.sessionStatement(node) || !a.src.directive && (a.generate(node) || a.ownCall(node)) {
		return
	}
	a.survey.walk(node)
	a.st.Params = a.survey.maxParam
	a.reachCalls(node)
	switch n := node.Node.(type) {
	case *pg.Node_SelectStmt:
		a.selectStatement(n.SelectStmt)
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		a.writeStatement(node)
	default:
		a.special = true
		a.utility(node)
	}
}

// refuse notes why the statement cannot be run; the first reason stays.
func (a *analysis) refuse(r *Refusal) {
	if a.refused == nil {
		a.refused = r
	}
}

// onlyAlone notes why the statement can be run only where one shard has all the
// rows concerned; the first reason stays.
func (a *analysis) onlyAlone(r *Refusal) {
	if a.alone == nil {
		a.alone = r
	}
}

// onlySingle notes why the statement can be run only in a cluster of one shard;
// the first reason stays.
func (a *analysis) onlySingle(r *Refusal) {
	if a.st.single == nil {
		a.st.single = r
	}
}

// unsupported refuses with reason Unsupported.
func (a *analysis) unsupported(message, detail, hint string) {
	a.refuse(&Refusal{Reason: Unsupported, Message: message, Detail: detail, Hint: hint})
}

// home notes that the statement uses relations of this shard.
func (a *analysis) home(shard ring.ShardID) {
	for _, s := range a.homes {
		if s == shard {
			return
		}
	}
	a.homes = append(a.homes, shard)
}

// local plans a statement that the session handles itself: if it is sent
// anywhere at all, any shard will do.
func (a *analysis) local() {
	a.st.route = routeHome
	a.st.anywhere = true
}

// finish moves the verdicts into the statement.
func (a *analysis) finish() {
	a.st.refused = a.refused
	a.st.alone = a.alone
	a.certainParams()
	a.st.needsLiterals = a.st.fixed == nil && a.st.usesLiterals()
	a.nameTables()
	a.st.point, a.st.resident = a.st.pointOf(a.snap), a.st.isResident()
	inert, written := a.inertly()
	a.st.inert, a.st.literals = inert, a.parametric(written)
	a.st.callsUser = a.survey.callsUser
	a.st.asksSequence = a.st.asksSequence || a.asksSequence()
	a.st.drawsSequence = a.st.drawsSequence || a.drawsSequence()
}

// certainParams finds the parameters whose every use is as a key of one type:
// nothing else in the statement can give them another.
func (a *analysis) certainParams() {
	for i := range a.st.needs {
		for j := range a.st.needs[i].any {
			a.st.needs[i].any[j].each(func(o *operand) {
				if o.kind == operandParam && o.shared {
					o.shared = !a.onlyKeys(int32(o.index+1), o.keyType)
				}
			})
		}
	}
}

func (a *analysis) onlyKeys(n int32, keyType ring.KeyType) bool {
	for _, p := range a.survey.params {
		if t, ok := a.typed[p]; p.Number == n && (!ok || t != keyType) {
			return false
		}
	}
	return true
}
