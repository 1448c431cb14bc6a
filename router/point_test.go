package router

import (
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// same values for each parameter.
type everyParam struct{ v Value }

func (p everyParam) Value(int) (Value, bool) { return p.v, true }

// paramValues are values that parameters are given, readable or not.
func paramValues() []Values {
	list := []Values{nil, noValues{}, everyParam{Value{Null: true}}}
	for _, text := range []string{"42", "-7", " 5 ", "", "x", "1.0", "99999999999999999999", "0x1F", "a'b", "7d1a4f5e-1111-4222-8333-444455556666",
		"2024-01-01 00:00:00", "\xc3\xa4"} {
		for _, oid := range []uint32{0, oidUnknown, oidInt2, oidInt8, oidText, oidUUID, oidNumeric, oidTimestamp, 16} {
			list = append(list, everyParam{Value{Data: []byte(text), OID: oid}})
		}
	}
	for size := range 17 {
		list = append(list, everyParam{Value{Data: make([]byte, size), Binary: true}}, everyParam{Value{Data: make([]byte, size), Binary: true, OID: oidInt8}})
	}
	return list
}

// clusters are snapshots under which statements may be planned that were analysed under the first.
func clusters() []*topology.Snapshot {
	s := newShop()
	readOnly := make([]topology.Shard, 4)
	for i := range readOnly {
		readOnly[i] = topology.Shard{ID: ring.ShardID("s" + strconv.Itoa(i+1)), Number: i + 1, State: topology.ReadOnly, Weight: 1}
	}
	active := topology.Shard{ID: "s1", Number: 1, State: topology.Active, Weight: 1}
	nobody := newShop()
	for _, g := range []*topology.Group{nobody.users, nobody.names, nobody.docs, nobody.amounts, nobody.stamps, nobody.zoned, nobody.seats} {
		g.Placement = ring.Modulo(nil)
	}
	return []*topology.Snapshot{
		s.snapshot(1), oneShard(), nobody.snapshot(1),
		topology.NewSnapshot(topology.Contents{Schema: 1, Shards: readOnly, Home: "s1", Tables: s.tables(),
			Groups: []*topology.Group{{Name: "before all", KeyType: ring.KeyInt}, s.users, s.docs, s.names, s.amounts, s.stamps, s.zoned, s.solo, s.seats}}),
		topology.NewSnapshot(topology.Contents{Schema: 1, Shards: []topology.Shard{active}, Home: "s1"}),
		topology.NewSnapshot(topology.Contents{Schema: 1, Shards: []topology.Shard{active}, Home: "s1",
			Groups: []*topology.Group{{Name: "users", KeyType: ring.KeyInt}, {Name: "docs", KeyType: ring.KeyUUID}}}),
	}
}

// A statement that has a point, or is resident, must be planned as the planner plans it.
func TestShortPlansAreThePlanners(t *testing.T) {
	r, snaps, params := New(Config{}), clusters(), paramValues()
	short, planned := 0, 0
	check := func(b *Bound) {
		if b.point == nil && !b.resident {
			return
		}
		short++
		tried := params
		if b.resident {
			tried = params[:3] // they make no difference
		}
		for _, v := range append([]Values{b.Values}, tried...) {
			for _, snap := range snaps {
				planned += planBothWays(t, b, snap, v)
			}
		}
	}
	for _, env := range []*Env{testEnv(), testEnv().WithForeignEncoding(true)} {
		for i, text := range goldenTexts(t) {
			for _, text := range []string{text, withLiterals(text, int64(i), "x")} {
				bounds, _ := r.Query(snaps[0], env, []byte(text), new(Scratch)) // there are none if the text has an error
				for i := range bounds {
					check(&bounds[i])
				}
			}
		}
	}
	if short < 1000 || planned < 25000 {
		t.Errorf("%d statements have short plans, %d such plans were made: the test does not tell much", short, planned)
	}
}

// planBothWays returns how many plans were made without the planner: one, or none.
func planBothWays(t *testing.T, b *Bound, snap *topology.Snapshot, v Values) int {
	plan, err := b.Plan(snap, v)
	want, wantErr := b.planAny(snap, v)
	if !reflect.DeepEqual(plan, want) || !reflect.DeepEqual(err, wantErr) {
		t.Fatalf("%q with %+v: the plan is %+v %v, the planner's %+v %v", b.Text, v, plan, err, want, wantErr)
	}
	if b.resident {
		if kind, _ := b.residence(snap); kind != KindUnset {
			return 1
		}
	} else if at, _ := b.point.locate(b.Statement, snap, v); at.Shard != "" {
		return 1
	}
	return 0
}

// A view is not on the shards: what reads it is sent with the view's query in it, a cursor's statement as well.
func TestStatementsOnViewsHaveNoShortPlan(t *testing.T) {
	s := newShop()
	tables := s.tables()
	view := &tables[slices.IndexFunc(tables, func(t topology.Table) bool { return t.Name == public("orders_view") })]
	view.Definition = "SELECT orders.id, orders.user_id FROM public.orders"
	snap := topology.NewSnapshot(topology.Contents{Schema: 1, Shards: []topology.Shard{{ID: "s1", Number: 1, State: topology.Active}}, Home: "s1",
		Tables: tables, Groups: []*topology.Group{s.users, s.docs, s.names, s.amounts, s.stamps, s.zoned, s.solo, s.seats}})
	for _, text := range []string{"SELECT id FROM orders_view WHERE user_id = 2", "DECLARE c CURSOR FOR SELECT id FROM orders_view WHERE user_id = 2"} {
		for range 2 {
			if st, p, err := plan(t, New(Config{}), snap, testEnv(), text); err != nil || st.point != nil || st.resident || p.SQL == "" {
				t.Errorf("%s: %+v, %v", text, p, err)
			}
		}
	}
}
