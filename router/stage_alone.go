package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgring/pgring/topology"
)

// names is what the FROM lists in a query call things.
type names struct {
	relations map[string]bool
	columns   map[string]bool
	ctes      map[string]bool // of the statement around the query
	unknown   bool            // some columns are not known
	needed    bool            // tables that not every shard has
}

// standsAlone says whether a subquery needs tables that not every shard has, and
// seems to name nothing but its own tables. That it really does not is for the
// server to say: alone, such a query is an error there.
func (w *staging) standsAlone(n *pg.Node) bool {
	known := w.namesIn(n)
	alone := known.needed
	visitColumns(n, func(ref *pg.ColumnRef) {
		fields, _ := words(ref.Fields)
		switch {
		case len(fields) == 0: // *
		case len(fields) == 1 && ref.Fields[len(ref.Fields)-1].GetAStar() == nil:
			alone = alone && (known.unknown || known.columns[fields[0]])
		default:
			alone = alone && (known.relations[fields[0]] || len(fields) > 2 && known.relations[fields[1]])
		}
	})
	return alone
}

// namesIn lists the names in a query. The statement's WITH clause is no table.
func (w *staging) namesIn(n *pg.Node) names {
	known := names{relations: map[string]bool{}, columns: map[string]bool{}, ctes: map[string]bool{}}
	for _, e := range w.ctes.GetCtes() {
		known.ctes[e.GetCommonTableExpr().Ctename] = true
	}
	known.collect(w.a, n.ProtoReflect())
	return known
}

// collect notes the names that a message and all below it introduce.
func (k *names) collect(a *analysis, m protoreflect.Message) {
	switch n := m.Interface().(type) {
	case *pg.RangeVar:
		k.table(a, n)
	case *pg.Alias:
		k.relations[n.Aliasname] = true
		list, _ := words(n.Colnames)
		for _, name := range list {
			k.columns[name] = true
		}
	case *pg.CommonTableExpr:
		k.relations[n.Ctename] = true
		list, _ := words(n.Aliascolnames)
		for _, name := range list {
			k.columns[name] = true
		}
	case *pg.ResTarget:
		k.columns[n.Name] = true
	case *pg.RangeFunction, *pg.RangeTableFunc, *pg.JsonTable:
		k.unknown = true
	}
	eachChild(m, func(child protoreflect.Message) { k.collect(a, child) })
}

func (k *names) table(a *analysis, v *pg.RangeVar) {
	k.relations[v.Relname] = true
	if v.Schemaname == "" && k.ctes[v.Relname] {
		k.unknown = true
		return
	}
	t, to := a.lookUp(v.Schemaname, v.Relname)
	if to != targetTable || len(t.Columns) == 0 {
		k.unknown, k.needed = true, true
		return
	}
	k.needed = k.needed || t.Kind != topology.Reference
	for i := range t.Columns {
		k.columns[t.Columns[i].Name] = true
	}
}
