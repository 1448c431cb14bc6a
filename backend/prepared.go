package backend

import "strconv"

const statementPrefix = "pgring_"

// StatementName returns the server-side name of statement id.
func StatementName(id uint64) string { return statementPrefix + strconv.FormatUint(id, 10) }

// AppendStatementName appends the server-side name of statement id to b.
func AppendStatementName(b []byte, id uint64) []byte {
	return strconv.AppendUint(append(b, statementPrefix...), id, 10)
}

// Prepared reports whether statement id is prepared on this connection, and marks it as used.
func (c *Conn) Prepared(id uint64) bool { return c.prepared.use(id) }

// AddPrepared notes that statement id is being prepared. When ok, the connection has more statements than it shall remember and
// forgot the one that was used least recently, evicted: the caller sends Close for it.
func (c *Conn) AddPrepared(id uint64) (evicted uint64, ok bool) {
	evicted, ok = c.prepared.add(id)
	c.statements.Store(int32(len(c.prepared.at)))
	return evicted, ok
}

// RestorePrepared takes back an eviction whose Close the server has skipped: statement id is still there. It becomes the next
// to be evicted.
func (c *Conn) RestorePrepared(id uint64) {
	c.prepared.restore(id)
	c.statements.Store(int32(len(c.prepared.at)))
}

// ForgetPrepared notes that statement id is not prepared after all, or no longer.
func (c *Conn) ForgetPrepared(id uint64) {
	c.prepared.forget(id)
	c.statements.Store(int32(len(c.prepared.at)))
}

// ForgetAllPrepared notes that no statement is prepared any more, as after DISCARD ALL or DEALLOCATE ALL.
func (c *Conn) ForgetAllPrepared() {
	c.prepared.clear()
	c.statements.Store(0)
}

// lru remembers the statements used most recently. Node 0 is the ring's anchor: its next is the most recent, its prev the least.
type lru struct {
	limit int
	at    map[uint64]int32
	nodes []lruNode
	free  []int32
}

type lruNode struct {
	id         uint64
	prev, next int32
}

func newLRU(limit int) lru { return lru{limit: limit} }

func (l *lru) use(id uint64) bool {
	i, ok := l.at[id]
	if ok && l.nodes[0].next != i {
		l.unlink(i)
		l.link(i, 0)
	}
	return ok
}

func (l *lru) add(id uint64) (evicted uint64, ok bool) {
	if l.use(id) {
		return 0, false
	}
	if len(l.at) >= l.limit {
		evicted, ok = l.nodes[l.nodes[0].prev].id, true
		l.forget(evicted)
	}
	l.insert(id, 0)
	return evicted, ok
}

func (l *lru) restore(id uint64) {
	if _, ok := l.at[id]; ok {
		return
	}
	last := int32(0)
	if len(l.nodes) > 0 {
		last = l.nodes[0].prev
	}
	l.insert(id, last)
}

func (l *lru) forget(id uint64) {
	i, ok := l.at[id]
	if !ok {
		return
	}
	delete(l.at, id)
	l.unlink(i)
	l.free = append(l.free, i)
}

func (l *lru) clear() {
	clear(l.at)
	l.nodes, l.free = l.nodes[:0], l.free[:0]
}

// insert puts a new id after the node at place.
func (l *lru) insert(id uint64, place int32) {
	if l.at == nil {
		l.at = map[uint64]int32{}
	}
	if len(l.nodes) == 0 {
		l.nodes = append(l.nodes, lruNode{})
	}
	i := int32(len(l.nodes))
	if n := len(l.free); n > 0 {
		i, l.free = l.free[n-1], l.free[:n-1]
	} else {
		l.nodes = append(l.nodes, lruNode{})
	}
	l.nodes[i].id = id
	l.at[id] = i
	l.link(i, place)
}

func (l *lru) link(i, after int32) {
	next := l.nodes[after].next
	l.nodes[i].prev, l.nodes[i].next = after, next
	l.nodes[after].next, l.nodes[next].prev = i, i
}

func (l *lru) unlink(i int32) {
	n := l.nodes[i]
	l.nodes[n.prev].next, l.nodes[n.next].prev = n.next, n.prev
}
