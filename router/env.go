package router

import (
	"slices"
	"strings"
)

// Env is what of a session changes the meaning of its SQL. It is immutable:
// each With method returns a changed copy. Sessions with equal Envs share
// cached statements.
type Env struct {
	path    []string
	temp    []string // names of the session's temporary tables, sorted
	foreign bool
	key     string
}

// NewEnv returns the Env of a session with this search_path: existing schemas
// in order, "$user" resolved. pg_catalog and pg_temp are implied first, as in
// PostgreSQL; naming pg_catalog later in the path moves it there.
func NewEnv(path []string) *Env {
	return finished(Env{path: slices.Clone(path)})
}

// WithTempTables returns an Env for a session that has these temporary tables
// on its pinned connection to the home shard: unqualified uses of the names
// mean them.
func (e *Env) WithTempTables(names []string) *Env {
	next := *e
	next.temp = slices.Clone(names)
	slices.Sort(next.temp)
	next.temp = slices.Compact(next.temp)
	return finished(next)
}

// WithForeignEncoding returns an Env for a session whose client_encoding is not
// the shards' server encoding. Text keys with bytes outside ASCII cannot be
// hashed then and are refused.
func (e *Env) WithForeignEncoding(foreign bool) *Env {
	next := *e
	next.foreign = foreign
	return finished(next)
}

// TempTables returns the names given to WithTempTables, sorted.
func (e *Env) TempTables() []string { return e.temp }

func finished(e Env) *Env {
	var b strings.Builder
	if e.foreign {
		b.WriteByte(2)
	}
	for _, schema := range e.path {
		b.WriteString(schema)
		b.WriteByte(0)
	}
	b.WriteByte(1)
	for _, name := range e.temp {
		b.WriteString(name)
		b.WriteByte(0)
	}
	e.key = b.String()
	return &e
}

// catalogFirst says whether pg_catalog is searched before everything else.
func (e *Env) catalogFirst() bool { return !slices.Contains(e.path, catalogSchema) }

func (e *Env) isTemp(name string) bool {
	_, found := slices.BinarySearch(e.temp, name)
	return found
}

// SafeEncoding says whether PostgreSQL's encoding of this name is one in which
// multi-byte characters contain no ASCII bytes, so that the router reads the
// same tokens as the server does. Sessions must not use others.
func SafeEncoding(name string) bool {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	switch b.String() {
	case "sjis", "shiftjis", "mskanji", "win932", "windows932", "big5", "windows950", "win950", "gbk", "windows936", "win936",
		"gb18030", "uhc", "windows949", "win949", "johab", "shiftjis2004":
		return false
	}
	return true
}
