package difftest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/ring"
)

type kind int

const (
	sharded kind = iota + 1
	reference
	home
)

// relation is a table of the setup.
type relation struct {
	name string
	kind kind
	key  string
	by   string // how keys find their shard: int, text, uuid, tuple, ledger, invoices
}

// relations are in an order in which foreign keys lead back.
func relations() []relation {
	return []relation{
		{"people", sharded, "id", "int"}, {"orders", sharded, "person_id", "int"}, {"lines", sharded, "person_id", "int"},
		{"accounts", sharded, "login", "text"}, {"devices", sharded, "id", "uuid"}, {"bag", sharded, "k", "int"},
		{"hollow", sharded, "id", "int"}, {"seats", sharded, "ROW(hall, place)", "tuple"}, {"tickets", sharded, "ROW(hall, place)", "tuple"}, {"ledger", sharded, "account_id", "ledger"}, {"invoices", sharded, "country", "invoices"},
		{"countries", reference, "code", ""}, {"products", reference, "sku", ""}, {"notes", home, "id", ""}, {"settings", home, "k", ""},
	}
}

// stored is one row of a table.
type stored struct{ key, row string }

// store reads and restores the tables of one database past pgring.
type store struct {
	conn      *pgconn.PgConn
	name      string
	relations []relation
	rows      map[string][]stored // what the last look saw, sorted
	kept      map[string][]stored // what the setup has made
}

func openStore(t testing.TB, dsn string, relations []relation) *store {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), dsn)
	must(t, err)
	t.Cleanup(func() { closeConn(conn) })
	s := &store{conn: conn, relations: relations}
	s.must(t, "SET session_replication_role = replica; SET TimeZone = 'Europe/Berlin'")
	return s
}

func (s *store) must(t testing.TB, sql string) {
	t.Helper()
	_, err := s.run(sql)
	must(t, err)
}

func (s *store) run(sql string) ([]*pgconn.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), statementLimit)
	defer cancel()
	results, err := s.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sql, err)
	}
	return results, nil
}

// keep remembers the rows as they are: here, and in temporary tables that nobody else sees.
func (s *store) keep(t testing.TB) {
	t.Helper()
	for _, r := range s.relations {
		s.must(t, fmt.Sprintf("CREATE TEMP TABLE kept_%s AS TABLE public.%[1]s", r.name))
	}
	must(t, s.look())
	s.kept = s.rows
}

// look reads all tables.
func (s *store) look() error {
	var queries []string
	for _, r := range s.relations {
		queries = append(queries, fmt.Sprintf("SELECT %s::text, t::text FROM public.%s t", r.key, r.name))
	}
	results, err := s.run(strings.Join(queries, ";"))
	if err != nil {
		return err
	}
	s.rows = map[string][]stored{}
	for i, result := range results {
		var rows []stored
		for _, row := range result.Rows {
			rows = append(rows, stored{string(row[0]), string(row[1])})
		}
		slices.SortFunc(rows, compareStored)
		s.rows[s.relations[i].name] = rows
	}
	return nil
}

func compareStored(a, b stored) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.row, b.row))
}

// restore undoes what statements have done to the tables, as the last look saw it.
func (s *store) restore() error {
	var queries []string
	for _, r := range s.relations {
		if !slices.Equal(s.rows[r.name], s.kept[r.name]) {
			queries = append(queries, fmt.Sprintf("DELETE FROM public.%s; INSERT INTO public.%[1]s SELECT * FROM kept_%[1]s", r.name))
		}
	}
	if len(queries) == 0 {
		return nil
	}
	if _, err := s.run(strings.Join(queries, ";")); err != nil {
		return err
	}
	s.rows = s.kept
	return nil
}

// lookAll reads the tables everywhere.
func (l *lab) lookAll() { l.everywhere((*store).look) }

func (l *lab) restore() { l.everywhere((*store).restore) }

// everywhere does the same to all stores at a time.
func (l *lab) everywhere(do func(*store) error) {
	var group errgroup.Group
	for _, s := range l.allStores() {
		group.Go(func() error { return do(s) })
	}
	must(l.t, group.Wait())
}

