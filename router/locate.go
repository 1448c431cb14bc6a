package router

import (
	"slices"
	"strings"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// routeKind is the shape of a statement's plan before values are known.
type routeKind uint8

const (
	routeUnset     routeKind = iota
	routeRows                // sharded tables by their keys; home and reference tables with them
	routeHome                // home relations, catalogs, or nothing at all
	routeReference           // reads of reference tables
	routeBroadcast           // every shard, or parts
)

// core is the part of a Statement that only the router reads.
type core struct {
	point    *point        // how it is planned where one key decides; nil: something else does
	resident bool          // its home relations decide
	fixed    literalSource // its literals, where they are not the message's

	env   *Env
	route routeKind

	refused *Refusal // no plan at all
	alone   *Refusal // no plan unless every row concerned is on one shard
	single  *Refusal // no plan unless there is one shard only
	spread  *Refusal // no plan when the keys lead to several shards, and gather is nil

	needs    []requirement
	homes    []ring.ShardID // shards of the home relations used
	catalogs bool           // needs the home shard
	anywhere bool
	forced   ring.ShardID // by a directive

	gather    *gather
	pull      *pull
	stages    *Stages         // how it may run where it has no plan as it is
	splits    bool            // a write that may run on several shards, each writing its own rows
	anchor    anchor          // of a write that splits, or COPY of a table TO; gather has its own
	copied    []string        // COPY of a table TO: the columns
	insertion *insertion      // an INSERT whose rows say where it runs; replaces needs
	rows      *sql.Rows       // of insertion, where they are not the message's
	row       *insertedRow    // the row of an INSERT that does nothing else
	inserts   []topology.Name // tables that it may put rows into
	changes   []topology.Name // tables of which it may update or delete rows
	target    topology.Name   // the table of an INSERT, UPDATE or DELETE that writes to no other
	returned  []string        // columns that RETURNING names; "*": perhaps all
	defuses   bool            // it may turn off triggers that are pgring's
	rewrites  bool            // ALTER TABLE: it may change or lose what rows of Tables hold
	copying   *copying        // COPY … FROM STDIN into a table that is on several shards
	out       *Out            // COPY … TO STDOUT that every shard answers for itself
	explained *explaining     // EXPLAIN: what to answer where the statement needs several shards
	truncates bool            // broadcast: it is TRUNCATE
	parts     []part          // broadcast: what each relation's shards get; nil: all get the text

	literals      []parametricLiteral // for Parametric
	callsUser     bool
	inert         bool
	asksSequence  bool   // for a value that the session took from one, before this statement
	drawsSequence bool   // it may take one
	needsLiterals bool   // keys are literals, and fixed is nil
	text          string // for EXPLAIN ROUTE
	expanded      string // what to send instead of the client's text; empty: that
	dated         []int  // broadcast: these parameters, from 0, must not say 'now' and the like
	reached       []reached
}

// requirement is one condition on where a statement runs: a sharded relation
// that it reads or writes.
type requirement struct {
	group   string
	table   string // for people
	key     []string
	any     []operand // the key equals one of these; nil: not known, all owners
	written bool      // rows are written with these keys: each must be one
}

// column names the key for people.
func (n *requirement) column() string { return strings.Join(n.key, ", ") }

// usesLiterals says whether planning looks at literals.
func (s *Statement) usesLiterals() bool {
	for i := range s.needs {
		if slices.ContainsFunc(s.needs[i].any, func(o operand) bool { return o.has(operandLiteral) }) {
			return true
		}
	}
	return s.gather != nil && (s.gather.limit.kind == operandLiteral || s.gather.offset.kind == operandLiteral)
}

// Plan says where one execution of the statement with these values runs. The
// error is a *Refusal. It does not allocate for plans on one shard.
func (s *Statement) Plan(snap *topology.Snapshot, v Values) (plan Plan, err error) {
	switch {
	case s.expanded != "": // another text is to be sent
	case s.point != nil:
		if at, hash := s.point.locate(s, snap, v); at.Shard != "" {
			plan.Kind, plan.Shard = One, at.Shard
			plan.HasKey, plan.Key = true, hash
			plan.At = SlotRef{s.point.group, at.Slot}
			return plan, nil
		}
	case s.resident:
		if kind, shard := s.residence(snap); kind != KindUnset {
			plan.Kind, plan.Shard = kind, shard
			plan.Anywhere = kind == Home && s.anywhere
			return plan, nil
		}
	}
	return s.planAny(snap, v)
}

// planAny is Plan for statements of all kinds.
func (s *Statement) planAny(snap *topology.Snapshot, v Values) (Plan, error) {
	if s.refused != nil {
		return Plan{}, s.refused
	}
	p := planner{s: s, snap: snap, in: s.input(v)}
	refusal := p.run()
	if refusal != nil && s.stages != nil && refusal.stageable() {
		return Plan{Kind: Staged, Shard: p.homeShard(), Stages: s.stages}, nil
	}
	if refusal != nil && s.explained != nil && refusal.stageable() {
		return s.explained.plan(snap, v)
	}
	if refusal == nil && len(s.reached) > 0 {
		refusal = p.reach()
	}
	if refusal == nil && s.Access != Read {
		refusal = p.writable()
	}
	if refusal == nil && len(snap.Moves) > 0 {
		refusal = p.hide()
	}
	if refusal != nil {
		return Plan{}, refusal
	}
	if s.expanded != "" {
		p.inExpanded()
	}
	p.plan.NoTransaction, p.plan.ShardByShard = s.NoTransaction, s.ShardByShard || s.NoTransaction
	return p.plan, nil
}

func (p *planner) run() *Refusal {
	if p.s.forced != "" {
		return p.force()
	}
	if refusal := p.single(); refusal != nil {
		return refusal
	}
	switch p.s.route {
	case routeRows:
		if p.s.insertion != nil {
			return p.insertRows(p.in.rows)
		}
		return p.rows()
	case routeHome:
		return p.home()
	case routeReference:
		p.plan.Kind, p.plan.Shard = Reference, p.homeShard()
		return nil
	case routeBroadcast:
		return p.broadcast()
	case routeUnset:
	}
	return &Refusal{Reason: Unsupported, Message: "statement has no plan"}
}

func (s *Statement) input(v Values) input {
	if v == nil {
		v = noValues{}
	}
	in := input{params: v, literals: s.literalsWith(v), foreign: s.env.foreign, rows: s.rows}
	if source, ok := v.(rowSource); ok && s.rows == nil {
		in.rows = source.insertedRows()
	}
	return in
}

// literalsWith returns the literals of an execution: the statement's own, or those that come with its values.
func (s *Statement) literalsWith(v Values) literalSource {
	if s.fixed != nil {
		return s.fixed
	}
	if own, ok := v.(*literals); ok {
		return own
	}
	return noValues{}
}

// planner is the work on one plan.
type planner struct {
	s    *Statement
	snap *topology.Snapshot
	in   input
	plan Plan

	shard            ring.ShardID   // the only shard met so far
	shards           []ring.ShardID // all of them, when there are several
	sure             bool           // every key was read
	why              *Refusal       // why one was not
	keys             int            // how many were found
	anyKey, manyKeys bool           // of the hashes noted in plan.Key: one, several
	found            uint64         // requirements of which one was found, by their index; the last bit is not used
}

func (p *planner) homeShard() ring.ShardID { return p.snap.Home }

// add takes one shard that the statement needs.
func (p *planner) add(shard ring.ShardID) {
	switch {
	case p.shard == "":
		p.shard = shard
	case p.shard == shard && p.shards == nil:
	case p.shards == nil:
		p.shards = []ring.ShardID{p.shard, shard}
	case !slices.Contains(p.shards, shard):
		p.shards = append(p.shards, shard)
	}
}

// touch notes a slot for the gate.
func (p *planner) touch(group string, slot ring.Slot) {
	ref := SlotRef{group, slot}
	switch {
	case p.plan.At.Group == "":
		p.plan.At = ref
	case p.plan.At != ref && !slices.Contains(p.plan.Also, ref):
		p.plan.Also = append(p.plan.Also, ref)
	}
}

// rows plans a statement on sharded relations.
func (p *planner) rows() *Refusal {
	for i := range p.s.needs {
		keys := p.keys
		if refusal := p.need(&p.s.needs[i]); refusal != nil {
			return refusal
		}
		if p.keys > keys && i < 63 {
			p.found |= 1 << i
		}
	}
	for _, home := range p.s.homes {
		p.add(home)
	}
	if p.s.catalogs {
		p.add(p.homeShard())
	}
	if p.shard == "" {
		p.add(p.homeShard()) // it selects nothing: any shard answers
	}
	if p.s.alone != nil && !p.onlyShard() {
		return p.s.alone
	}
	if p.shards == nil {
		p.plan.Kind, p.plan.Shard = One, p.shard
		p.plan.HasKey = p.anyKey && !p.manyKeys
		return nil
	}
	if p.why != nil && p.s.gather == nil && p.s.pull == nil && !p.s.splits {
		return p.why
	}
	return p.several()
}

// onlyShard says whether the statement's groups and home relations are all on
// one shard, whatever the keys.
func (p *planner) onlyShard() bool {
	for i := range p.s.needs {
		owners := p.owners(p.s.needs[i].group)
		if len(owners) != 1 || owners[0] != p.shard {
			return false
		}
	}
	return p.shards == nil
}

func (p *planner) owners(group string) []ring.ShardID {
	g := p.snap.Group(group)
	if g == nil || g.Placement == nil {
		return nil
	}
	return g.Placement.Owners()
}

// need adds the shards of one requirement.
func (p *planner) need(n *requirement) *Refusal {
	g := p.snap.Group(n.group)
	if g == nil || g.Placement == nil {
		return &Refusal{Reason: Unsupported, Message: "table " + quoteIdent(n.table) + " is not placed",
			Detail: "Its colocation group is not known."}
	}
	if n.any == nil {
		p.everywhere(g)
		return nil
	}
	mark := p.plan.At
	for i := range n.any {
		got, refusal := p.operand(g, n, &n.any[i])
		switch {
		case refusal != nil:
			return refusal
		case got == readUnknown:
			p.doubt(n, &n.any[i])
			p.plan.At = mark
			p.everywhere(g)
			return nil
		case got == readNothing && n.written:
			return nullKey(n)
		}
	}
	return nil
}

// everywhere adds all owners of a group.
func (p *planner) everywhere(g *topology.Group) {
	p.manyKeys = true
	for _, owner := range g.Placement.Owners() {
		p.add(owner)
	}
	p.touch(g.Name, 0)
	p.plan.AllSlots = true
}

// operand adds the owners of an operand's keys.
func (p *planner) operand(g *topology.Group, n *requirement, o *operand) (reading, *Refusal) {
	if o.array {
		return p.array(g, n, o)
	}
	key, got, refusal := p.in.key(o)
	if got != readKey {
		return got, refusal
	}
	p.keyed(key)
	at := g.Placement.Locate(key)
	return p.located(g, n, at)
}

// keyed notes a key, for Plan.Key.
func (p *planner) keyed(key ring.Key) {
	hash := key.Hash()
	p.manyKeys = p.manyKeys || p.anyKey && p.plan.Key != hash
	p.anyKey, p.plan.Key = true, hash
}

// array is operand for an array. It may allocate.
func (p *planner) array(g *topology.Group, n *requirement, o *operand) (reading, *Refusal) {
	var locations []ring.Location
	got, refusal := p.in.elements(o, func(k ring.Key) {
		p.keyed(k)
		locations = append(locations, g.Placement.Locate(k))
	})
	if got == readUnknown || got == readInvalid {
		return got, refusal
	}
	for _, at := range locations {
		if got, refusal := p.located(g, n, at); refusal != nil {
			return got, refusal
		}
	}
	return readKey, nil
}

// located adds one key's owner.
func (p *planner) located(g *topology.Group, n *requirement, at ring.Location) (reading, *Refusal) {
	if at.Shard == "" {
		if !n.written {
			return readKey, nil // no row has such a key
		}
		return readInvalid, noShard(n)
	}
	p.keys++
	p.add(at.Shard)
	p.touch(g.Name, at.Slot)
	return readKey, nil
}

// doubt notes why a key could not be read; it matters when the statement does
// not end up on one shard all the same.
func (p *planner) doubt(n *requirement, o *operand) {
	if p.why == nil {
		p.why = keyNotUnderstood(n, o, p.in.params)
	}
}

// several plans a statement whose rows are on several shards.
func (p *planner) several() *Refusal {
	g := p.s.gather
	switch {
	case p.s.splits:
		slices.Sort(p.shards)
		p.plan.Kind, p.plan.Shards = Split, p.shards
		return nil
	case p.s.out != nil:
		slices.Sort(p.shards)
		p.plan.Kind, p.plan.Shards, p.plan.Out = Gather, p.shards, p.s.out
		return nil
	case p.s.pull != nil:
		return p.pull()
	case g == nil || len(p.s.homes) > 0 || p.s.catalogs:
		return p.s.spreadRefusal()
	}
	slices.Sort(p.shards)
	p.plan.Kind, p.plan.Shards = Gather, p.shards
	return g.fill(&p.plan, &p.in)
}

// spreadRefusal says why a statement cannot run on several shards.
func (s *Statement) spreadRefusal() *Refusal {
	if s.spread != nil {
		return s.spread
	}
	return &Refusal{Reason: Unsupported, Message: "statement needs the rows of several shards",
		Hint: "Give every sharded table of the statement the same shard key."}
}

// home plans a statement without sharded tables.
func (p *planner) home() *Refusal {
	for _, home := range p.s.homes {
		p.add(home)
	}
	if p.s.catalogs || p.shard == "" {
		p.add(p.homeShard())
	}
	if p.shards != nil {
		return &Refusal{
			Reason: Unsupported, Message: "statement needs tables of several shards",
			Detail: "Home tables of the statement are on different shards.", Hint: "Query them one by one.",
		}
	}
	p.plan.Kind, p.plan.Shard, p.plan.Anywhere = Home, p.shard, p.s.anywhere
	return nil
}

// force applies the directive shard=….
func (p *planner) force() *Refusal {
	if _, known := p.snap.Shard(p.s.forced); !known {
		return &Refusal{Reason: UnknownShard, Message: "there is no shard " + quoteIdent(string(p.s.forced)),
			Detail: "A pgring directive names it.", Hint: "SHOW SHARDS lists the shards."}
	}
	for i := range p.s.needs {
		p.touch(p.s.needs[i].group, 0)
		p.plan.AllSlots = true
	}
	p.plan.Kind, p.plan.Shard = One, p.s.forced
	return nil
}

// single refuses what only a cluster of one shard can do.
func (p *planner) single() *Refusal {
	if p.s.single == nil || p.alone() {
		return nil
	}
	return p.s.single
}

// alone says whether there is one shard only.
func (p *planner) alone() bool { return len(everyShard(p.snap)) == 1 }
