package rebalance_test

import "testing"

// The protocol of DESIGN.md as a model that is explored exhaustively: every order of the steps of two controllers, of which each may
// stop or stand still for as long as it likes at any step, of a proxy that writes and may lose its lease, and of one that reads all
// shards. One row is there from the start; each write is one more.

type modelState uint8

const (
	planned modelState = iota
	preparing
	copying
	catchingUp
	freezing
	switched
	cleaning
	guarding
	done
)

func (s modelState) closed() bool      { return s == freezing || s == switched }
func (s modelState) hidesTarget() bool { return s >= preparing && s <= freezing }
func (s modelState) hidesSource() bool { return s == switched || s == cleaning }
func (s modelState) targetOwns() bool  { return s >= switched }

type guardState uint8

const (
	unguarded guardState = iota
	guardOpen
	guardShut
)

type modelGuard struct {
	state guardState
	term  uint8
}

// modelController is one whose term is its index and one; the first drives already.
type modelController struct {
	knows   modelState
	step    uint8
	adopted uint8 // steps of the adoption that are done; modelAdopted: it drives
	mine    bool  // the cut-over was begun by it
}

const modelAdopted = 4

type place uint8

const (
	nowhere  place = iota
	toSource       // a statement was planned for the source
	toTarget
	inSource // it has passed the guard, holds its lock, and has not committed
	inTarget
)

// world is the state of everything. A proxy takes a newer map only between two statements: one with an old statement in flight is
// waited for like one with the old map.
type world struct {
	state            modelState // in the control database, with the term
	term             uint8
	source, target   modelGuard
	rowS, rowT       bool // where the row is that was there from the start
	written, applied uint8
	onTarget         uint8 // writes

	writes modelState // the writing proxy's map
	write  place
	leased bool

	reads modelState // the reading proxy's map
	read  uint8      // 0: none, 1: planned, 2: the source has answered
	seen  uint8

	controllers [2]modelController
	tries       uint8
}

// without is what is taken out of the protocol.
type without struct {
	guard, lock, drain, term, plan bool
}

// wrong names what must never be.
func (w *world) wrong() string {
	switch {
	case w.state.targetOwns() && w.applied != w.written:
		return "an acknowledged write is lost"
	case !w.state.targetOwns() && w.onTarget > 0:
		return "a key has two owners"
	case w.onTarget > 0 && (w.reads < switched || w.leased && w.writes < switched):
		return "a proxy with a lease reads what is stale"
	case w.read == 3 && w.seen != 1:
		return "a statement on all shards does not see a row once"
	}
	return ""
}

// next lists the worlds that one step leads to.
func (w world) next(o without) []world {
	var all []world
	add := func(change func(*world)) {
		n := w
		change(&n)
		all = append(all, n)
	}
	w.proxySteps(o, add)
	for i := range w.controllers {
		w.controllerSteps(i, o, add)
	}
	return all
}

const modelWrites = 2

func (w world) proxySteps(o without, add func(func(*world))) {
	switch w.write {
	case nowhere:
		if w.writes != w.state {
			add(func(n *world) { n.writes, n.leased = w.state, true })
		}
		if w.leased {
			add(func(n *world) { n.leased = false })
		}
		if !w.writes.closed() && w.written+w.onTarget < modelWrites {
			add(func(n *world) { n.write = map[bool]place{false: toSource, true: toTarget}[w.writes.targetOwns()] })
		}
	case toSource:
		add(func(n *world) {
			n.write = map[bool]place{false: inSource, true: nowhere}[w.source.state == guardShut && !o.guard]
		})
		add(func(n *world) { n.leased = false })
	case toTarget:
		add(func(n *world) {
			n.write = map[bool]place{false: inTarget, true: nowhere}[w.target.state == guardShut && !o.guard]
		})
	case inSource:
		add(func(n *world) { n.write, n.written = nowhere, w.written+1 })
	case inTarget:
		add(func(n *world) { n.write, n.onTarget = nowhere, w.onTarget+1 })
	}
	switch w.read {
	case 0, 3:
		if w.reads != w.state {
			add(func(n *world) { n.reads, n.read, n.seen = w.state, 0, 0 })
		}
		add(func(n *world) { n.read, n.seen = 1, 0 })
	case 1:
		add(func(n *world) { n.read, n.seen = 2, count(w.rowS && !w.reads.hidesSource()) })
	case 2:
		add(func(n *world) { n.read, n.seen = 3, w.seen+count(w.rowT && !w.reads.hidesTarget()) })
	}
}

func count(there bool) uint8 {
	if there {
		return 1
	}
	return 0
}

// reached reports whether the proxies with a lease, or all, plan with that state of the move, and have nothing older in flight.
func (w *world) reached(s modelState, all bool) bool {
	return w.reads >= s && (w.writes >= s || !w.leased && !all)
}

