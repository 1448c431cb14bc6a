package proxy

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// firstUserOID is the first OID that a server gives to what users make (PostgreSQL manual, "OID Assignment"). Below it an OID
// means the same on every server; from it on each server counts for itself.
const firstUserOID = 16384

// translation says which OIDs of a shard mean what on the home shard, whose OIDs are those that clients know: they look them up in
// pg_type and pg_class, which the home shard answers. It is immutable, but for missed.
type translation struct {
	schema      int64
	generation  uint64
	loaded      time.Time
	toShard     map[uint32]uint32 // types
	types       map[uint32]uint32 // to the home shard's
	tables      map[uint32]uint32
	differs     bool        // some OID is not the same on both
	missed      atomic.Bool // an OID was not found: it may be new
	unavailable error       // why there are none
}

// translations keeps the translations of all shards.
type translations struct {
	pools      *backend.Pools
	current    atomic.Pointer[map[ring.ShardID]*translation]
	generation atomic.Uint64 // grows with DDL of this process
	loading    chan struct{} // holds a token while one loads
}

func newTranslations(pools *backend.Pools) *translations {
	t := &translations{pools: pools, loading: make(chan struct{}, 1)}
	t.current.Store(&map[ring.ShardID]*translation{})
	return t
}

// How long a translation that lacks something is used before the servers are asked again, and how long they may take.
const (
	translationRetry = 5 * time.Second
	translationWait  = 2 * time.Second
)

// fresh reports whether tr is true of what the snapshot knows.
func (t *translations) fresh(tr *translation, snap *topology.Snapshot) bool {
	if tr == nil || tr.schema != snap.Schema || tr.generation != t.generation.Load() {
		return false
	}
	return tr.unavailable == nil && !tr.missed.Load() || time.Since(tr.loaded) < translationRetry
}

// translate gives a participant the translation of its shard; nil for the home shard. A connection remembers the one that it had last.
func (c *session) translate(ctx context.Context, p *participant) {
	if p.shard == c.snap.Home {
		p.types = nil
		return
	}
	if tr, ok := p.conn.Memo().(*translation); ok && c.srv.translations.fresh(tr, c.snap) {
		p.types = tr
		return
	}
	p.types = c.translation(ctx, p.shard)
	p.conn.SetMemo(p.types)
}

// translation returns the one for a shard; nil for the home shard.
func (c *session) translation(ctx context.Context, shard ring.ShardID) *translation {
	if shard == c.snap.Home {
		return nil
	}
	t := c.srv.translations
	if tr := (*t.current.Load())[shard]; t.fresh(tr, c.snap) {
		return tr
	}
	c.takeTime()
	return t.renew(ctx, shard, c.snap)
}

// renew returns a fresh translation for a shard, which is loaded unless another session has done it meanwhile.
func (t *translations) renew(ctx context.Context, shard ring.ShardID, snap *topology.Snapshot) *translation {
	select {
	case t.loading <- struct{}{}:
		defer func() { <-t.loading }()
	case <-ctx.Done():
		return &translation{unavailable: ctx.Err()}
	}
	before := *t.current.Load()
	if tr := before[shard]; t.fresh(tr, snap) {
		return tr
	}
	tr := t.load(ctx, shard, snap)
	after := map[ring.ShardID]*translation{shard: tr}
	for id, other := range before {
		if id != shard {
			after[id] = other
		}
	}
	t.current.Store(&after)
	return tr
}

func (t *translations) load(ctx context.Context, shard ring.ShardID, snap *topology.Snapshot) *translation {
	ctx, cancel := context.WithTimeout(ctx, translationWait)
	defer cancel()
	tr := &translation{schema: snap.Schema, generation: t.generation.Load(), loaded: time.Now()}
	home, err := t.names(ctx, snap.Home)
	var there map[objectName]uint32
	if err == nil {
		there, err = t.names(ctx, shard)
	}
	if err != nil {
		tr.unavailable = err
		return tr
	}
	tr.toShard, tr.types, tr.tables = map[uint32]uint32{}, map[uint32]uint32{}, map[uint32]uint32{}
	for name, oid := range there {
		known, ok := home[name]
		tr.differs = tr.differs || known != oid
		switch {
		case !ok:
		case name.table:
			tr.tables[oid] = known
		default:
			tr.types[oid], tr.toShard[known] = known, oid
		}
	}
	return tr
}

