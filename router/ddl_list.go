package router

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
)

// listed is one element of a statement's list of relations, and where it is.
type listed struct {
	node *pg.Node
	at   spot
}

// listStatement analyses statements on a list of relations, which are divided
// when the relations are in different places.
func (a *analysis) listStatement(n *pg.Node) bool {
	switch s := n.Node.(type) {
	case *pg.Node_TruncateStmt:
		a.st.truncates = true
		a.st.Access = Write
		list := a.ranges(s.TruncateStmt.Relations)
		if s.TruncateStmt.RestartSeqs {
			a.restartsIDs(list)
		}
		a.divide(n, list, func(list []*pg.Node) *pg.Node {
			c := clone(n)
			c.GetTruncateStmt().Relations = list
			return c
		})
	case *pg.Node_VacuumStmt:
		a.vacuum(n, s.VacuumStmt)
	case *pg.Node_LockStmt:
		a.lock(n, s.LockStmt)
	case *pg.Node_GrantStmt:
		a.grant(n, s.GrantStmt)
	case *pg.Node_DropStmt:
		a.drop(n, s.DropStmt)
	default:
		return false
	}
	return true
}

// ranges finds the relations of a list of range variables.
func (a *analysis) ranges(list []*pg.Node) []listed {
	out := make([]listed, 0, len(list))
	for _, n := range list {
		out = append(out, listed{n, a.spotOf(n.GetRangeVar())})
	}
	return out
}

// divide runs a statement on the shards of its relations. with returns the
// statement on some of them.
func (a *analysis) divide(n *pg.Node, list []listed, with func([]*pg.Node) *pg.Node) {
	everywhere, homes := 0, []ring.ShardID{}
	for _, l := range list {
		if l.at.everywhere {
			everywhere++
		} else if !contains(homes, l.at.shard) {
			homes = append(homes, l.at.shard)
		}
	}
	switch {
	case everywhere == len(list):
		a.broadcast()
		return
	case everywhere == 0 && len(homes) == 1:
		a.onHome(homes[0])
		return
	}
	a.broadcast()
	for _, shard := range homes {
		a.addPart(part{shard: shard}, with(select1(list, shard)), len(homes) == 1)
	}
	if everywhere > 0 {
		a.addPart(part{all: true}, with(select1(list, "")), false)
	}
}

// addPart adds a part with the text of a statement; the client's own text if it
// is the whole statement.
func (a *analysis) addPart(p part, n *pg.Node, whole bool) {
	if !whole {
		var ok bool
		if p.sql, ok = deparseNode(n); !ok {
			a.notWritten()
		}
	}
	a.st.parts = append(a.st.parts, p)
}

// select1 returns the elements that a shard has: those on every shard, and its
// home ones.
func select1(list []listed, shard ring.ShardID) []*pg.Node {
	var out []*pg.Node
	for _, l := range list {
		if l.at.everywhere || l.at.shard == shard {
			out = append(out, l.node)
		}
	}
	return out
}

func contains(list []ring.ShardID, shard ring.ShardID) bool {
	for _, s := range list {
		if s == shard {
			return true
		}
	}
	return false
}

// vacuum analyses VACUUM and ANALYZE. Without a table they are for every shard.
func (a *analysis) vacuum(n *pg.Node, s *pg.VacuumStmt) {
	a.st.Access = Write
	a.st.NoTransaction = s.IsVacuumcmd
	if len(s.Rels) == 0 {
		a.st.ShardByShard = true // it touches temporary tables, too, which no prepared transaction may
		a.broadcast()
		return
	}
	list := make([]listed, 0, len(s.Rels))
	for _, r := range s.Rels {
		list = append(list, listed{r, a.spotOf(r.GetVacuumRelation().GetRelation())})
	}
	a.divide(n, list, func(rels []*pg.Node) *pg.Node {
		c := clone(n)
		c.GetVacuumStmt().Rels = rels
		return c
	})
}

// shareLock is the weakest lock that keeps writers out, as the parser numbers them.
const shareLock = 5

// lock analyses LOCK TABLE: the locks are taken shard by shard, in the same
// order by everyone.
func (a *analysis) lock(n *pg.Node, s *pg.LockStmt) {
	a.st.Access = Write
	a.st.locksOut = s.Mode >= shareLock
	list := a.ranges(s.Relations)
	for _, l := range list {
		if l.at.everywhere {
			a.st.Locks = append(a.st.Locks, sqlName(l.at.table.Name))
		}
	}
	a.divide(n, list, func(relations []*pg.Node) *pg.Node {
		c := clone(n)
		c.GetLockStmt().Relations = relations
		return c
	})
}

