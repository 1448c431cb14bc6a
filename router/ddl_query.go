package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// queryStatement analyses utilities that contain a query.
func (a *analysis) queryStatement(n *pg.Node) bool {
	switch s := n.Node.(type) {
	case *pg.Node_ExplainStmt:
		a.explain(s.ExplainStmt)
	case *pg.Node_CopyStmt:
		a.copy(s.CopyStmt)
	case *pg.Node_CreateTableAsStmt:
		a.createTableAs(s.CreateTableAsStmt)
	case *pg.Node_ViewStmt:
		a.view(s.ViewStmt)
	case *pg.Node_RefreshMatViewStmt:
		a.refresh(s.RefreshMatViewStmt)
	case *pg.Node_RuleStmt:
		a.rule(s.RuleStmt)
	default:
		return false
	}
	return true
}

// explain analyses EXPLAIN: it runs where its statement would.
func (a *analysis) explain(s *pg.ExplainStmt) {
	inner := &analysis{
		router: a.router, snap: a.snap, env: a.env, src: a.src, st: &Statement{Verb: Plain, core: core{env: a.env}},
		tables: map[topology.Name]*topology.Table{}, claimed: map[*pg.RangeVar]bool{}, sublinks: map[*pg.SubLink]*query{},
		inserts: map[*rel]*pg.InsertStmt{}, byRange: map[*pg.RangeVar]*rel{}, typed: map[*pg.ParamRef]ring.KeyType{},
		undated: map[any]bool{}, root: a.root,
	}
	switch s.Query.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt, *pg.Node_CreateTableAsStmt:
		inner.statement(s.Query)
	default:
		a.unsupported("EXPLAIN of this statement is not supported", "Queries and writes are explained as they are written.", "Write the statement in the place of EXECUTE.")
		return
	}
	inner.finish()
	a.st.Access = Read
	executes := analyzes(s.Options)
	st := inner.st
	if !executes {
		st.Access, st.Pin = Read, PinNone
	}
	if st.route == routeBroadcast {
		a.onHome(a.snap.Home)
		if executes {
			a.onlySingle(&Refusal{Reason: Unsupported, Message: "EXPLAIN ANALYZE of a write to a reference table is not supported",
				Detail: "It would write on one shard only.", Hint: "Use EXPLAIN."})
		}
		return
	}
	a.adopt(st, &Refusal{Reason: Unsupported, Message: "EXPLAIN of a statement on several shards is not supported",
		Detail: "Each shard has a plan of its own.", Hint: "EXPLAIN ROUTE shows what is sent to which shard."})
	a.tables = inner.tables
	a.st.row, a.st.target = nil, topology.Name{} // what EXPLAIN answers is not the answer to the write
	a.explainSpread(s)
	a.st.needsLiterals = st.needsLiterals
}

// analyzes says whether EXPLAIN executes its statement.
func analyzes(options []*pg.Node) bool {
	for _, n := range options {
		d := n.GetDefElem()
		if d.GetDefname() != "analyze" {
			continue
		}
		if d.Arg == nil {
			return true
		}
		word := d.Arg.GetString_().GetSval()
		if c := d.Arg.GetAConst(); c != nil {
			word, _ = constantText(c)
		}
		if d.Arg.GetInteger() != nil {
			return d.Arg.GetInteger().Ival != 0
		}
		return isOn(word)
	}
	return false
}

// copy analyses COPY.
func (a *analysis) copy(s *pg.CopyStmt) {
	a.st.Verb, a.st.Access = CopyOut, Read
	if s.IsFrom {
		a.st.Verb, a.st.Access = CopyIn, Write
	}
	server := s.Filename != "" || s.IsProgram
	if server {
		a.st.Verb, a.st.Access = Plain, Write
	}
	if s.Query != nil {
		a.copyQuery(s)
		return
	}
	at := a.spotOf(s.Relation)
	a.st.needs = nil
	if s.IsFrom {
		a.inserting(at.table)
	}
	switch {
	case !at.everywhere:
		a.onHome(at.shard)
		if at.table != nil && at.table.RelKind != 'm' {
			a.reachView(at.table)
		}
		for _, under := range readsOf(at.table) {
			a.under(at.table, under)
		}
		if len(a.refs) > 0 {
			a.onlySingle(&Refusal{Reason: Unsupported, Message: "COPY of a view over sharded tables is not supported",
				Detail: "The view would see the rows of one shard only.", Hint: "COPY a query of the table itself."})
		}
	case s.IsFrom && !server:
		a.copyInto(s, at.table)
	case at.table.Kind == topology.Reference:
		a.onHome(a.snap.Home)
		if s.IsFrom {
			a.onlySingle(&Refusal{Reason: Unsupported, Message: "COPY of a server's file into a reference table is not supported",
				Detail: "The file is on one server.", Hint: "Use COPY … FROM STDIN."})
		}
	default:
		a.copySharded(s, at.table)
	}
}

