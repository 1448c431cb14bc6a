package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// survey lists what occurs anywhere in a parse tree. It visits every node,
// whatever its kind, so that nothing can hide from the analysis in a clause
// that it does not look at.
type survey struct {
	ranges    []*pg.RangeVar
	funcs     []*pg.FuncCall
	casts     []*pg.TypeName
	params    []*pg.ParamRef
	maxParam  int
	texts     []*pg.A_Const // string constants
	defaults  int           // DEFAULT in the place of a value
	constants int
	volatile  bool // CURRENT_TIMESTAMP and the like
	locking   bool
	into      bool
	sublinks  int
	windows   int
	writes    int // data-modifying statements
	samples   int // TABLESAMPLE
	limits    int // clauses that choose rows: LIMIT, OFFSET, DISTINCT ON, window functions

	// Found by classifying funcs.
	callsUser     bool
	currents      []*pg.FuncCall // of lastval and currval
	nexts         bool           // nextval is called
	volatileCalls bool
}

func (s *survey) walk(n *pg.Node) {
	if n != nil {
		s.message(n.ProtoReflect())
	}
}

// message visits m and all below it.
func (s *survey) message(m protoreflect.Message) {
	s.note(m)
	eachChild(m, s.message)
}

// eachChild visits the messages directly below m.
func eachChild(m protoreflect.Message, visit func(protoreflect.Message)) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			list := v.List()
			for i := range list.Len() {
				visit(list.Get(i).Message())
			}
		default:
			visit(v.Message())
		}
		return true
	})
}

func (s *survey) note(m protoreflect.Message) {
	switch n := m.Interface().(type) {
	case *pg.RangeVar:
		s.ranges = append(s.ranges, n)
	case *pg.FuncCall:
		s.funcs = append(s.funcs, n)
		if n.Over != nil {
			s.windows++
			s.limits++
		}
	case *pg.TypeName:
		s.casts = append(s.casts, n)
	case *pg.ParamRef:
		s.params = append(s.params, n)
		s.maxParam = max(s.maxParam, int(n.Number))
	case *pg.A_Const:
		s.constants++
		if _, ok := n.Val.(*pg.A_Const_Sval); ok {
			s.texts = append(s.texts, n)
		}
	case *pg.SetToDefault:
		s.defaults++
	case *pg.SQLValueFunction:
		s.volatile = true
	case *pg.LockingClause:
		s.locking = true
	case *pg.IntoClause:
		s.into = true
	case *pg.SelectStmt:
		if n.LimitCount != nil || n.LimitOffset != nil || distinctOn(n) {
			s.limits++
		}
	case *pg.SubLink:
		s.sublinks++
	case *pg.RangeTableSample:
		s.samples++
	case *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt:
		s.writes++
	}
}

// uses returns how often parameter n (from 1) occurs.
func (s *survey) uses(n int32) int {
	uses := 0
	for _, p := range s.params {
		if p.Number == n {
			uses++
		}
	}
	return uses
}

// children calls visit for each node directly below the message of n, lists
// flattened. visit gets Nodes only: typed sub-messages such as a WindowDef are
// passed through to the Nodes below them.
func children(m protoreflect.Message, visit func(*pg.Node)) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			list := v.List()
			for i := range list.Len() {
				child(list.Get(i).Message(), visit)
			}
		default:
			child(v.Message(), visit)
		}
		return true
	})
}

func child(m protoreflect.Message, visit func(*pg.Node)) {
	if n, ok := m.Interface().(*pg.Node); ok {
		visit(n)
		return
	}
	children(m, visit)
}
