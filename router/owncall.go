package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// OwnCall is SELECT pgring.saga_status(…), SELECT pgring.flush(…) or CALL pgring.saga(…): what the session answers itself, with arguments.
type OwnCall struct {
	Function string // saga_status, flush or saga
	Column   string // of the one row's one column
	args     []ownArgument
}

// ownArgument is a constant or a parameter.
type ownArgument struct {
	text  string
	null  bool
	param int // $n; 0: a constant
}

// Args returns the arguments as texts; nil is NULL.
func (o *OwnCall) Args(v Values) [][]byte {
	args := make([][]byte, 0, len(o.args))
	for _, a := range o.args {
		text := []byte(a.text)
		if a.param > 0 {
			value := Value{Null: true}
			if v != nil {
				value, _ = v.Value(a.param - 1)
			}
			text, a.null = append([]byte{}, value.Data...), value.Null
		}
		if a.null {
			text = nil
		}
		args = append(args, text)
	}
	return args
}

// ownCall recognises the calls that the session answers.
func (a *analysis) ownCall(n *pg.Node) bool {
	call, column := (*pg.FuncCall)(nil), ""
	switch s := n.Node.(type) {
	case *pg.Node_CallStmt:
		call, column = s.CallStmt.Funccall, "saga_id"
		if !isOwnFunction(call, "saga") {
			return false
		}
	case *pg.Node_SelectStmt:
		if !isBare(s.SelectStmt) || len(s.SelectStmt.TargetList) != 1 {
			return false
		}
		target := s.SelectStmt.TargetList[0].GetResTarget()
		call, column = target.GetVal().GetFuncCall(), target.GetName()
		if !isOwnFunction(call, "saga_status") && !isOwnFunction(call, "flush") {
			return false
		}
		if column == "" {
			column = call.Funcname[1].GetString_().GetSval()
		}
	default:
		return false
	}
	own := &OwnCall{Column: column}
	own.Function = call.Funcname[1].GetString_().GetSval()
	for _, arg := range call.Args {
		value, ok := ownArgumentOf(arg)
		if !ok {
			return false
		}
		own.args = append(own.args, value)
		a.st.Params = max(a.st.Params, value.param)
	}
	a.named(CallOwn, "")
	a.st.Access, a.special = Read, true
	a.st.Call = own
	return true
}

func isOwnFunction(f *pg.FuncCall, name string) bool {
	return f != nil && len(f.Funcname) == 2 && f.Funcname[0].GetString_().GetSval() == "pgring" &&
		f.Funcname[1].GetString_().GetSval() == name && !f.AggStar && f.Over == nil && f.AggFilter == nil
}

// ownArgumentOf reads a constant or a parameter; a cast around it says nothing new.
func ownArgumentOf(n *pg.Node) (ownArgument, bool) {
	if cast := n.GetTypeCast(); cast != nil {
		n = cast.Arg
	}
	if p := n.GetParamRef(); p != nil {
		return ownArgument{param: int(p.Number)}, true
	}
	c := n.GetAConst()
	if c == nil {
		return ownArgument{}, false
	}
	if c.Isnull {
		return ownArgument{null: true}, true
	}
	text, ok := constantText(c)
	return ownArgument{text: text}, ok
}