func readsOf(t *topology.Table) []*topology.Table {
	if t == nil || t.RelKind == 'm' {
		return nil
	}
	return t.Reads
}

// copySharded plans COPY of a sharded table to the client, or with a server's
// file.
func (a *analysis) copySharded(s *pg.CopyStmt, t *topology.Table) {
	a.st.route = routeRows
	a.st.needs = append(a.st.needs, requirement{group: t.Group.Name, table: whole(t), key: t.Key})
	if a.st.Verb == CopyOut {
		a.st.out = outOf(s.Options)
		a.copiedColumns(s, t)
		return
	}
	what, hint := "COPY of a sharded table into a server's file is not supported", "Use COPY … TO STDOUT."
	if s.IsFrom {
		what, hint = "COPY of a server's file into a sharded table is not supported", "Use COPY … FROM STDIN."
	}
	a.onlyAlone(&Refusal{Reason: Unsupported, Message: what,
		Detail: "The rows of " + quoteIdent(whole(t)) + " are on several shards.", Hint: hint})
}

// copiedColumns notes what a query must select to give what COPY of a table does.
func (a *analysis) copiedColumns(s *pg.CopyStmt, t *topology.Table) {
	if t.RelKind != 'r' || !t.Exists {
		a.st.uncopied = true
		return
	}
	names, _ := words(s.Attlist)
	for i := range t.Columns {
		if len(s.Attlist) == 0 && !t.Columns[i].Generated {
			names = append(names, t.Columns[i].Name)
		}
	}
	a.st.copied, a.st.anchor = names, anchor{table: s.Relation.Relname, key: t.Key}
}

// outOf reads the options of COPY TO that matter where data are put together.
// What is wrong with them each shard tells.
func outOf(options []*pg.Node) *Out {
	out := &Out{}
	for _, n := range options {
		switch d := n.GetDefElem(); d.GetDefname() {
		case "format":
			out.Binary = optionText(d.Arg) == "binary"
		case "header":
			text := optionText(d.Arg)
			out.Header = text == "" || isOn(text)
		}
	}
	return out
}

// copyQuery plans COPY (query) TO.
func (a *analysis) copyQuery(s *pg.CopyStmt) {
	verb, access := a.st.Verb, a.st.Access
	sel := s.Query.GetSelectStmt()
	if sel != nil {
		a.selectStatement(sel)
	} else {
		a.writeStatement(s.Query)
	}
	a.st.Verb, a.st.Access, a.st.anywhere = verb, max(access, a.st.Access), false
	if a.st.route == routeBroadcast {
		a.unsupported("COPY of a write to a reference table is not supported", "It is written on every shard.", "Use the statement itself.")
	}
	if sel != nil && verb == CopyOut && (a.st.gather != nil || a.st.pull != nil) {
		a.copyOut(s, sel)
		return
	}
	a.notSpread(&Refusal{Reason: Unsupported, Message: "COPY of this statement over several shards is not supported",
		Detail: "Its rows are on several shards.", Hint: "Give it a shard key, or use COPY of a query TO STDOUT."})
}

// copyOut plans COPY (SELECT …) TO STDOUT over several shards: each answers for
// itself where the rows need only be put together, else one shard does over
// copied rows.
func (a *analysis) copyOut(s *pg.CopyStmt, sel *pg.SelectStmt) {
	if g := a.st.gather; g != nil {
		if g.concatenates() {
			a.st.out = outOf(s.Options)
			return
		}
		a.st.gather = nil
		if a.st.pull, a.st.spread = a.planPull(sel); a.st.pull == nil {
			return
		}
		a.st.pull.why = "COPY over several shards has rows put in order or counted by one."
	}
	start, end := cutCopy(a.src.text)
	a.wrap(sel, start, end)
	if a.st.pull != nil {
		a.st.pull.around.look = blank(a.src.text[:start]) + string(a.src.text[start:end])
	}
}

