package rebalance

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// By says what a plan evens out between the shards.
type By uint8

// The measures. The zero value is the number of slots.
const (
	ByCount By = iota
	BySize     // bytes of tables and indexes
	ByLoad     // rows that are written in a second
)

// Heat is how often a key is used, as a proxy has sampled it.
type Heat struct {
	Group     string
	Hash      uint64
	PerSecond float64
}

// PlanBy is [Plan] with what each slot costs: it asks the shards. Heat is for ByLoad and tells slots of one shard apart; without it
// they count alike.
func (c *Controller) PlanBy(ctx context.Context, snap *topology.Snapshot, by By, heat []Heat) ([]topology.Move, error) {
	costs := map[string]*ring.Costs{}
	for _, g := range snap.Groups() {
		if _, bySlots := g.Placement.(*ring.Map); !bySlots || by == ByCount {
			continue
		}
		measured, err := c.measure(ctx, snap, g, by, heat)
		if err != nil {
			return nil, fmt.Errorf("measure group %s: %w", g.Name, err)
		}
		costs[g.Name] = measured
	}
	return planBy(snap, costs)
}

// floorShare is the part of all costs that is spread evenly over the slots: what is empty or idle today is not for nothing.
const floorShare = 0.01

// measure asks all owners of a group at once.
func (c *Controller) measure(ctx context.Context, snap *topology.Snapshot, g *topology.Group, by By, heat []Heat) (*ring.Costs, error) {
	placed := g.Placement.(*ring.Map)
	owners := placed.Owners()
	found := make([]*ring.Costs, len(owners))
	group, ctx := errgroup.WithContext(ctx)
	for i, owner := range owners {
		m := &topology.Move{Group: g.Name, From: owner, Slots: placed.Part(owner)}
		// owner: measure, which waits; ends with the answer.
		group.Go(func() error {
			var err error
			if found[i], err = c.measureShard(ctx, snap, m, by, heat); err != nil {
				return fmt.Errorf("shard %s: %w", owner, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	sum, total := &ring.Costs{}, int64(0)
	for _, costs := range found {
		for s := range costs {
			sum[s] += costs[s]
			total += costs[s]
		}
	}
	floor := int64(float64(total)*floorShare/ring.SlotCount) + 1
	for s := range sum {
		sum[s] += floor
	}
	return sum, nil
}

func (c *Controller) measureShard(ctx context.Context, snap *topology.Snapshot, m *topology.Move, by By, heat []Heat) (*ring.Costs, error) {
	tables, err := tablesOf(snap, m)
	if err != nil {
		return nil, err
	}
	shard, _ := snap.Shard(m.From)
	conn, err := c.cfg.Dial(ctx, shard)
	if err != nil {
		return nil, err
	}
	defer hangUp(ctx, conn)
	if by == ByLoad {
		return measureLoad(ctx, conn, tables, m, heat)
	}
	costs := &ring.Costs{}
	for _, t := range tables {
		if err := measureSize(ctx, conn, t, costs); err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return costs, nil
}

// leaves are the tables that have the rows of those named in $1, a list: themselves, or their partitions.
const leaves = `(SELECT relid FROM unnest($1::text[]) t, pg_partition_tree(t::regclass) WHERE isleaf
	UNION SELECT t::regclass FROM unnest($1::text[]) t WHERE (SELECT relkind FROM pg_class WHERE oid = t::regclass) = 'r') leaves`

// samplePages is how much of a table is read to learn how its bytes are spread over the slots.
const samplePages = 2000

// measureSize shares a table's bytes among the slots of a sample of its pages.
func measureSize(ctx context.Context, conn *pgx.Conn, t *table, costs *ring.Costs) error {
	var pages, bytes float64
	err := conn.QueryRow(ctx, `SELECT coalesce(sum(pg_relation_size(relid) / current_setting('block_size')::int), 0)::float8,
	coalesce(sum(pg_total_relation_size(relid)), 0)::float8 FROM `+leaves, []string{t.sql}).Scan(&pages, &bytes)
	if err != nil || pages == 0 {
		return err
	}
	widths := []string{"24"}
	for _, column := range t.columns {
		widths = append(widths, "coalesce(pg_column_size("+quote(column)+"), 0)")
	}
	percent := math.Min(100, 100*samplePages/pages)
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT %s, sum(%s)::float8 FROM %s TABLESAMPLE SYSTEM (%g) REPEATABLE (1) WHERE %s GROUP BY 1",
		t.slot, strings.Join(widths, " + "), t.sql, percent, t.moving))
	if err != nil {
		return err
	}
	sample, sum := map[int64]float64{}, 0.0
	var slot int64
	var size float64
	if _, err := pgx.ForEachRow(rows, []any{&slot, &size}, func() error {
		sample[slot] = size
		sum += size
		return nil
	}); err != nil {
		return err
	}
	for slot, size := range sample {
		costs[slot] += int64(bytes * size / sum)
	}
	return nil
}

// loadWindow is how long writes are counted. Servers publish their counters about once a second.
const loadWindow = 4 * time.Second

// loadUnit makes whole numbers of rates.
const loadUnit = 1000

// measureLoad shares the writes of a shard among its slots: to those of hot keys what they are known to take, the rest alike.
func measureLoad(ctx context.Context, conn *pgx.Conn, tables []*table, m *topology.Move, heat []Heat) (*ring.Costs, error) {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.sql
	}
	count := func() (n float64, err error) {
		err = conn.QueryRow(ctx, `SELECT coalesce(sum(pg_stat_get_tuples_inserted(relid) + pg_stat_get_tuples_updated(relid) + pg_stat_get_tuples_deleted(relid)), 0)::float8
FROM `+leaves, names).Scan(&n)
		return n, err
	}
	before, err := count()
	if err != nil {
		return nil, err
	}
	if !pause(ctx, loadWindow) {
		return nil, ctx.Err()
	}
	after, err := count()
	if err != nil {
		return nil, err
	}
	return shareLoad((after-before)/loadWindow.Seconds(), m, heat), nil
}

// shareLoad gives each slot that a shard has its part of the shard's writes.
func shareLoad(perSecond float64, m *topology.Move, heat []Heat) *ring.Costs {
	costs := &ring.Costs{}
	hot := map[ring.Slot]float64{}
	sum := 0.0
	for _, h := range heat {
		if slot := ring.SlotOfHash(h.Hash); h.Group == m.Group && m.Slots.Has(slot) {
			hot[slot] += h.PerSecond
			sum += h.PerSecond
		}
	}
	scale := 1.0
	if sum > perSecond { // reads are in the heat, too
		scale = perSecond / sum
	}
	rest := math.Max(perSecond-sum, 0) / float64(max(m.Slots.Len(), 1))
	for _, slot := range m.Slots.Slots() {
		costs[slot] = int64(loadUnit * (rest + hot[slot]*scale))
	}
	return costs
}

// largestMove is how much one move takes along: one scan of the source copies it, and a copy that is broken off begins anew.
const largestMove = 20 << 30

// Divide cuts moves that are estimated to be too large for one.
func Divide(planned []Planned) []topology.Move {
	var moves []topology.Move
	for _, p := range planned {
		parts := int(max(p.Bytes, 0)/largestMove) + 1
		for _, slots := range p.Slots.Split((p.Slots.Len() + parts - 1) / parts) {
			m := p.Move
			m.Slots = slots
			moves = append(moves, m)
		}
	}
	return moves
}
