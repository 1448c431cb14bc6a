package router

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// DerivedKind is what a write does whose undoing is derived.
type DerivedKind uint8

// The kinds.
const (
	DerivedUnset  DerivedKind = iota
	DerivedInsert             // undone by DELETE
	DerivedUpdate             // undone by UPDATE to the old values
	DerivedAdd                // UPDATE that only adds to columns: undone by subtracting
	DerivedDelete             // undone by INSERT
)

// Derivation is what must be looked at, when a write runs, to be able to undo it without being told how (compensate: auto).
type Derivation struct {
	Kind    DerivedKind
	Table   *topology.Table
	Columns []string // UPDATE: those that it assigns

	// Before reads and locks the rows that an UPDATE or DELETE is about to change: ImageColumns of each. It has the statement's
	// own parameters. Rows that another session adds meanwhile are not among them.
	Before string

	// Text is the INSERT with the primary key of each new row, as text, behind the columns that it returns anyway.
	Text string
}

// Derive analyses a write for compensate: auto. The error is a *Refusal that says why it cannot be undone by a rule.
func (r *Router) Derive(snap *topology.Snapshot, env *Env, text string) (*Derivation, error) {
	node, err := parseOne([]byte(text))
	if err != nil {
		return nil, err
	}
	a := &analysis{router: r, snap: snap, env: env, st: &Statement{}, tables: map[topology.Name]*topology.Table{}, claimed: map[*pg.RangeVar]bool{}}
	d := &Derivation{}
	switch n := node.Node.(type) {
	case *pg.Node_InsertStmt:
		err = d.insert(a, n.InsertStmt, text)
	case *pg.Node_UpdateStmt:
		err = d.update(a, n.UpdateStmt)
	case *pg.Node_DeleteStmt:
		d.Kind = DerivedDelete
		err = d.rows(a, rowsOf{target: n.DeleteStmt.Relation, from: n.DeleteStmt.UsingClause, where: n.DeleteStmt.WhereClause, with: n.DeleteStmt.WithClause})
	default:
		err = Underived("Only INSERT, UPDATE and DELETE can be undone by a rule.")
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Underived is the refusal of a write that no rule can undo, with the reason.
func Underived(why string) *Refusal {
	return &Refusal{Reason: Unsupported, Message: "statement cannot be compensated automatically", Detail: why,
		Hint: "Say how it is undone: /* compensate: UPDATE … */ or /* compensate: none */."}
}

// of looks up the table that is written, and makes sure that its rows can be told apart.
func (d *Derivation) of(a *analysis, v *pg.RangeVar, with *pg.WithClause) error {
	t, _ := a.lookUp(v.Schemaname, v.Relname)
	switch {
	case t == nil || !t.Exists || len(t.Columns) == 0:
		return Underived("Nothing is known of the columns of " + quoteIdent(v.Relname) + ".")
	case t.RelKind != 'r' && t.RelKind != 'p':
		return Underived(quoteIdent(t.Table) + " is not a table.")
	case len(t.Primary) == 0:
		return Underived("Table " + quoteIdent(t.Table) + " has no primary key.")
	}
	if withWrites(with) {
		return Underived("Its WITH clause writes too.")
	}
	d.Table = t
	return nil
}

// withWrites reports whether a WITH clause, which may be nil, changes rows.
func withWrites(with *pg.WithClause) bool {
	for _, n := range with.GetCtes() {
		switch n.GetCommonTableExpr().GetCtequery().GetNode().(type) {
		case *pg.Node_SelectStmt:
		default:
			return true
		}
	}
	return false
}

// insert has an INSERT return the keys of its rows, as the server has stored them.
func (d *Derivation) insert(a *analysis, s *pg.InsertStmt, text string) error {
	d.Kind = DerivedInsert
	if err := d.of(a, s.Relation, s.WithClause); err != nil {
		return err
	}
	if s.OnConflictClause.GetAction() == pg.OnConflictAction_ONCONFLICT_UPDATE {
		return Underived("ON CONFLICT DO UPDATE changes rows that it has not inserted.")
	}
	word := " RETURNING "
	if len(s.ReturningList) > 0 {
		word = ", "
	}
	keys := make([]string, 0, len(d.Table.Primary))
	for _, column := range d.Table.Primary {
		keys = append(keys, quoteIdent(column)+"::pg_catalog.text")
	}
	d.Text = text[:endOf(text)] + word + strings.Join(keys, ", ")
	return nil
}

// endOf is where the last token of a statement ends, comments and semicolons aside.
func endOf(text string) int {
	scanner := sql.Scanner{Text: []byte(text)}
	for end := 0; ; {
		tok := scanner.Next()
		switch {
		case tok.Kind == sql.EOF || tok.Kind == sql.Error:
			return end
		case tok.Kind == sql.Comment, text[tok.Start:tok.End] == ";":
		default:
			end = tok.End
		}
	}
}

func (d *Derivation) update(a *analysis, s *pg.UpdateStmt) error {
	d.Kind = DerivedAdd
	if err := d.rows(a, rowsOf{target: s.Relation, from: s.FromClause, where: s.WhereClause, with: s.WithClause}); err != nil {
		return err
	}
	for _, n := range s.TargetList {
		target := n.GetResTarget()
		column := target.GetName()
		if slices.Contains(d.Table.Primary, column) {
			return Underived("It changes the primary key, by which its rows are found again.")
		}
		if d.Columns = append(d.Columns, column); !d.adds(s.Relation, target) {
			d.Kind = DerivedUpdate
		}
	}
	return nil
}

// adds says whether an assignment is c = c + k or c = c - k, of a type whose arithmetic is exact.
func (d *Derivation) adds(relation *pg.RangeVar, target *pg.ResTarget) bool {
	const int2, int4, int8, numeric = 21, 23, 20, 1700
	i := d.Table.Column(target.Name)
	e := target.Val.GetAExpr()
	if i < 0 || e == nil || len(target.Indirection) > 0 || e.Kind != pg.A_Expr_Kind_AEXPR_OP || len(e.Name) != 1 {
		return false
	}
	switch d.Table.Columns[i].Type {
	case int2, int4, int8, numeric:
	default:
		return false
	}
	op := e.Name[0].GetString_().GetSval()
	return (op == "+" || op == "-") && isColumn(e.Lexpr, relation, target.Name) && isAmount(e.Rexpr) ||
		op == "+" && isAmount(e.Lexpr) && isColumn(e.Rexpr, relation, target.Name)
}

func isColumn(n *pg.Node, relation *pg.RangeVar, name string) bool {
	fields, ok := words(n.GetColumnRef().GetFields())
	if !ok || len(fields) == 0 || fields[len(fields)-1] != name {
		return false
	}
	alias := relation.Relname
	if relation.Alias != nil {
		alias = relation.Alias.Aliasname
	}
	return len(fields) == 1 || len(fields) == 2 && fields[0] == alias
}

// isAmount says whether an expression is a constant or a parameter.
func isAmount(n *pg.Node) bool {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().Arg
	}
	return n.GetAConst() != nil || n.GetParamRef() != nil
}

// rowsOf is how a statement names the rows that it changes.
type rowsOf struct {
	target *pg.RangeVar
	from   []*pg.Node
	where  *pg.Node
	with   *pg.WithClause
}

// rows makes the query of the rows that are about to be changed.
func (d *Derivation) rows(a *analysis, of rowsOf) error {
	if err := d.of(a, of.target, of.with); err != nil {
		return err
	}
	if holdsCursor(of.where) {
		return Underived("WHERE CURRENT OF names no rows.")
	}
	alias := of.target.Relname
	if of.target.Alias != nil {
		if len(of.target.Alias.Colnames) > 0 {
			return Underived("Its alias renames columns.")
		}
		alias = of.target.Alias.Aliasname
	}
	lock := " FOR NO KEY UPDATE OF "
	if d.Kind == DerivedDelete {
		lock = " FOR UPDATE OF "
	}
	form, err := parseOne([]byte("SELECT " + d.ImageColumns(quoteIdent(alias)+".") + " FROM x" + lock + quoteIdent(alias)))
	if err != nil {
		return err
	}
	s := form.GetSelectStmt()
	s.FromClause = append([]*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: of.target}}}, of.from...)
	s.WhereClause, s.WithClause = of.where, of.with
	text, ok := deparse(s)
	if !ok {
		return Underived("The rows that it changes could not be named with certainty.")
	}
	d.Before = text
	return nil
}

// holdsCursor says whether WHERE CURRENT OF is in a condition.
func holdsCursor(n *pg.Node) bool { return strings.HasPrefix(namesSystemColumn(n), "ctid of a cursor") }

// ImageColumns lists what is read of a row as SQL: which version of it this is, all of it as one text, then each of Table's columns.
func (d *Derivation) ImageColumns(prefix string) string {
	return prefix + "tableoid::pg_catalog.text || " + prefix + "ctid::pg_catalog.text, " + d.whole(prefix) + ", " + d.columns(prefix)
}

// Whole is all columns of a row as one text, in SQL.
func (d *Derivation) Whole() string { return d.whole("") }

func (d *Derivation) whole(prefix string) string {
	return "ROW(" + d.columns(prefix) + ")::pg_catalog.text"
}

func (d *Derivation) columns(prefix string) string {
	names := make([]string, 0, len(d.Table.Columns))
	for i := range d.Table.Columns {
		names = append(names, prefix+quoteIdent(d.Table.Columns[i].Name))
	}
	return strings.Join(names, ", ")
}

// TableName is the table's name as SQL, with its schema.
func (d *Derivation) TableName() string { return sqlName(d.Table.Name) }
