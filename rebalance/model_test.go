package rebalance_test

import "testing"

// The protocol of DESIGN.md as a model that is explored exhaustively: every order of the steps of two controllers, of which each may
// stop or stand still for as long as it likes at any step, of a proxy that writes and may lose its lease, and of one that reads all
// shards; and of an operator, who lets the move be reverted, gives that up, or finishes it. One row is there from the start; each
// write is one more.

type modelState uint8

const (
	planned modelState = iota
	preparing
	copying
	catchingUp
	freezing
	switched
	reversible
	turning    // reverted, and catching up
	refreezing // and what freezing is
	cleaning
	guarding
	done
	reswitched // from here what follows on refreezing: the source has the slots back
	recleaning
	reguarding
	redone
)

func (s modelState) closed() bool {
	return s == freezing || s == switched || s == refreezing || s == reswitched
}
func (s modelState) hidesTarget() bool {
	return s >= preparing && s <= freezing || s == reswitched || s == recleaning
}
func (s modelState) hidesSource() bool { return s >= switched && s <= cleaning }
func (s modelState) targetOwns() bool  { return s >= switched && s < reswitched }
func (s modelState) isBack() bool      { return s >= reswitched }

// read is the map of that state for who reads, and written for who writes: states whose maps mean the same to it are one.
func (s modelState) read() modelState {
	switch {
	case s.hidesTarget() && s < switched:
		return preparing
	case s.hidesSource():
		return switched
	case s.targetOwns():
		return guarding
	case s.hidesTarget():
		return reswitched
	case s.isBack():
		return reguarding
	}
	return s
}

func (s modelState) written() modelState {
	switch {
	case s.closed():
		return s
	case s.targetOwns():
		return reversible
	case s.isBack():
		return recleaning
	}
	return min(s, preparing)
}

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

	begun        bool  // it is recorded where the way back begins
	missed, back uint8 // writes on the target: before that, and those brought to the source
	again        uint8 // writes on the source since it has the slots back

	writes modelState // the writing proxy's map
	write  place
	leased bool

	reads modelState // the reading proxy's map
	read  uint8      // 0: none, 1: planned, 2: the source has answered
	seen  uint8

	controllers [2]modelController
	tries       uint8
}

// without is what is taken out of the protocol. What is reverting begins with a move that has just switched, and is explored by
// itself.
type without struct {
	guard, lock, drain, term, plan, early, reverting bool
}