// compareTables says where the shards together, after a new look at them, hold other rows than the plain server, or hold a
// row on a shard that is not its key's.
func (l *lab) compareTables() string {
	l.lookAll()
	var report strings.Builder
	for _, r := range l.relations {
		want := l.plainStore.rows[r.name]
		switch r.kind {
		case home:
			describeRows(&report, r.name+" on s1", want, l.stores[0].rows[r.name])
		case reference:
			for i, s := range l.stores {
				describeRows(&report, r.name+" on "+shardName(i), want, s.rows[r.name])
			}
		case sharded:
			var all []stored
			for i, s := range l.stores {
				all = append(all, s.rows[r.name]...)
				l.checkOwner(&report, r, i)
			}
			slices.SortFunc(all, compareStored)
			describeRows(&report, r.name, want, all)
		}
	}
	return report.String()
}

// mirrorDiffers says that a write left other rows on the mirror: PostgreSQL does not fix what it does.
func (l *lab) mirrorDiffers() bool {
	for _, r := range l.relations {
		if !slices.Equal(l.plainStore.rows[r.name], l.mirrorStore.rows[r.name]) {
			return true
		}
	}
	return false
}

func (l *lab) checkOwner(report *strings.Builder, r relation, shard int) {
	for _, row := range l.stores[shard].rows[r.name] {
		if owner := l.owners.owner(l.t, r.by, row.key); owner != shardName(shard) {
			fmt.Fprintf(report, "%s: row %s is on %s, its owner is %s\n", r.name, row.row, shardName(shard), owner)
		}
	}
}

// describeRows lists rows that only one side has. Both are sorted.
func describeRows(report *strings.Builder, what string, want, got []stored) {
	for len(want) > 0 || len(got) > 0 {
		switch {
		case len(got) == 0 || len(want) > 0 && compareStored(want[0], got[0]) < 0:
			fmt.Fprintf(report, "%s: lost     %s\n", what, want[0].row)
			want = want[1:]
		case len(want) == 0 || compareStored(want[0], got[0]) > 0:
			fmt.Fprintf(report, "%s: surplus  %s\n", what, got[0].row)
			got = got[1:]
		default:
			want, got = want[1:], got[1:]
		}
	}
}

// placement computes, without asking pgring, where keys belong.
type placement struct {
	m     *ring.Map
	known map[[2]string]string
}

func newPlacement(t testing.TB) *placement {
	t.Helper()
	shards := make([]ring.Shard, shardCount)
	for i := range shards {
		shards[i] = ring.Shard{ID: ring.ShardID(shardName(i)), Weight: 1}
	}
	r, err := ring.New(ring.Config{VirtualNodes: 128, LoadBound: 1.05}, shards)
	must(t, err)
	return &placement{m: r.Place(), known: map[[2]string]string{}}
}

func (p *placement) owner(t testing.TB, by, key string) string {
	t.Helper()
	owner, ok := p.known[[2]string{by, key}]
	if !ok {
		owner = p.find(t, by, key)
		p.known[[2]string{by, key}] = owner
	}
	return owner
}

// find knows the ranges and values of tables.yaml.
func (p *placement) find(t testing.TB, by, key string) string {
	t.Helper()
	switch by {
	case "ledger":
		var account int64
		if _, err := fmt.Sscan(key, &account); err != nil {
			t.Fatal(err)
		}
		switch {
		case account < 1000:
			return "s1"
		case account < 2000:
			return "s2"
		}
		return "s3"
	case "invoices":
		if shard := map[string]string{"DE": "s1", "FR": "s2"}[key]; shard != "" {
			return shard
		}
		return "s3"
	}
	parsed, err := ring.ParseKey(map[string]ring.KeyType{"int": ring.KeyInt, "text": ring.KeyText, "uuid": ring.KeyUUID, "tuple": ring.TupleType(ring.KeyInt, ring.KeyText)}[by], []byte(key))
	must(t, err)
	return string(p.m.Locate(parsed).Shard)
}