// objectName names a type or a table.
type objectName struct {
	schema, name string
	table        bool
}

// names reads the OIDs of what users have made on a shard.
func (t *translations) names(ctx context.Context, shard ring.ShardID) (map[objectName]uint32, error) {
	conn, err := t.pools.Operator(ctx, shard)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, `
SELECT o.oid, n.nspname, o.name, o.is_table FROM (
	SELECT oid, typnamespace AS namespace, typname AS name, false AS is_table FROM pg_catalog.pg_type
	UNION ALL SELECT oid, relnamespace, relname, true FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c')) o
JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
WHERE o.oid >= $1::bigint AND n.nspname !~ '^pg_(temp|toast)'`, firstUserOID)
	if err != nil {
		return nil, err
	}
	found := map[objectName]uint32{}
	var oid uint32
	var name objectName
	_, err = pgx.ForEachRow(rows, []any{&oid, &name.schema, &name.name, &name.table}, func() error {
		found[name] = oid
		return nil
	})
	return found, err
}

// parameters returns the OIDs of parameters' types as the shard has them.
func (tr *translation) parameters(oids []uint32, shard ring.ShardID) ([]uint32, error) {
	if tr == nil {
		return oids, nil
	}
	var mapped []uint32
	for i, oid := range oids {
		if oid < firstUserOID {
			continue
		}
		if tr.unavailable != nil {
			return nil, &pgwire.Error{Code: codeConnectionFailure, Message: "types of parameters are not known while the home shard cannot be reached",
				Hint: "Leave the types of parameters undeclared, or try again."}
		}
		there, ok := tr.toShard[oid]
		if !ok {
			tr.missed.Store(true)
			return nil, &pgwire.Error{Code: codeUndefinedObject, Message: fmt.Sprintf("type with OID %d does not exist on shard %q", oid, shard),
				Hint: "Create types through pgring, which makes them on every shard."}
		}
		if mapped == nil {
			mapped = append(mapped, oids...)
		}
		mapped[i] = there
	}
	if mapped == nil {
		return oids, nil
	}
	return mapped, nil
}

// known returns the OIDs of types of the shard as the home shard has them.
func (tr *translation) known(oids []uint32) []uint32 {
	if tr.isPlain() {
		return oids
	}
	mapped := slices.Clone(oids)
	for i, oid := range oids {
		if home, ok := tr.types[oid]; ok {
			mapped[i] = home
		}
	}
	return mapped
}

// isPlain reports whether what the shard describes needs no translation.
func (tr *translation) isPlain() bool { return tr == nil || !tr.differs && tr.unavailable == nil }

// describe translates a RowDescription or ParameterDescription in place. A type whose number on the home shard is not known is an
// *untranslatedError: the client would take the shard's number for another type.
func (tr *translation) describe(frame []byte) error {
	if tr.isPlain() {
		return nil
	}
	unknown, ok := pgwire.MapOIDs(frame, tr.types, tr.tables)
	switch {
	case !ok:
		return errProtocol("malformed description from server")
	case unknown == 0:
		return nil
	case tr.unavailable != nil:
		return &untranslatedError{&pgwire.Error{Code: codeConnectionFailure, Message: "types of the result are not known while the home shard cannot be reached",
			Hint: "Cast the values to text, or try again."}}
	}
	tr.missed.Store(true)
	return &untranslatedError{&pgwire.Error{Code: codeUndefinedObject, Message: fmt.Sprintf("type with OID %d on a shard is not known on the home shard", unknown),
		Hint: "Try again if it is new. Create types through pgring, which makes them on every shard."}}
}

// untranslatedError is a description that cannot be passed on.
type untranslatedError struct{ told *pgwire.Error }

func (e *untranslatedError) Error() string { return e.told.Message }

func (e *untranslatedError) Unwrap() error { return e.told }

// relayDescription passes a description on to the client, in the home shard's OIDs. If that cannot be done, what the server
// answers is of no use, and the connection is given up.
func (c *session) relayDescription(wire *pgwire.Conn, size int, drop bool) error {
	types := c.turn.part.types
	if drop || types.isPlain() {
		return c.pass(wire, size, drop)
	}
	frame, err := wire.Frame(size, maxControlFrame)
	if err == nil {
		err = types.describe(frame)
	}
	if err != nil {
		return c.lost(err)
	}
	return c.write(frame)
}