// wrong names what must never be.
func (w *world) wrong() string {
	switch {
	case w.state.targetOwns() && w.applied != w.written:
		return "an acknowledged write is lost"
	case w.state.isBack() && w.back != w.onTarget:
		return "an acknowledged write is lost on the way back"
	case w.state < switched && w.onTarget > 0:
		return "a key has two owners"
	case w.onTarget > 0 && (w.reads < switched || w.leased && w.writes < switched),
		w.again > 0 && (!w.reads.isBack() || w.leased && !w.writes.isBack()):
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
	w.operatorSteps(o, add)
	for i := range w.controllers {
		w.controllerSteps(i, o, add)
	}
	return all
}

// operatorSteps are changes of the move's course. They ask for no term.
func (w world) operatorSteps(o without, add func(func(*world))) {
	switch w.state {
	case reversible:
		if !o.reverting {
			add(func(n *world) { n.state = turning })
		}
		add(func(n *world) { n.state = cleaning })
	case turning, refreezing:
		add(func(n *world) { n.state = reversible })
	}
}

const modelWrites = 2

func (w world) proxySteps(o without, add func(func(*world))) {
	switch w.write {
	case nowhere:
		if now := w.state.written(); w.writes != now || !w.leased {
			add(func(n *world) { n.writes, n.leased = now, true })
		}
		if w.leased {
			add(func(n *world) { n.leased = false })
		}
		if !w.writes.closed() && w.written+w.onTarget+w.again < modelWrites {
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
		add(func(n *world) {
			n.write, n.written, n.again = nowhere, w.written+count(!w.state.isBack()), w.again+count(w.state.isBack())
		})
	case inTarget:
		add(func(n *world) { n.write, n.onTarget = nowhere, w.onTarget+1 })
	}
	switch w.read {
	case 0, 3:
		if now := w.state.read(); w.reads != now {
			add(func(n *world) { n.reads, n.read, n.seen = now, 0, 0 })
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
				n.controllers[i] = modelController{knows: to, adopted: modelAdopted, mine: to == freezing || to == refreezing}
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
	if w.term == term && w.state != c.knows && c.knows >= reversible { // the operator was faster: it looks again
		add(func(n *world) { n.controllers[i] = modelController{knows: w.state, adopted: modelAdopted} })
	}
	if c.knows >= reversible && c.knows != cleaning && c.knows != guarding {
		w.wayBack(i, o, step, advance)
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
			step((o.plan || w.reached(switched, false)) && (source || o.early), func(n *world) { n.begin(!o.early) })
		case 1:
			step(w.target.term == term || o.term, func(n *world) { n.target.state = guardOpen })
		default:
			advance(reversible)
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

// begin records where the way back begins, unless that is recorded.
func (w *world) begin(now bool) {
	if now && !w.begun {
		w.begun, w.missed = true, w.onTarget
	}
}

// wayBack are the steps of a controller that knows of a reversible move, or of one that was reverted.
func (w world) wayBack(i int, o without, step func(bool, func(*world)), advance func(modelState)) {
	c, term := w.controllers[i], uint8(i+1)
	source := (w.source.term == term || o.term) && w.source.state == guardShut
	target := w.target.term == term || o.term
	apply := func(n *world) { n.back = w.onTarget - w.missed }
	switch c.knows {
	case reversible:
		switch c.step {
		case 0:
			step(target, func(n *world) {
				n.begin(true)
				n.target.state = guardOpen
			})
		case 1:
			step(source, apply)
		}
	case turning:
		step(c.step == 0 && source, apply)
		if c.step == 1 {
			advance(refreezing)
		}
	case refreezing:
		w.cutBack(i, o, step, advance)
	case reswitched:
		switch c.step {
		case 0:
			step(o.plan || w.reached(reswitched, false), func(*world) {})
		case 1:
			step(w.source.term == term || o.term, func(n *world) { n.source.state = guardOpen })
		default:
			advance(recleaning)
		}
	case recleaning:
		switch c.step {
		case 0:
			step(o.drain || w.reached(reswitched, false), func(*world) {})
		case 1:
			step(target && w.target.state == guardShut, func(n *world) { n.rowT = false })
		default:
			advance(reguarding)
		}
	case reguarding:
		step(c.step == 0 && target && w.reached(reswitched, true), func(n *world) { n.target.state = unguarded })
		if c.step == 1 {
			advance(redone)
		}
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
	term := uint8(i + 1)
	w.cut(i, step, advance, cut{
		may:    w.source.term == term || o.term,
		freeze: o.lock || w.write != inSource, // the lock waits for who has passed the guard
		guard:  func(n *world, s guardState) { n.source.state = s },
		apply:  (w.target.term == term || o.term) && w.target.state == guardShut,
		last:   func(n *world) { n.applied = w.written },
		to:     switched, or: catchingUp,
	})
}

// cutBack is the same from the other side.
func (w world) cutBack(i int, o without, step func(bool, func(*world)), advance func(modelState)) {
	term := uint8(i + 1)
	w.cut(i, step, advance, cut{
		may:    w.target.term == term || o.term,
		freeze: o.lock || w.write != inTarget,
		guard:  func(n *world, s guardState) { n.target.state = s },
		apply:  (w.source.term == term || o.term) && w.source.state == guardShut,
		last:   func(n *world) { n.back = w.onTarget - w.missed },
		to:     reswitched, or: turning,
	})
}

// cut is a cut-over in one direction.
type cut struct {
	may, freeze, apply bool
	guard              func(*world, guardState) // of the shard that serves
	last               func(*world)
	to, or             modelState
}

func (w world) cut(i int, step func(bool, func(*world)), advance func(modelState), x cut) {
	c := w.controllers[i]
	const givenUp = 10
	switch {
	case c.step == givenUp+1:
		advance(x.or)
		return
	case !c.mine || c.step == givenUp:
		step(x.may, func(n *world) {
			x.guard(n, guardOpen)
			n.controllers[i].step = givenUp
		})
		return
	case c.step == 0:
		step(x.may && x.freeze, func(n *world) { x.guard(n, guardShut) })
	case c.step == 1:
		step(x.apply, x.last)
	default:
		advance(x.to)
	}
	if w.tries == 0 {
		step(true, func(n *world) { n.tries, n.controllers[i].step = 1, givenUp-1 })
	}
}

// explore looks at every world that can be reached, and returns how many there are, and the first one that is wrong, with how many
// steps lead there.
func explore(o without, starts ...world) (worlds, ends int, wrong string, steps int) {
	seen := map[world]bool{}
	for _, w := range starts {
		seen[w] = true
	}
	for edge := starts; len(edge) > 0; steps++ {
		var further []world
		for _, w := range edge {
			if problem := w.wrong(); problem != "" {
				return len(seen), ends, problem, steps
			}
			if w.state == done || w.state == redone {
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

// theWayThere begins with a planned move.
func theWayThere() []world {
	return []world{{rowS: true, leased: true, term: 1, controllers: [2]modelController{{adopted: modelAdopted}}}}
}

// theWayBack begins with a move that has just switched. The proxy that writes has the map of the freeze or, without its lease, the
// first one. Or the second controller has switched it, while the first stands still before one of the steps that do something.
func theWayBack() []world {
	w := world{state: switched, rowS: true, rowT: true, reads: preparing, writes: freezing, leased: true, term: 1,
		source: modelGuard{guardShut, 1}, target: modelGuard{guardShut, 1}, controllers: [2]modelController{{knows: switched, adopted: modelAdopted}}}
	late, old, older := w, w, w
	late.write, old.writes, old.leased = toSource, planned, false
	older.writes, older.leased, older.write = planned, false, toSource
	starts := []world{w, late, old, older}
	w.term, w.source.term, w.target.term, w.controllers[1] = 2, 2, 2, w.controllers[0]
	for _, still := range []modelController{{knows: copying}, {knows: freezing, mine: true}, {knows: freezing, mine: true, step: 2}, {knows: switched, step: 1}} {
		still.adopted = modelAdopted
		w.controllers[0] = still
		starts = append(starts, w)
	}
	return starts
}

func TestTheProtocolIsSafeInEveryOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		o      without
		starts []world
	}{{"there", without{reverting: true}, theWayThere()}, {"back", without{}, theWayBack()}} {
		worlds, ends, wrong, steps := explore(test.o, test.starts...)
		t.Logf("%s: %d states, %d of them with the move done, up to %d steps deep", test.name, worlds, ends, steps)
		if wrong != "" || ends == 0 {
			t.Errorf("%s: after %d steps: %s; %d ends", test.name, steps, wrong, ends)
		}
	}
}

func TestTheModelFindsWhatIsTakenOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		without without
		finds   string
	}{
		"the guards":                       {without{guard: true, reverting: true}, "an acknowledged write is lost"},
		"the lock of the freeze":           {without{lock: true, reverting: true}, "an acknowledged write is lost"},
		"the drains":                       {without{drain: true, reverting: true}, "a statement on all shards does not see a row once"},
		"the terms":                        {without{term: true, reverting: true}, "an acknowledged write is lost"},
		"the guards, on the way back":      {without{guard: true}, "an acknowledged write is lost"},
		"the lock of the freeze back":      {without{lock: true}, "an acknowledged write is lost on the way back"},
		"the terms of the way back":        {without{term: true}, "a proxy with a lease reads what is stale"},
		"the wait before the source opens": {without{plan: true}, "a proxy with a lease reads what is stale"},
		"that the way back begins early":   {without{early: true}, "an acknowledged write is lost on the way back"},
		"the wait before the target opens": {without{plan: true, reverting: true}, "a proxy with a lease reads what is stale"},
	} {
		starts := theWayThere
		if !test.without.reverting {
			starts = theWayBack
		}
		worlds, _, wrong, steps := explore(test.without, starts()...)
		t.Logf("without %s: %q after %d steps, %d states", name, wrong, steps, worlds)
		if wrong != test.finds {
			t.Errorf("without %s: %q, want %q", name, wrong, test.finds)
		}
	}
}
