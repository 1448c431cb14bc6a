package rebalance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// Finding is something that is not as the map says.
type Finding struct {
	Problem string // stray, doubled, differs or leftover
	Table   string // empty for leftovers
	Shard   ring.ShardID
	Rows    int64 // that are affected; 0 where that means nothing
	Detail  string
}

// Verified is what [Controller.Verify] has looked at.
type Verified struct {
	Tables, Shards int
	Rows           int64 // of sharded tables, each once
	Findings       []Finding
}

// verifyAtOnce is how many shards are looked at at a time.
const verifyAtOnce = 4

// Verify looks at all shards for what contradicts the map, and changes nothing: rows of sharded tables, and what pgring keeps beside them
// (idempotency keys, the progress of asynchronous writes, dead letters), where their keys do not belong, those among the former whose keys have rows on their owner too, reference tables that are not the same everywhere, and what moves
// that are over have left behind. It reads every row. Rows that are hidden because of a move under way are in their place, so it may
// be used at any time; to moves it is like any statement on several shards, for each table and shard anew.
func (c *Controller) Verify(ctx context.Context) (*Verified, error) {
	snap := c.cfg.Topology.Current()
	if snap == nil {
		return nil, topology.ErrNotStarted
	}
	var shards []topology.Shard
	for _, s := range snap.Shards {
		if s.State != topology.Joining {
			shards = append(shards, s)
		}
	}
	checks := make([]*shardCheck, len(shards))
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(verifyAtOnce)
	for i, s := range shards {
		checks[i] = &shardCheck{controller: c, shard: s}
		// owner: Verify, which waits; ends with the check.
		group.Go(func() error {
			if err := checks[i].run(limited); err != nil {
				return fmt.Errorf("shard %s: %w", s.ID, err)
			}
			return nil
		})
	}
	err := group.Wait()
	defer func() {
		for _, check := range checks {
			if check.conn != nil {
				hangUp(ctx, check.conn)
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	found := &Verified{Shards: len(shards), Tables: declared(snap)}
	for _, check := range checks {
		found.Rows += check.rows
		found.Findings = append(found.Findings, check.findings...)
	}
	doubled, err := c.doubled(ctx, checks)
	if err != nil {
		return nil, err
	}
	differ, err := c.compareCopies(ctx, snap, checks)
	if err != nil {
		return nil, err
	}
	found.Findings = append(append(found.Findings, doubled...), differ...)
	return found, nil
}

func declared(snap *topology.Snapshot) (n int) {
	for _, t := range snap.Tables() {
		if t.Declared && t.Exists && (t.Kind == topology.Sharded || t.Kind == topology.Reference) {
			n++
		}
	}
	return n
}

// shardCheck looks at one shard.
type shardCheck struct {
	controller *Controller
	shard      topology.Shard
	conn       *pgx.Conn
	rows       int64
	findings   []Finding
	strays     []strayKeys
}

// strayKeys are some keys that have rows where they do not belong.
type strayKeys struct {
	table *topology.Table
	keys  []ring.Key
}

func (s *shardCheck) run(ctx context.Context) error {
	conn, err := s.controller.cfg.Dial(ctx, s.shard)
	if err != nil {
		return err
	}
	s.conn = conn
	if _, err := conn.Exec(ctx, sessionSettings); err != nil {
		return err
	}
	for _, t := range s.controller.cfg.Topology.Current().Tables() {
		if t.Declared && t.Exists && t.Kind == topology.Sharded && t.Problem == "" && t.KeyType != ring.KeyUnset {
			if err := s.table(ctx, t.Name); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
	}
	for _, g := range s.controller.cfg.Topology.Current().Groups() {
		if err := s.own(ctx, g.Name); err != nil {
			return fmt.Errorf("group %s: %w", g.Name, err)
		}
	}
	return s.leftovers(ctx)
}

// own looks for rows of pgring's own tables that go with a group's keys, where those do not belong.
func (s *shardCheck) own(ctx context.Context, group string) error {
	use := s.controller.cfg.Topology.NewUse()
	defer use.Close()
	snap := use.Begin()
	g := snap.Group(group)
	if g == nil {
		return nil
	}
	placed, bySlots := g.Placement.(*ring.Map)
	if !bySlots {
		return nil
	}
	hidden := snap.Hidden(group, s.shard.ID)
	for _, t := range ownTables(&topology.Move{Group: group, Slots: placed.Part(s.shard.ID)}) {
		var there bool
		if err := s.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", t.sql).Scan(&there); err != nil {
			return err
		}
		if !there {
			continue
		}
		var strays int64
		var key string
		err := s.conn.QueryRow(ctx, "SELECT count(*), coalesce(min(shard_key), '') FROM "+t.sql+" WHERE placed = $1 AND NOT "+t.moving+" AND NOT "+t.in(hidden, ""), group).Scan(&strays, &key)
		if err != nil {
			return err
		}
		if strays > 0 {
			s.findings = append(s.findings, Finding{Problem: "stray", Table: t.name.String(), Shard: s.shard.ID, Rows: strays,
				Detail: fmt.Sprintf("of group %s, whose key %s belongs to another shard", group, key)})
		}
	}
	return nil
}

// strayShown is how many stray keys of a table are looked for on their owners.
const strayShown = 100

// table counts the rows that belong here, and looks for those that do not. The snapshot of the map is held meanwhile.
func (s *shardCheck) table(ctx context.Context, name topology.Name) error {
	use := s.controller.cfg.Topology.NewUse()
	defer use.Close()
	snap := use.Begin()
	t := snap.Table(name.Schema, name.Table)
	if t == nil || t.Group == nil {
		return nil
	}
	placed, bySlots := t.Group.Placement.(*ring.Map)
	if !bySlots {
		return nil // ranges and lists do not move
	}
	sql, key := pgx.Identifier{t.Schema, t.Table}.Sanitize(), keySQL(t)
	var there bool
	if err := s.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", sql).Scan(&there); err != nil || !there {
		return err
	}
	hidden := snap.Hidden(t.Group.Name, s.shard.ID)
	part := placed.Part(s.shard.ID)
	belongs, excused := part.InSQL(t.KeyType, key...), hidden.InSQL(t.KeyType, key...)
	var rows, strays int64
	var texts []string
	err := s.conn.QueryRow(ctx, `SELECT count(*) FILTER (WHERE belongs), count(*) FILTER (WHERE belongs IS NOT TRUE AND excused IS NOT TRUE),
	coalesce((array_agg(DISTINCT key) FILTER (WHERE belongs IS NOT TRUE AND excused IS NOT TRUE AND key IS NOT NULL))[1:`+fmt.Sprint(strayShown)+`], '{}')
FROM (SELECT `+keyText(key)+` AS key, `+belongs+` AS belongs, `+excused+` AS excused FROM `+sql+`) r`).Scan(&rows, &strays, &texts)
	if err != nil {
		return err
	}
	s.rows += rows
	if strays == 0 {
		return nil
	}
	found := strayKeys{table: t}
	for _, text := range texts {
		if k, err := ring.ParseKey(t.KeyType, []byte(text)); err == nil {
			found.keys = append(found.keys, k)
		}
	}
	detail := "their keys are NULL"
	if len(found.keys) > 0 {
		k := found.keys[0]
		detail = fmt.Sprintf("the first is of key %s, slot %d, which belongs to shard %s", k, k.Slot(), placed.Locate(k).Shard)
	}
	s.findings = append(s.findings, Finding{Problem: "stray", Table: name.String(), Shard: s.shard.ID, Rows: strays, Detail: detail})
	s.strays = append(s.strays, found)
	return nil
}

// keyText is the text of a key in SQL, as ring.ParseKey reads it; NULL where a column is.
func keyText(key []string) string {
	if len(key) == 1 {
		return key[0] + "::text"
	}
	return "CASE WHEN " + strings.Join(key, " IS NOT NULL AND ") + " IS NOT NULL THEN ROW(" + strings.Join(key, ", ") + ")::text END"
}

// leftovers lists what moves make on a shard, of moves that are not there any longer.
func (s *shardCheck) leftovers(ctx context.Context) error {
	known := []string{}
	snap := s.controller.cfg.Topology.Current()
	for _, m := range snap.Moves {
		known = append(known, fmt.Sprint(m.ID))
	}
	found, err := texts(ctx, s.conn, `SELECT what FROM (
	SELECT 'publication ' || pubname AS what, substring(pubname FROM '^pgring_move_([0-9]+)') AS move FROM pg_publication
	UNION ALL SELECT DISTINCT 'triggers ' || substring(tgname FROM '^(?:zz|AA)_pgring_move_[0-9]+') || ' on ' || tgrelid::regclass,
		substring(tgname FROM '^(?:zz|AA)_pgring_move_([0-9]+)_') FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0
	UNION ALL SELECT 'replication slot ' || slot_name, substring(slot_name FROM '^`+clusterPrefix(snap.ClusterID)+`([0-9]+)_') FROM pg_replication_slots
		WHERE database = current_database()) w WHERE move IS NOT NULL AND NOT move = ANY ($1)`, known)
	if err != nil {
		return err
	}
	if len(found) > 0 && slices.ContainsFunc(s.controller.cfg.Topology.Current().Moves, func(m *topology.Move) bool { return !slices.Contains(known, fmt.Sprint(m.ID)) }) {
		return s.leftovers(ctx) // a move has begun meanwhile
	}
	for _, what := range found {
		s.findings = append(s.findings, Finding{Problem: "leftover", Shard: s.shard.ID, Detail: what + " is of a move that is over"})
	}
	return nil
}

// doubled asks the owners of stray keys whether they have rows of them, too.
func (c *Controller) doubled(ctx context.Context, checks []*shardCheck) ([]Finding, error) {
	var all []Finding
	for _, check := range checks {
		for _, stray := range check.strays {
			placed := stray.table.Group.Placement
			for _, owner := range checks {
				keys := slices.DeleteFunc(slices.Clone(stray.keys), func(k ring.Key) bool { return placed.Locate(k).Shard != owner.shard.ID })
				if len(keys) == 0 {
					continue
				}
				var rows int64
				sql := "SELECT count(*) FROM " + pgx.Identifier{stray.table.Schema, stray.table.Table}.Sanitize() + " WHERE " +
					(&ring.SlotSet{}).With(keys...).InSQL(stray.table.KeyType, keySQL(stray.table)...)
				if err := owner.conn.QueryRow(ctx, sql).Scan(&rows); err != nil {
					return nil, fmt.Errorf("shard %s: table %s: %w", owner.shard.ID, stray.table.Name, err)
				}
				if rows > 0 {
					all = append(all, Finding{Problem: "doubled", Table: stray.table.Name.String(), Shard: owner.shard.ID, Rows: rows,
						Detail: fmt.Sprintf("its rows of keys that have stray rows on shard %s, such as %s", check.shard.ID, keys[0])})
				}
			}
		}
	}
	return all, nil
}

// copiesTries is how often copies of a reference table are compared before a difference is believed: a write that is on its way
// reaches the shards one after the other.
const copiesTries = 3

// compareCopies compares the reference tables of all shards with the home shard's.
func (c *Controller) compareCopies(ctx context.Context, snap *topology.Snapshot, checks []*shardCheck) ([]Finding, error) {
	var all []Finding
	for _, t := range snap.Tables() {
		if !t.Declared || !t.Exists || t.Kind != topology.Reference {
			continue
		}
		var found []Finding
		for range copiesTries {
			var err error
			if found, err = differing(ctx, snap, t, checks); err != nil {
				return nil, fmt.Errorf("reference table %s: %w", t.Name, err)
			}
			if len(found) == 0 || !pause(ctx, paceStep) {
				break
			}
		}
		all = append(all, found...)
	}
	return all, nil
}

func differing(ctx context.Context, snap *topology.Snapshot, t *topology.Table, checks []*shardCheck) ([]Finding, error) {
	sums := make([]digest, len(checks))
	home := 0
	for i, check := range checks {
		if check.shard.ID == snap.Home {
			home = i
		}
		err := check.conn.QueryRow(ctx, `SELECT count(*), coalesce(sum(hashtextextended(r::text COLLATE "C", 0)::numeric)::text, '') FROM `+
			pgx.Identifier{t.Schema, t.Table}.Sanitize()+" r").Scan(&sums[i].rows, &sums[i].sum)
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", check.shard.ID, err)
		}
	}
	var found []Finding
	for i, check := range checks {
		if sums[i] != sums[home] {
			detail := fmt.Sprintf("%d rows here, %d on shard %s", sums[i].rows, sums[home].rows, checks[home].shard.ID)
			found = append(found, Finding{Problem: "differs", Table: t.Name.String(), Shard: check.shard.ID, Rows: sums[i].rows,
				Detail: detail + map[bool]string{true: ", with other contents"}[sums[i].rows == sums[home].rows]})
		}
	}
	return found, nil
}

// String is the finding in one line.
func (f Finding) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s on %s: %d rows, %s", f.Problem, f.Table, f.Shard, f.Rows, f.Detail))
}