// grant analyses GRANT and REVOKE.
func (a *analysis) grant(n *pg.Node, s *pg.GrantStmt) {
	switch s.Objtype {
	case pg.ObjectType_OBJECT_TABLE:
		if s.Targtype != pg.GrantTargetType_ACL_TARGET_OBJECT {
			a.broadcast()
			return
		}
		a.divide(n, a.ranges(s.Objects), func(list []*pg.Node) *pg.Node {
			c := clone(n)
			c.GetGrantStmt().Objects = list
			return c
		})
	case pg.ObjectType_OBJECT_SEQUENCE:
		if s.Targtype != pg.GrantTargetType_ACL_TARGET_OBJECT {
			a.broadcast()
			return
		}
		a.onHome(a.snap.Home)
	case pg.ObjectType_OBJECT_SCHEMA, pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE,
		pg.ObjectType_OBJECT_TYPE, pg.ObjectType_OBJECT_DOMAIN, pg.ObjectType_OBJECT_LANGUAGE:
		a.broadcast()
	case pg.ObjectType_OBJECT_FOREIGN_SERVER, pg.ObjectType_OBJECT_FDW, pg.ObjectType_OBJECT_LARGEOBJECT:
		a.onHome(a.snap.Home)
	default:
		a.notOnShards("granting privileges on databases, tablespaces and parameters")
	}
}

// drop analyses DROP of the objects that are dropped by name.
func (a *analysis) drop(n *pg.Node, s *pg.DropStmt) {
	a.st.NoTransaction = s.Concurrent
	switch s.RemoveType {
	case pg.ObjectType_OBJECT_TABLE:
		a.dropTables(n, s)
	case pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_FOREIGN_TABLE,
		pg.ObjectType_OBJECT_FOREIGN_SERVER, pg.ObjectType_OBJECT_FDW:
		a.onHome(a.snap.Home)
	case pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_RULE, pg.ObjectType_OBJECT_POLICY:
		a.dropOnTable(s)
	case pg.ObjectType_OBJECT_PUBLICATION, pg.ObjectType_OBJECT_EVENT_TRIGGER, pg.ObjectType_OBJECT_ACCESS_METHOD:
		a.notOnShards("dropping this object")
	default:
		if s.MissingOk {
			a.broadcast()
			return
		}
		lenient := clone(n)
		lenient.GetDropStmt().MissingOk = true
		a.strictAtHome(n, lenient)
	}
}

// dropTables analyses DROP TABLE.
func (a *analysis) dropTables(n *pg.Node, s *pg.DropStmt) {
	list := make([]listed, 0, len(s.Objects))
	for _, object := range s.Objects {
		v, ok := rangeOf(object.GetList().GetItems())
		if !ok {
			a.notWritten()
			return
		}
		list = append(list, listed{object, a.spotOf(v)})
	}
	a.divide(n, list, func(objects []*pg.Node) *pg.Node {
		c := clone(n)
		c.GetDropStmt().Objects = objects
		return c
	})
}

// dropOnTable analyses DROP of something that belongs to a table: the last word
// is its own name, those before it the table's.
func (a *analysis) dropOnTable(s *pg.DropStmt) {
	items := s.Objects[0].GetList().GetItems()
	if len(items) < 2 {
		a.notWritten()
		return
	}
	v, ok := rangeOf(items[:len(items)-1])
	if !ok || len(s.Objects) > 1 {
		a.notWritten()
		return
	}
	if name, ok := words(items[len(items)-1:]); ok && s.RemoveType == pg.ObjectType_OBJECT_TRIGGER {
		a.ownTrigger(name[0])
	}
	a.onSpot(a.spotOf(v))
}

// rangeOf turns a qualified name into a range variable.
func rangeOf(items []*pg.Node) (*pg.RangeVar, bool) {
	name, ok := words(items)
	switch {
	case !ok || len(name) == 0 || len(name) > 2:
		return nil, false
	case len(name) == 2:
		return &pg.RangeVar{Schemaname: name[0], Relname: name[1]}, true
	}
	return &pg.RangeVar{Relname: name[0]}, true
}