// createTableAs analyses CREATE TABLE AS and CREATE MATERIALIZED VIEW.
func (a *analysis) createTableAs(s *pg.CreateTableAsStmt) {
	a.createFromQuery(s.Query, s.Into)
	if a.st.pull == nil {
		return
	}
	if s.Objtype != pg.ObjectType_OBJECT_TABLE {
		a.st.pull = nil
		a.st.spread = &Refusal{Reason: Unsupported, Message: "a materialized view of the rows of several shards is not supported",
			Detail: "Its query would be run again on one shard whenever it is refreshed.", Hint: "Use CREATE TABLE AS."}
		return
	}
	start, end := cutTableAs(a.src.text, s.Into.SkipData)
	a.wrap(s.Query.GetSelectStmt(), start, end)
}

// createFromQuery analyses CREATE TABLE AS, CREATE MATERIALIZED VIEW and SELECT
// INTO: the table is a home table, so its query must be answered there.
func (a *analysis) createFromQuery(query *pg.Node, into *pg.IntoClause) {
	a.st.Access = Define
	sel := query.GetSelectStmt()
	if sel == nil {
		a.unsupported("CREATE TABLE AS EXECUTE is not supported", "", "Write the query itself.")
		return
	}
	if into.Rel.Relpersistence == "t" {
		a.temporary(into.Rel)
	} else {
		a.undeclared(into.Rel, "a table from a query")
	}
	q := a.selectQuery(sel, nil, nil, nil)
	a.claimed[into.Rel] = true
	a.conclude(q)
	a.st.Access = Define
	if a.st.route == routeReference {
		a.st.route = routeHome
	}
	a.home(a.snap.Home)
	a.st.homes = a.homes
	if a.st.route != routeRows {
		return
	}
	if a.st.pull, a.st.spread = a.planPull(sel); a.st.pull != nil {
		a.st.pull.why = "The new table is there."
	}
}

// temporary notes the creation of a temporary relation.
func (a *analysis) temporary(v *pg.RangeVar) {
	a.claimed[v] = true
	a.st.Pin = PinTemp
	a.st.TempTables = []topology.Name{{Table: v.Relname}}
	if t := a.snap.Resolve(a.env.path, v.Relname); t != nil && t.Kind != topology.Home {
		a.refuse(&Refusal{
			Reason:  InvalidDefinition,
			Message: "cannot create a temporary table named " + quoteIdent(v.Relname),
			Detail:  "It would hide the " + t.Kind.String() + " table of that name.",
			Hint:    "Choose another name.",
		})
	}
}

// view analyses CREATE VIEW.
func (a *analysis) view(s *pg.ViewStmt) {
	if s.View.Relpersistence == "t" {
		a.temporary(s.View)
	} else {
		a.undeclared(s.View, "a view")
	}
	q := a.selectQuery(s.Query.GetSelectStmt(), nil, nil, nil)
	a.conclude(q)
	a.st.Access = Define
	a.definesView(s.View)
	a.onHome(a.snap.Home)
}

// noShardedRefs refuses the sharded relations that the analysis has met.
func (a *analysis) noShardedRefs(message, detail string) {
	if len(a.refs) > 0 {
		a.unsupported(message, detail+" It reads "+quoteIdent(whole(a.refs[0].table))+".", "Query the table itself.")
	}
	a.st.needs = nil
}

// refresh analyses REFRESH MATERIALIZED VIEW.
func (a *analysis) refresh(s *pg.RefreshMatViewStmt) {
	a.st.Access = Write
	at := a.spotOf(s.Relation)
	a.onHome(at.shard)
	if at.table == nil {
		return
	}
	a.reachView(at.table)
	for _, under := range at.table.Reads {
		if under.Kind == topology.Sharded {
			a.onlySingle(&Refusal{Reason: Unsupported, Message: "a materialized view over sharded tables cannot be refreshed",
				Detail: "It reads " + quoteIdent(whole(under)) + ", whose rows are on several shards.", Hint: "Query the table itself."})
		}
	}
}

// rule refuses rules that rewrite statements behind the router's back.
func (a *analysis) rule(s *pg.RuleStmt) {
	at := a.spotOf(s.Relation)
	if at.everywhere {
		a.unsupported("rules on sharded and reference tables are not supported",
			"A rule would turn a statement into others that pgring does not see.", "Use a trigger.")
	}
	a.onHome(at.shard)
	a.noOtherTables()
}
