package router

import (
	"bytes"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// Most statements of an application run where one key is, or where their home tables are, and nothing else has a say in it. They are
// planned here, in few steps; whatever is not as usual, such as a value that is no key, is left to the planner.

// point is how a statement is planned that runs where one key is.
type point struct {
	group   string
	at      int  // of the group among the snapshot's, when the statement was analysed
	plain   bool // a value of the key's type is the key as it stands
	foreign bool // texts are not in the servers' encoding
	key     operand
}

// simple says whether nothing but its tables and keys has a say in a statement's plan.
func (s *Statement) simple() bool {
	return s.refused == nil && s.single == nil && s.forced == "" && s.expanded == "" && len(s.reached) == 0 && !s.NoTransaction && !s.ShardByShard
}

// pointOf returns the point that an analysed statement is planned by; nil: it is none.
func (s *Statement) pointOf(snap *topology.Snapshot) *point {
	if !s.simple() || s.route != routeRows || s.insertion != nil || s.alone != nil || len(s.needs) == 0 || len(s.homes) > 0 || s.catalogs {
		return nil
	}
	n := &s.needs[0]
	for i := range s.needs {
		if other := &s.needs[i]; other.group != n.group || len(other.any) != 1 || !other.any[0].same(&n.any[0]) {
			return nil
		}
	}
	if n.any[0].array {
		return nil
	}
	for i, g := range snap.Groups() {
		if g.Name == n.group {
			p := &point{group: n.group, at: i, key: n.any[0], foreign: s.env.foreign}
			p.plain = !p.key.negative && p.key.storedAsGiven() && !(p.foreign && p.key.keyType == ring.KeyText)
			return p
		}
	}
	return nil
}

// isResident says whether an analysed statement runs on one shard whatever its values are: it has no sharded tables, and its home
// tables are on one shard.
func (s *Statement) isResident() bool {
	switch s.route {
	case routeReference:
		return s.simple()
	case routeHome:
		return s.simple() && (len(s.homes) == 0 || len(s.homes) == 1 && !s.catalogs)
	case routeUnset, routeRows, routeBroadcast:
	}
	return false
}

// residence is the plan of a resident statement; without a kind, the planner says why not.
func (s *Statement) residence(snap *topology.Snapshot) (kind Kind, shard ring.ShardID) {
	kind, shard = Home, snap.Home
	if s.route == routeReference {
		kind = Reference
	} else if len(s.homes) > 0 {
		shard = s.homes[0]
	}
	if s.Access != Read && readOnly(snap, shard) != nil {
		return KindUnset, ""
	}
	return kind, shard
}

// same says whether two operands are read alike.
func (o *operand) same(p *operand) bool {
	return o == p || o.kind == p.kind && o.index == p.index && o.negative == p.negative && o.null == p.null && o.array == p.array &&
		o.cast == p.cast && o.stored == p.stored && o.modifier == p.modifier && o.shared == p.shared && o.lit == p.lit &&
		o.keyType == p.keyType && o.given == nil && p.given == nil && len(o.parts) == 0 && len(p.parts) == 0
}

// storedAsGiven says whether the column never keeps another value than the one written.
func (o *operand) storedAsGiven() bool {
	return !o.stored || o.modifier == -1 || o.keyType == ring.KeyInt || o.keyType == ring.KeyUUID || o.keyType == ring.KeyBytea
}

// placement is that of the key's group; nil: it is not known.
func (p *point) placement(snap *topology.Snapshot) ring.Placement {
	groups := snap.Groups()
	if p.at >= len(groups) || groups[p.at].Name != p.group {
		return nil
	}
	return groups[p.at].Placement
}

// locate returns where the key of an execution is, and its hash. No shard: that is for the planner to say.
func (p *point) locate(s *Statement, snap *topology.Snapshot, v Values) (at ring.Location, hash uint64) {
	placement := p.placement(snap)
	if placement == nil || v == nil {
		return at, 0
	}
	var (
		key ring.Key
		err error
		got = readKey
	)
	switch data, as := p.bytes(s, v); as {
	case asText:
		key, err = ring.ParseKey(p.key.keyType, data)
	case asBinary:
		key, err = ring.DecodeKey(p.key.keyType, data)
	case asOperand:
		key, got = p.operand(s, v)
	}
	if err != nil || got != readKey {
		return at, 0
	}
	at = placement.Locate(key)
	if s.Access != Read && readOnly(snap, at.Shard) != nil {
		return ring.Location{}, 0
	}
	return at, key.Hash()
}

// manner is how a key is read from its bytes.
type manner uint8

const (
	asOperand manner = iota // it takes more than the bytes
	asText                  // they are the key in text format
	asBinary                // they are the key in binary format
)

// operand reads the key of an execution in whatever way it is given. Why it cannot be read the planner says.
func (p *point) operand(s *Statement, v Values) (ring.Key, reading) {
	in := input{params: v, literals: s.literalsWith(v), foreign: p.foreign}
	key, got, _ := in.key(&p.key)
	return key, got
}

// bytes returns what the key of an execution is read from where that is said by its bytes alone: a literal without escapes, a parameter
// of the key's type. It spares most statements the steps of input.key, which come to the same.
func (p *point) bytes(s *Statement, v Values) ([]byte, manner) {
	o := &p.key
	switch {
	case !p.plain || s.fixed != nil:
	case o.kind == operandLiteral:
		if own, ok := v.(*literals); ok {
			return own.plain(o.index)
		}
	case o.kind == operandParam:
		value, known := v.Value(o.index)
		switch {
		case !known || value.Null || !o.declaredAs(value.OID) || o.shared && value.OID == 0:
		case value.Binary:
			return value.Data, asBinary
		default:
			return value.Data, asText
		}
	}
	return nil, asOperand
}

// plain returns the bytes of the j-th literal if they stand for themselves.
func (l *literals) plain(j int) ([]byte, manner) {
	if j >= len(l.list) {
		return nil, asOperand
	}
	lit := &l.list[j]
	text := l.text[lit.Start:lit.End]
	switch lit.Kind {
	case sql.Integer:
		return text, asText
	case sql.String:
		if text = text[1 : len(text)-1]; bytes.IndexByte(text, '\'') < 0 {
			return text, asText
		}
	}
	return nil, asOperand
}
