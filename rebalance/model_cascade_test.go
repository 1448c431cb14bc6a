package rebalance_test

import "testing"

// A change of a reference table whose foreign key's action reaches a moving row, as a model that is explored like the one of the whole
// protocol: one statement deletes what the row refers to, on both shards, one after the other in either order, in a proxy that may stand
// still; another one inserts the row. Controllers are left out, since terms are explored there.

type cascadeGuard uint8

const (
	cascadeOpen cascadeGuard = iota
	cascadeFrozen
	cascadeFollowing
)

// met is what the statement has found on a shard.
type met uint8

const (
	notYet met = iota
	noRow
	passedOver
	deleted
)

type cascadeWorld struct {
	state          modelState // catchingUp, freezing, switched, reversible, cleaning, guarding
	source, target cascadeGuard
	rowS, rowT     bool
	inserted       bool
	drained        bool // freezing: the target has everything

	planned    modelState // the map of the statement
	onS, onT   met
	still      bool // its proxy has stood still since, and is not waited for any longer
	checked    bool // it is about to be committed
	over, done bool // it has ended; by commit
}

// cascadeWithout is what is taken out.
type cascadeWithout struct {
	forgets, frozen, lock, check, early bool
}

// wrong reports whether the row that counts refers to what is not there.
func (w *cascadeWorld) wrong() bool {
	if w.state < switched {
		return w.done && w.rowS
	}
	return w.done && w.rowT
}

func (w cascadeWorld) next(o cascadeWithout) []cascadeWorld {
	var all []cascadeWorld
	add := func(allowed bool, change func(*cascadeWorld)) {
		if allowed {
			n := w
			change(&n)
			all = append(all, n)
		}
	}
	// The statement. Whoever refers to a row that it has deleted waits for it, and then finds that the row is not there.
	active := !w.over
	abort := func(n *cascadeWorld) { n.over = true }
	visit := func(row bool, guard cascadeGuard, at func(*cascadeWorld) *met) {
		switch {
		case !row:
			add(true, func(n *cascadeWorld) { *at(n) = noRow })
		case guard == cascadeOpen:
			add(true, func(n *cascadeWorld) { *at(n) = deleted })
		case guard == cascadeFollowing:
			add(true, func(n *cascadeWorld) { *at(n) = passedOver })
		default:
			add(true, abort)
		}
	}
	if active && w.onS == notYet {
		visit(w.rowS, w.source, func(n *cascadeWorld) *met { return &n.onS })
	}
	if active && w.onT == notYet {
		visit(w.rowT, w.target, func(n *cascadeWorld) *met { return &n.onT })
	}
	both := w.onS != notYet && w.onT != notYet
	add(active && !w.still && w.onS == notYet && w.onT == notYet && w.planned != w.state, func(n *cascadeWorld) { n.planned = w.state })
	add(active && !w.still, func(n *cascadeWorld) { n.still = true })
	add(active && both && !w.checked && (!w.still || w.planned == w.state || o.check), func(n *cascadeWorld) { n.checked = true })
	add(active && w.checked, func(n *cascadeWorld) {
		n.over, n.done = true, true
		n.rowS, n.rowT = w.rowS && w.onS != deleted, w.rowT && w.onT != deleted
	})
	add(active, abort)
	there := func(on met) bool { return on == notYet || w.over && !w.done }
	add(!w.inserted && w.state < switched && w.source == cascadeOpen && there(w.onS), func(n *cascadeWorld) { n.rowS, n.inserted = true, true })
	add(!w.inserted && w.target == cascadeOpen && there(w.onT), func(n *cascadeWorld) { n.rowT, n.inserted = true, true })

	// The move.
	waited := func(s modelState, all bool) bool { return w.over || w.planned >= s || w.still && !all }
	switch w.state {
	case catchingUp:
		add(w.rowT != w.rowS, func(n *cascadeWorld) { n.rowT = w.rowS })
		add(waited(catchingUp, false), func(n *cascadeWorld) { n.state = freezing })
	case freezing:
		locked := active && w.onS == deleted
		add(w.source == cascadeOpen && (!locked || o.lock), func(n *cascadeWorld) { n.source = cascadeFrozen })
		add(w.source == cascadeFrozen && !w.drained, func(n *cascadeWorld) { n.rowT, n.drained = w.rowS, true })
		add(w.drained, func(n *cascadeWorld) { n.state = switched })
		add(true, func(n *cascadeWorld) { n.state, n.source, n.drained = catchingUp, cascadeOpen, false })
	case switched:
		add(o.frozen && w.source == cascadeFrozen, func(n *cascadeWorld) { n.source = cascadeFollowing })
		add(w.target != cascadeOpen, func(n *cascadeWorld) { n.target = cascadeOpen })
		add(w.target == cascadeOpen, func(n *cascadeWorld) { n.state = reversible })
	case reversible:
		add(w.source == cascadeFrozen && (o.forgets || waited(reversible, true)), func(n *cascadeWorld) { n.source = cascadeFollowing })
		add(true, func(n *cascadeWorld) { n.state = cleaning })
	case cleaning:
		add(w.rowS && (o.early && waited(switched, false) || waited(reversible, false)), func(n *cascadeWorld) { n.rowS = false })
		add(!w.rowS, func(n *cascadeWorld) { n.state = guarding })
	}
	return all
}

func exploreCascades(o cascadeWithout) (worlds int, wrong bool) {
	var edge []cascadeWorld
	seen := map[cascadeWorld]bool{}
	for _, row := range []bool{false, true} {
		for _, copied := range []bool{false, true} {
			edge = append(edge, cascadeWorld{state: catchingUp, planned: catchingUp, target: cascadeFollowing, rowS: row, rowT: row && copied})
		}
	}
	for len(edge) > 0 {
		w := edge[len(edge)-1]
		edge = edge[:len(edge)-1]
		if seen[w] {
			continue
		}
		seen[w] = true
		if w.wrong() {
			return len(seen), true
		}
		edge = append(edge, w.next(o)...)
	}
	return len(seen), false
}

func TestForeignKeysActionsAreSafeInEveryOrder(t *testing.T) {
	t.Parallel()
	worlds, wrong := exploreCascades(cascadeWithout{})
	t.Logf("%d states", worlds)
	if wrong || worlds < 1000 {
		t.Errorf("wrong: %t, of %d states", wrong, worlds)
	}
	for name, o := range map[string]cascadeWithout{
		"the lock of the freeze":                              {lock: true},
		"the source refusing them until the target is open":   {frozen: true},
		"the wait for proxies before the source lets them by": {forgets: true},
		"the check before the commit":                         {check: true},
		"the wait for what began before the target was open":  {early: true},
	} {
		worlds, wrong := exploreCascades(o)
		t.Logf("without %s: %t, %d states", name, wrong, worlds)
		if !wrong {
			t.Errorf("without %s nothing is wrong", name)
		}
	}
}
