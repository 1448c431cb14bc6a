package router

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/topology"
)

// constraint checks a constraint of a table; own is the column that it is
// written behind, if it is.
func (d *definition) constraint(c *pg.Constraint, own []string) {
	if c == nil {
		return
	}
	switch c.Contype {
	case pg.ConstrType_CONSTR_PRIMARY, pg.ConstrType_CONSTR_UNIQUE:
		columns, _ := words(c.Keys)
		if c.Indexname != "" {
			return // of an index that was checked when it was created
		}
		d.unique("a unique constraint", append(columns, own...))
	case pg.ConstrType_CONSTR_EXCLUSION:
		d.exclusion(c)
	case pg.ConstrType_CONSTR_FOREIGN:
		d.foreignKey(c, own)
	case pg.ConstrType_CONSTR_IDENTITY:
		d.noSequence(strings.Join(own, ""))
	case pg.ConstrType_CONSTR_DEFAULT:
		d.defaultValue(strings.Join(own, ""), c.RawExpr)
	case pg.ConstrType_CONSTR_GENERATED:
		if d.kind == topology.Sharded && slices.ContainsFunc(own, func(name string) bool { return slices.Contains(d.key, name) }) {
			d.a.refuse(invalid("the shard key "+quoteIdent(keyText(d.key))+" cannot be a generated column",
				"pgring places rows by the value that an INSERT gives.", "Make it a plain column."))
		}
	default:
	}
}

// unique checks that a unique constraint of a sharded table contains the key.
func (d *definition) unique(what string, columns []string) {
	if d.kind != topology.Sharded || topology.HoldsKey(columns, d.key) {
		return
	}
	d.a.refuse(invalid(what+" on sharded table "+quoteIdent(d.name)+" must contain the shard key",
		"Each shard sees its own rows only, so without "+quoteIdent(keyText(d.key))+" the same values could be on two shards.",
		"Add "+quoteIdent(keyText(d.key))+" to its columns."))
}

// exclusion checks EXCLUDE: the key must be one of its columns, with =.
func (d *definition) exclusion(c *pg.Constraint) {
	var columns []string
	for _, n := range c.Exclusions {
		items := n.GetList().GetItems()
		if len(items) == 2 && isEquals(items[1].GetList().GetItems()) {
			columns = append(columns, items[0].GetIndexElem().GetName())
		}
	}
	d.unique("an exclusion constraint", columns)
}

// foreignKey checks that the row referred to is on the same shard.
func (d *definition) foreignKey(c *pg.Constraint, own []string) {
	if c.Pktable == nil {
		return
	}
	from, _ := words(c.FkAttrs)
	from = append(from, own...)
	to, _ := words(c.PkAttrs)
	if d.relation != nil && c.Pktable.Relname == d.relation.Relname && c.Pktable.Schemaname == d.relation.Schemaname {
		d.a.claimed[c.Pktable] = true
		if d.kind == topology.Sharded {
			d.keyToKey(from, to, d.key, nil)
		}
		return
	}
	at := d.a.spotOf(c.Pktable)
	switch {
	case at.table == nil:
		if d.kind != topology.Home {
			d.leaves(c.Pktable.Relname, "which is not known as a sharded or reference table.")
		}
	case at.table.Kind == topology.Reference:
	case at.table.Kind == topology.Home:
		if d.kind != topology.Home {
			d.leaves(whole(at.table), "which is on one shard only.")
		}
	case d.kind != topology.Sharded:
		d.leaves(whole(at.table), "whose rows are on several shards.")
	case at.table.Group != d.group:
		d.leaves(whole(at.table), "which is not in its colocation group.")
	default:
		d.keyToKey(from, to, at.table.Key, at.table)
	}
}

// keyToKey checks that a foreign key leads from shard key to shard key.
func (d *definition) keyToKey(from, to, otherKey []string, other *topology.Table) {
	if len(to) == 0 && other != nil {
		to = other.Primary
	}
	paired := 0
	for i := range from {
		at := slices.Index(d.key, from[i])
		if at >= 0 && at < len(otherKey) && (len(to) == 0 && len(from) == 1 || i < len(to) && to[i] == otherKey[at]) {
			paired++
		}
	}
	if paired == len(d.key) {
		return
	}
	d.a.refuse(invalid("a foreign key of sharded table "+quoteIdent(d.name)+" must contain both shard keys",
		"Otherwise the row referred to may be on another shard.",
		"Reference "+quoteIdent(keyText(otherKey))+" with "+quoteIdent(keyText(d.key))+" among the columns."))
}

func (d *definition) leaves(other, why string) {
	d.a.refuse(invalid("a foreign key of "+quoteIdent(d.name)+" cannot reference "+quoteIdent(other),
		"It would lead to "+quoteIdent(other)+", "+why, "Leave the foreign key out, or declare the tables so that they live together."))
}
