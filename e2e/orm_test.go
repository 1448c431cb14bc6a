package e2e

import (
	"testing"
)

// The object-relational mappers make their schema through pgring, on tables of every kind, and work on it as applications do:
// create, read, update and delete, relations, transactions. Most keys of sharded tables are the application's; members have those that the
// mapper leaves to the database.

const ormTables = `
  - {name: users, shard_key: [id]}
  - {name: posts, shard_key: [user_id], colocate: users}
  - {name: articles, shard_key: [id]}
  - {name: members, shard_key: [id]}
  - {name: regions, strategy: reference}`

// ormLayout has no tables yet; audits, which is not declared, will be on the first shard.
func ormLayout() layout { return layout{tables: ormTables} }

func TestSequelize(t *testing.T) {
	t.Parallel()
	start(t, ormLayout()).runScript(t, "node", "node/orm_sequelize.mjs")
}

func TestSQLAlchemy(t *testing.T) {
	t.Parallel()
	start(t, ormLayout()).runScript(t, "/usr/bin/python3", "python/orm_sqlalchemy.py")
}

func TestDjango(t *testing.T) {
	t.Parallel()
	start(t, ormLayout()).runScript(t, "/usr/bin/python3", "python/orm_django.py")
}