func (w world) controllerSteps(i int, o without, add func(func(*world))) {
	c, term := w.controllers[i], uint8(i+1)
	advance := func(to modelState) { // compare-and-swap
		if (o.term || w.term == term) && w.state == c.knows {
			add(func(n *world) {
				n.state = to
				n.controllers[i] = modelController{knows: to, adopted: modelAdopted, mine: to == freezing}
			})
		}
	}
	step := func(allowed bool, change func(*world)) {
		if allowed {
			add(func(n *world) {
				change(n)
				n.controllers[i].step++
			})
		}
	}
	source := w.source.term == term || o.term // this controller may change it
	target := (w.target.term == term || o.term) && w.target.state == guardShut
	if c.adopted < modelAdopted {
		w.adopt(i, add)
		return
	}
	switch c.knows {
	case planned:
		advance(preparing)
	case preparing:
		switch c.step {
		case 0:
			step(w.source.term <= term, func(n *world) { n.source = modelGuard{max(w.source.state, guardOpen), term} })
		case 1:
			step(w.target.term <= term, func(n *world) { n.target = modelGuard{max(w.target.state, guardShut), term} })
		default:
			if o.drain || w.reached(preparing, false) {
				advance(copying)
			}
		}
	case copying:
		step(c.step == 0 && target, func(n *world) { n.rowT, n.applied = true, w.written })
		if c.step == 1 {
			advance(catchingUp)
		}
	case catchingUp:
		step(c.step == 0 && target, func(n *world) { n.applied = w.written })
		if c.step == 1 {
			advance(freezing)
		}
	case freezing:
		w.cutOver(i, o, step, advance)
	case switched:
		switch c.step {
		case 0:
			step(o.plan || w.reached(switched, false), func(*world) {})
		case 1:
			step(w.target.term == term || o.term, func(n *world) { n.target.state = guardOpen })
		default:
			advance(cleaning)
		}
	case cleaning:
		switch c.step {
		case 0:
			step(o.drain || w.reached(switched, false), func(*world) {})
		case 1:
			step(source && w.source.state == guardShut, func(n *world) { n.rowS = false })
		default:
			advance(guarding)
		}
	case guarding:
		step(c.step == 0 && source && w.reached(switched, true), func(n *world) { n.source.state = unguarded })
		if c.step == 1 {
			advance(done)
		}
	case done:
	}
}

// adopt raises the term in the control database, then on both shards, and then looks at the state.
func (w world) adopt(i int, add func(func(*world))) {
	term := uint8(i + 1)
	add(func(n *world) {
		c := &n.controllers[i]
		switch c.adopted {
		case 0:
			n.term = max(w.term, term)
		case 1:
			if w.source.state != unguarded {
				n.source.term = max(w.source.term, term)
			}
		case 2:
			if w.target.state != unguarded {
				n.target.term = max(w.target.term, term)
			}
		case 3:
			c.knows = w.state
		}
		c.adopted++
	})
}

func (w world) cutOver(i int, o without, step func(bool, func(*world)), advance func(modelState)) {
	c, term := w.controllers[i], uint8(i+1)
	source := w.source.term == term || o.term
	target := (w.target.term == term || o.term) && w.target.state == guardShut
	const givenUp = 10
	switch {
	case c.step == givenUp+1:
		advance(catchingUp)
		return
	case !c.mine || c.step == givenUp:
		step(source, func(n *world) { n.source.state, n.controllers[i].step = guardOpen, givenUp })
		return
	case c.step == 0: // the lock waits for who has passed the guard
		step(source && (o.lock || w.write != inSource), func(n *world) { n.source.state = guardShut })
	case c.step == 1:
		step(target, func(n *world) { n.applied = w.written })
	default:
		advance(switched)
	}
	if w.tries == 0 {
		step(true, func(n *world) { n.tries, n.controllers[i].step = 1, givenUp-1 })
	}
}

// explore looks at every world that can be reached, and returns how many there are, and the first one that is wrong, with how many
// steps lead there.
func explore(o without) (worlds, ends int, wrong string, steps int) {
	start := world{rowS: true, leased: true, term: 1, controllers: [2]modelController{{adopted: modelAdopted}}}
	seen := map[world]bool{start: true}
	for edge := []world{start}; len(edge) > 0; steps++ {
		var further []world
		for _, w := range edge {
			if problem := w.wrong(); problem != "" {
				return len(seen), ends, problem, steps
			}
			if w.state == done {
				ends++
			}
			for _, n := range w.next(o) {
				if !seen[n] {
					seen[n] = true
					further = append(further, n)
				}
			}
		}
		edge = further
	}
	return len(seen), ends, "", steps
}

func TestTheProtocolIsSafeInEveryOrder(t *testing.T) {
	t.Parallel()
	worlds, ends, wrong, steps := explore(without{})
	t.Logf("%d states, %d of them with the move done, up to %d steps deep", worlds, ends, steps)
	if wrong != "" || ends == 0 {
		t.Errorf("after %d steps: %s; %d ends", steps, wrong, ends)
	}
}

func TestTheModelFindsWhatIsTakenOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		without without
		finds   string
	}{
		"the guards":                       {without{guard: true}, "an acknowledged write is lost"},
		"the lock of the freeze":           {without{lock: true}, "an acknowledged write is lost"},
		"the drains":                       {without{drain: true}, "a statement on all shards does not see a row once"},
		"the terms":                        {without{term: true}, "an acknowledged write is lost"},
		"the wait before the target opens": {without{plan: true}, "a proxy with a lease reads what is stale"},
	} {
		worlds, _, wrong, steps := explore(test.without)
		t.Logf("without %s: %q after %d steps, %d states", name, wrong, steps, worlds)
		if wrong != test.finds {
			t.Errorf("without %s: %q, want %q", name, wrong, test.finds)
		}
	}
}
