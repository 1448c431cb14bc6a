package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The nodes that rewriting needs.

func typeName(name string) *pg.TypeName {
	return &pg.TypeName{Names: []*pg.Node{pg.MakeStrNode(catalogSchema), pg.MakeStrNode(name)}, Typemod: -1}
}

func cast(n *pg.Node, to string) *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: n, TypeName: typeName(to)}}}
}

func infix(operator string, left, right *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_AExpr{AExpr: &pg.A_Expr{
		Kind: pg.A_Expr_Kind_AEXPR_OP, Name: []*pg.Node{pg.MakeStrNode(operator)}, Lexpr: left, Rexpr: right,
	}}}
}

func coalesce(args ...*pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: args}}}
}

func least(args ...*pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_MinMaxExpr{MinMaxExpr: &pg.MinMaxExpr{Op: pg.MinMaxOp_IS_LEAST, Args: args}}}
}

func integer(v int32) *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Ival{Ival: &pg.Integer{Ival: v}}}}}
}

func decimal(v string) *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Fval{Fval: &pg.Float{Fval: v}}}}}
}

func nullConst() *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true}}}
}

func columnNode(names ...string) *pg.Node {
	fields := make([]*pg.Node, len(names))
	for i, name := range names {
		fields[i] = pg.MakeStrNode(name)
	}
	return &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: fields}}}
}

func resTarget(name string, val *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: name, Val: val}}}
}

// clone copies a parse tree.
func clone[M proto.Message](m M) M { return proto.Clone(m).(M) }

// sameTree says whether two parse trees are equal but for positions in the
// text.
func sameTree(x, y proto.Message) bool {
	x, y = proto.Clone(x), proto.Clone(y)
	forgetPositions(x.ProtoReflect())
	forgetPositions(y.ProtoReflect())
	return proto.Equal(x, y)
}

func forgetPositions(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Name() == "location" || field.Name() == "stmt_location" || field.Name() == "stmt_len":
			m.Clear(field)
		case field.Message() == nil:
		case field.IsList():
			list := v.List()
			for i := range list.Len() {
				forgetPositions(list.Get(i).Message())
			}
		default:
			forgetPositions(v.Message())
		}
		return true
	})
}

// parserVersion is the version of PostgreSQL that pg_query's parser comes from;
// the deparser refuses trees of another one.
const parserVersion = 170007

// deparse writes a SELECT as text. ok: the text, parsed, is the same tree.
func deparse(s *pg.SelectStmt) (string, bool) {
	return deparseNode(&pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}})
}

// deparseNode writes a statement as text. ok: the text, parsed, is the same
// tree, so that it means the same.
func deparseNode(n *pg.Node) (text string, ok bool) {
	tree := &pg.ParseResult{Version: parserVersion, Stmts: []*pg.RawStmt{{Stmt: n}}}
	text, err := pg.Deparse(tree)
	if err != nil {
		return "", false
	}
	again, err := pg.Parse(text)
	if err != nil || len(again.Stmts) != 1 {
		return "", false
	}
	return text, sameTree(n, again.Stmts[0].Stmt)
}
