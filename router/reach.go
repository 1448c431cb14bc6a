package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// reached is a sharded table that code run by the statement may read behind
// the router's back: the body of a user function, or of DO.
type reached struct {
	group   string
	refusal *Refusal
}

// reach notes sharded tables that what the client calls may read. The plan must
// then be for one shard, by a key of their group: there the code sees the rows
// of that shard, as its author must know. pinnable: there may be such a key.
func (a *analysis) reach(what string, tables []*topology.Table, pinnable bool) {
	for _, t := range tables {
		if a.reaches(t.Group.Name) {
			continue
		}
		hint := "Run the query in it as a statement of its own, or use it where one value of " + quoteIdent(keyName(t)) +
			" pins the statement to a shard."
		if !pinnable {
			hint = "Send the statements in it one by one, or name a shard in a directive: /* pgring: shard=… */."
		}
		a.st.reached = append(a.st.reached, reached{t.Group.Name, &Refusal{
			Reason:  Unsupported,
			Message: what + " uses a sharded table",
			Detail:  "It names table " + quoteIdent(whole(t)) + ", whose rows are not all on the shard that it would run on.",
			Hint:    hint,
		}})
	}
}

func (a *analysis) reaches(group string) bool {
	for i := range a.st.reached {
		if a.st.reached[i].group == group {
			return true
		}
	}
	return false
}

// reachCalls notes what the functions called in the statement reach. Those in
// definitions are not called yet.
func (a *analysis) reachCalls(node *pg.Node) {
	switch n := node.Node.(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt, *pg.Node_CopyStmt,
		*pg.Node_CreateTableAsStmt, *pg.Node_CallStmt:
		_, procedure := node.Node.(*pg.Node_CallStmt)
		for _, f := range a.survey.funcs {
			a.reachCall(f, procedure)
		}
	case *pg.Node_DoStmt:
		for _, arg := range n.DoStmt.Args {
			if code := arg.GetDefElem().GetArg().GetString_(); code != nil {
				a.reach("code of DO", a.snap.Reached(topology.Words(code.Sval)), false)
			}
		}
	}
}

func (a *analysis) reachCall(f *pg.FuncCall, procedure bool) {
	name, ok := words(f.Funcname)
	if !ok || len(name) == 0 || len(name) == 2 && name[0] == catalogSchema {
		return
	}
	what, last := "function ", name[len(name)-1]
	if procedure {
		what = "procedure "
	}
	a.reach(what+quoteIdent(last), a.snap.ReachedBy(last), !procedure)
}

// reachView notes what the functions in the query of a view reach.
func (a *analysis) reachView(t *topology.Table) {
	a.reach("a function in view "+quoteIdent(whole(t)), a.snap.ReachedThrough(t), true)
}

// reach refuses a plan under which code would see some rows of a table only.
func (p *planner) reach() *Refusal {
	if p.s.forced != "" || p.alone() {
		return nil
	}
	for i := range p.s.reached {
		if r := &p.s.reached[i]; !p.wholeGroup(r.group) && !p.pinnedBy(r.group) {
			return r.refusal
		}
	}
	return nil
}

// wholeGroup says whether the plan's shard has all rows of a group.
func (p *planner) wholeGroup(group string) bool {
	owners := p.owners(group)
	return len(owners) == 1 && owners[0] == p.plan.Shard && len(p.plan.Shards) == 0 && len(p.plan.Parts) == 0
}

// pinnedBy says whether keys of the group lead the statement to its shard.
func (p *planner) pinnedBy(group string) bool {
	if p.plan.Kind != One {
		return false
	}
	for i := range p.s.needs {
		if n := &p.s.needs[i]; n.group == group && n.any != nil && p.found&(1<<min(i, 63)) != 0 {
			return true
		}
	}
	return false
}

// relationReader says whether a function tells something of a relation that
// each shard can tell of its own part only: its size, its pages, its use.
func relationReader(name string) bool {
	switch name {
	case "pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_relation_filenode", "pg_relation_filepath",
		"pgstattuple", "pgstattuple_approx", "pgstatindex", "pg_relpages", "pgrowlocks", "pg_freespace", "pg_visibility",
		"pg_visibility_map", "pg_visibility_map_summary", "pg_check_frozen", "pg_check_visible", "pg_prewarm":
		return true
	}
	_, statistics := cutPrefix(name, "pg_stat_get_")
	return statistics
}

// reader refuses functions such as pg_relation_size on a sharded table that is
// given as a constant. Given by oid, from a catalog, they answer for the home
// shard, as the catalog does.
func (a *analysis) reader(f *pg.FuncCall) {
	name, _, _ := lastWord(f.Funcname)
	if !relationReader(name) {
		return
	}
	for _, arg := range f.Args {
		for arg.GetTypeCast() != nil {
			arg = arg.GetTypeCast().Arg
		}
		text := arg.GetAConst().GetSval()
		if text == nil {
			continue
		}
		a.special = true // the name is a literal
		schema, table, ok := relationName(text.Sval)
		if !ok {
			continue
		}
		if t, _ := a.lookUp(schema, table); t != nil && t.Kind == topology.Sharded {
			a.onlySingle(&Refusal{
				Reason:  Unsupported,
				Message: "function " + quoteIdent(name) + " would tell of one shard only",
				Detail:  "The rows of table " + quoteIdent(whole(t)) + " are on several shards.",
				Hint:    "SHOW TABLES on the console has the sums of all shards, or ask each shard: /* pgring: shard=… */ before the statement.",
			})
		}
	}
}

// relationName reads a relation's name as regclass does: unquoted parts are
// folded to lower case. False: it is none.
func relationName(text string) (schema, table string, ok bool) {
	var parts []string
	part, quoted, open := []byte{}, false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' && open && i+1 < len(text) && text[i+1] == '"':
			part = append(part, c)
			i++
		case c == '"':
			open, quoted = !open, true
		case open:
			part = append(part, c)
		case c == '.':
			parts, part, quoted = append(parts, string(part)), nil, false
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
		default:
			part = append(part, foldCase(string(c))...)
		}
	}
	parts = append(parts, string(part))
	switch {
	case open || len(part) == 0 && !quoted:
		return "", "", false
	case len(parts) == 1:
		return "", parts[0], true
	}
	return parts[len(parts)-2], parts[len(parts)-1], true
}
