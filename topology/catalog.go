package topology

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// catalog is what one database's system catalog says about the user's relations and functions. Immutable once loaded.
type catalog struct {
	turn        int64 // order in which loads began: of two catalogs the one with the higher turn is newer
	fingerprint string
	relations   []relation // by name
	schemas     string     // its part for the schemas that there are
	byName      map[Name]*relation
	functions   map[string][]Function
}

// relation is the part of a Table that comes from the catalog, and what tells whether two shards have the same one.
type relation struct {
	oid     uint32
	table   Table
	formats []string // of each column, the type as format_type writes it; oids of user types differ between servers
}

func (c *catalog) relation(name Name) *relation {
	if c == nil {
		return nil
	}
	return c.byName[name]
}

// sameContent reports whether plans made with one catalog are right with the other.
func (c *catalog) sameContent(o *catalog) bool {
	if c == nil || o == nil {
		return c == o
	}
	return reflect.DeepEqual(c.relations, o.relations) && reflect.DeepEqual(c.functions, o.functions)
}

// sameColumns reports whether rows of one relation fit the other: same names, types and generated columns, in the same order.
func (r *relation) sameColumns(o *relation) bool {
	if !slices.Equal(r.formats, o.formats) || len(r.table.Columns) != len(o.table.Columns) {
		return false
	}
	for i, c := range r.table.Columns {
		if d := o.table.Columns[i]; c.Name != d.Name || c.NotNull != d.NotNull || c.Generated != d.Generated {
			return false
		}
	}
	return true
}

// loadCatalog reads the catalog of the connected database, all of it from one snapshot.
func loadCatalog(ctx context.Context, conn *pgx.Conn) (*catalog, error) {
	c := &catalog{functions: make(map[string][]Function)}
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
		// So that every name is qualified that is not in pg_catalog, whatever the login's search_path, and constants in the queries
		// of views mean the same under any settings.
		if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_catalog; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 1"); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, fingerprintSQL).Scan(&c.fingerprint); err != nil {
			return err
		}
		c.schemas = c.fingerprint[strings.LastIndexByte(c.fingerprint, '.')+1:]
		if err := c.readRelations(ctx, tx); err != nil {
			return err
		}
		return c.readFunctions(ctx, tx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return c, nil
}

func (c *catalog) readRelations(ctx context.Context, tx pgx.Tx) error {
	var r relation
	rows, err := tx.Query(ctx, relationsSQL)
	if err != nil {
		return err
	}
	var kind string
	if _, err = pgx.ForEachRow(rows, []any{&r.oid, &r.table.Schema, &r.table.Table, &kind, &r.table.Silent}, func() error {
		r.table.Exists, r.table.RelKind = true, kind[0]
		c.relations = append(c.relations, r)
		return nil
	}); err != nil {
		return err
	}
	slices.SortFunc(c.relations, func(a, b relation) int { return compareNames(a.table.Name, b.table.Name) })
	c.byName = make(map[Name]*relation, len(c.relations))
	byOID := make(map[uint32]*relation, len(c.relations))
	for i := range c.relations {
		r := &c.relations[i]
		c.byName[r.table.Name], byOID[r.oid] = r, r
	}
	return readDetails(ctx, tx, byOID)
}

// readDetails adds columns, unique keys, parents, and the relations and functions that views use. Rows about relations that are not the
// user's are dropped.
func readDetails(ctx context.Context, tx pgx.Tx, byOID map[uint32]*relation) error {
	var oid, other uint32
	var column Column
	var format string
	if err := forEach(ctx, tx, columnsSQL, func() {
		if r := byOID[oid]; r != nil {
			column.TypeName = format
			r.table.Columns = append(r.table.Columns, column)
			r.formats = append(r.formats, format)
		}
	}, &oid, &column.Name, &column.Type, &column.Modifier, &column.NotNull, &column.HasDefault, &column.DefaultVolatile,
		&column.NextID, &column.Default, &column.Generated, &column.Identity, &column.Domain, &column.CCollation, &column.Nondeterministic, &format); err != nil {
		return err
	}
	var primary bool
	var columns []string
	if err := forEach(ctx, tx, uniqueSQL, func() {
		if r := byOID[oid]; r != nil {
			r.table.Unique = append(r.table.Unique, slices.Clone(columns))
			if primary {
				r.table.Primary = slices.Clone(columns)
			}
		}
	}, &oid, &primary, &columns); err != nil {
		return err
	}
	if err := forEach(ctx, tx, parentsSQL, func() {
		if r, parent := byOID[oid], byOID[other]; r != nil && parent != nil {
			r.table.Parents = append(r.table.Parents, parent.table.Name)
		}
	}, &oid, &other); err != nil {
		return err
	}
	if err := forEach(ctx, tx, usesSQL, func() {
		if r, used := byOID[oid], byOID[other]; r != nil && used != nil {
			r.table.Uses = append(r.table.Uses, used.table.Name)
		}
	}, &oid, &other); err != nil {
		return err
	}
	var definition string
	if err := forEach(ctx, tx, viewsSQL, func() {
		if r := byOID[oid]; r != nil {
			r.table.Definition = definition
		}
	}, &oid, &definition); err != nil {
		return err
	}
	var function string
	return forEach(ctx, tx, callsSQL, func() {
		if r := byOID[oid]; r != nil {
			r.table.Calls = append(r.table.Calls, function)
		}
	}, &oid, &function)
}

func forEach(ctx context.Context, tx pgx.Tx, sql string, body func(), targets ...any) error {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, targets, func() error { body(); return nil })
	return err
}

func (c *catalog) readFunctions(ctx context.Context, tx pgx.Tx) error {
	var name, body string
	var f Function
	return forEach(ctx, tx, functionsSQL, func() {
		f.Words = Words(body)
		c.functions[name] = append(c.functions[name], f)
	}, &name, &f.Schema, &f.Volatile, &f.SetReturning, &f.Aggregate, &f.Window, &f.Procedure, &body)
}
