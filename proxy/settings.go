package proxy

import (
	"context"
	"strings"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// state is what of a session's settings follows it from server to server: an immutable value, so that ROLLBACK is an assignment.
type state struct {
	settings *backend.Settings
	env      *router.Env // the same settings as far as they change what names and bytes mean
}

// change runs a statement that changes settings on every server the session holds, or on one if it holds none, and remembers
// what to repeat on others. sql is what the servers get, next the settings that result.
func (c *session) change(ctx context.Context, sql string, next *backend.Settings, names []string, tag string) error {
	if err := c.drain(); err != nil {
		return err
	}
	before := c.state
	if err := c.runEverywhere(ctx, sql); err != nil {
		return err
	}
	c.state.settings = next
	if c.tx.active {
		c.tx.prelude = append(c.tx.prelude, entry{sql: sql, state: before})
	}
	for _, p := range c.parts {
		if !p.began {
			p.conn.RecordSettings(next)
		}
	}
	if err := c.readMeaning(ctx, names); err != nil {
		return err
	}
	return c.replyTag(tag)
}

// runEverywhere runs sql on the servers that the session holds. A transaction that no server knows of yet stays so: the statement
// is tried on a server and undone there, because the client must hear at once if it is wrong.
func (c *session) runEverywhere(ctx context.Context, sql string) error {
	if len(c.parts) > 0 {
		for _, p := range c.parts {
			if err := c.runTold(p.conn, sql); err != nil {
				return c.reject(err)
			}
		}
		return nil
	}
	if !c.tx.active {
		p, err := c.enlist(ctx, c.home())
		if err != nil {
			return c.reject(err)
		}
		if err := c.runTold(p.conn, sql); err != nil {
			return c.reject(err)
		}
		return nil
	}
	conn, err := c.srv.pools.AcquireFor(ctx, c.home(), c.user.Name, c.tx.base.settings)
	if err != nil {
		return c.reject(err)
	}
	defer conn.Release()
	if err := c.tryOut(conn, sql); err != nil {
		return c.reject(err)
	}
	return nil
}

// tryOut runs sql after the transaction's prelude on a connection, and rolls it back.
func (c *session) tryOut(conn *backend.Conn, sql string) error {
	begin := c.tx.begin
	if begin == "" {
		begin = "BEGIN"
	}
	if _, err := runText(conn, begin); err != nil {
		return err
	}
	for _, e := range c.tx.prelude {
		if _, err := runText(conn, e.sql); err != nil {
			return err
		}
	}
	err := c.runTold(conn, sql)
	if _, failure := runText(conn, "ROLLBACK"); failure != nil {
		return failure
	}
	return err
}

// runTold runs a statement of which the client hears the ParameterStatus and errors, but not the tag.
func (c *session) runTold(conn *backend.Conn, sql string) error {
	out, err := runText(conn, sql)
	if err != nil {
		return err
	}
	b := c.out[:0]
	for name, value := range out.parameters {
		if name == "application_name" {
			c.watch.Lock()
			c.watch.app = value
			c.watch.Unlock()
		}
		b = pgwire.AppendParameterStatus(b, name, value)
	}
	c.out = b
	return c.write(b)
}

// readMeaning looks up what the changed settings mean for names and bytes in the session's SQL.
func (c *session) readMeaning(ctx context.Context, names []string) error {
	relevant := false
	for _, name := range names {
		switch name {
		case "search_path", "role", "session_authorization", "client_encoding", "all":
			relevant = true
		}
	}
	if !relevant {
		return nil
	}
	conn, err := c.borrow(ctx)
	if err != nil {
		return c.reject(err)
	}
	env, err := c.readEnv(conn)
	if c.participantOf(conn) == nil {
		conn.Release()
	}
	if err != nil {
		return c.reject(err)
	}
	c.state.env = env
	return nil
}

// borrow returns a connection with the session's settings: one that it holds, or one from the pool that the caller releases.
func (c *session) borrow(ctx context.Context) (*backend.Conn, error) {
	if len(c.parts) > 0 {
		return c.parts[0].conn, nil
	}
	return c.srv.pools.AcquireFor(ctx, c.home(), c.user.Name, c.state.settings)
}

func (c *session) participantOf(conn *backend.Conn) *participant {
	for _, p := range c.parts {
		if p.conn == conn {
			return p
		}
	}
	return nil
}

// controlSetting handles SET, SET LOCAL, SET TRANSACTION, RESET and RESET ALL.
func (c *session) controlSetting(ctx context.Context, stmt *router.Statement, text string) error {
	switch stmt.Verb {
	case router.ResetAll:
		return c.change(ctx, c.resetAllSQL(), c.resetAllSettings(), []string{"all"}, "RESET")
	case router.Reset:
		return c.reset(ctx, stmt.Name, "RESET")
	}
	if len(stmt.Settings) > 0 && strings.HasPrefix(stmt.Settings[0].Name, localPrefix) {
		return c.setLocal(stmt.Settings[0])
	}
	if stmt.Verb == router.Set && len(stmt.Settings) == 1 && stmt.Settings[0].Default {
		return c.reset(ctx, stmt.Settings[0].Name, "SET")
	}
	next := c.state.settings
	names := make([]string, 0, len(stmt.Settings))
	for _, s := range stmt.Settings {
		names = append(names, s.Name)
		if stmt.Verb == router.Set && !s.Local {
			next = next.With(s.Name, "SET "+quoteSettingName(s.Name)+" TO "+s.Value)
		}
	}
	if stmt.Verb != router.Set && !c.tx.active {
		if err := c.notice(&pgwire.Error{Severity: "WARNING", Code: "25P01", Message: setOutsideMessage(stmt.Verb)}); err != nil {
			return err
		}
		return c.replyTag("SET")
	}
	return c.change(ctx, strings.TrimRight(text, "; \n\t"), next, names, "SET")
}

func setOutsideMessage(verb router.Verb) string {
	if verb == router.SetTransaction {
		return "SET TRANSACTION can only be used in transaction blocks"
	}
	return "SET LOCAL can only be used in transaction blocks"
}

// reset gives one setting the value it had when the session began: the client's start-up parameter, else the server's default.
func (c *session) reset(ctx context.Context, name, tag string) error {
	if strings.HasPrefix(name, localPrefix) {
		return c.setLocal(router.Setting{Name: name, Default: true})
	}
	sql := "RESET " + quoteSettingName(name)
	next := c.state.settings.Without(name)
	if start, ok := c.baseline.settings.Lookup(name); ok {
		sql, next = start, next.With(name, start)
	}
	return c.change(ctx, sql, next, []string{name}, tag)
}

// resetAllSettings is what RESET ALL leaves: the start-up parameters, and the role, which it does not touch.
func (c *session) resetAllSettings() *backend.Settings {
	next := c.baseline.settings
	for _, name := range []string{"role", "session_authorization"} {
		if sql, ok := c.state.settings.Lookup(name); ok {
			next = next.With(name, sql)
		}
	}
	return next
}

func (c *session) resetAllSQL() string {
	var sql strings.Builder
	sql.WriteString("RESET ALL")
	for _, s := range c.baseline.settings.List() {
		sql.WriteString("; " + s.SQL)
	}
	return sql.String()
}

// quoteSettingName quotes the parts of a setting's name, such as app.tenant.
func quoteSettingName(name string) string {
	parts := strings.Split(name, ".")
	for i, part := range parts {
		parts[i] = `"` + strings.ReplaceAll(part, `"`, `""`) + `"`
	}
	return strings.Join(parts, ".")
}

// localPrefix begins the names of the settings that are pgring's own.
const localPrefix = "pgring."

// setLocal and showLocal serve pgring's own settings. There are none in this version.
func (c *session) setLocal(s router.Setting) error { return c.reject(errUnknownSetting(s.Name)) }

func errUnknownSetting(name string) error {
	return &pgwire.Error{Code: "42704", Message: "unrecognized configuration parameter \"" + name + "\""}
}

func (c *session) readEnv(conn *backend.Conn) (*router.Env, error) {
	out, err := runText(conn, "SELECT pg_catalog.current_setting('search_path'), current_user, "+
		"pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('server_encoding')")
	if err != nil {
		return nil, err
	}
	if len(out.row) != 4 {
		return nil, errProtocol("unexpected answer to search_path")
	}
	path := splitIdentifiers(out.row[0])
	for i, schema := range path {
		if schema == "$user" {
			path[i] = out.row[1]
		}
	}
	return c.srv.welcomes.env(path, out.row[2] != out.row[3]), nil
}
