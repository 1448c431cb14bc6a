package proxy

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// state is what of a session's settings follows it from server to server: an immutable value, so that ROLLBACK is an assignment.
type state struct {
	settings *backend.Settings
	env      *router.Env // the same settings as far as they change what names and bytes mean
	own      *own        // pgring's own
}

// change is one statement that changes settings.
type change struct {
	sql   []string          // the statements that the servers get
	next  *backend.Settings // the settings that result
	names []string          // of the settings; "all" for all of them
	sets  []router.Setting  // their values, of SET and SET LOCAL
	local bool              // until the end of the transaction only
	tag   string            // what the client is answered
}

// change makes the change on every server the session holds, or on one if it holds none, and remembers what to repeat on others.
func (c *session) change(ctx context.Context, ch change) error {
	if err := c.drain(); err != nil {
		return err
	}
	before, meaning := c.state, decidesMeaning(ch.names)
	env, err := c.runEverywhere(ctx, ch.sql, meaning)
	if err != nil {
		return c.reject(err)
	}
	c.state.settings, c.state.env = ch.next, env
	if slices.Contains(ch.names, "all") {
		c.state.own = c.baseline.own
	}
	if c.tx.active {
		for _, sql := range ch.sql {
			c.tx.prelude = append(c.tx.prelude, entry{sql: sql, sets: ch.sets, state: before})
		}
		c.tx.localEnv = c.tx.localEnv || (meaning && ch.local)
	}
	for _, p := range c.parts {
		if !p.began {
			p.conn.RecordSettings(ch.next)
		}
	}
	return c.replyTag(ch.tag)
}

// decidesMeaning reports whether one of the settings changes what names or bytes in the session's SQL mean.
func decidesMeaning(names []string) bool {
	for _, name := range names {
		switch name {
		case "search_path", "role", "session_authorization", "client_encoding", "all":
			return true
		}
	}
	return false
}

// runEverywhere runs statements on the servers that the session holds and returns the environment that results. A transaction that no
// server knows of yet stays so: the statement is tried on a server and undone there, because the client must hear at once if it
// is wrong.
func (c *session) runEverywhere(ctx context.Context, sql []string, meaning bool) (*router.Env, error) {
	if len(c.parts) == 0 && c.tx.active {
		return c.tryOut(ctx, sql, meaning)
	}
	if len(c.parts) == 0 {
		if _, err := c.enlist(ctx, c.home()); err != nil {
			return nil, err
		}
	}
	for _, p := range c.parts {
		p.unsynced = p.unsynced || c.unit.open
		if err := c.join(p); err != nil {
			return nil, err
		}
		for _, text := range p.texts(sql) {
			if err := c.runTold(p.run, text); err != nil {
				return nil, err
			}
		}
	}
	return c.environment(c.parts[0].run, meaning)
}

// join opens the transaction on a server that the session holds for other reasons, so that what is set there now ends with it.
func (c *session) join(p *participant) error {
	if !c.tx.active || p.began {
		return nil
	}
	p.began = true
	if _, err := p.run(cmp.Or(c.tx.begin, "BEGIN")); err != nil {
		return err
	}
	for _, e := range c.tx.prelude {
		if _, err := p.run(e.sql); err != nil {
			return err
		}
	}
	return nil
}

// texts packs statements for run: a Query message takes them all, a pipeline one at a time.
func (p *participant) texts(sql []string) []string {
	if p.unsynced {
		return sql
	}
	return []string{strings.Join(sql, "; ")}
}

// environment reads the environment from a server, if it may have changed.
func (c *session) environment(run runner, changed bool) (*router.Env, error) {
	if !changed {
		return c.state.env, nil
	}
	return c.readEnv(run)
}

// runner runs a statement on a connection that its maker knows.
type runner func(sql string) (outcome, error)

// tryOut runs statements as if they came next in the transaction that no server knows of yet, and rolls them back.
func (c *session) tryOut(ctx context.Context, sql []string, meaning bool) (*router.Env, error) {
	conn, err := c.srv.pools.AcquireFor(ctx, c.home(), c.user.Name, c.tx.base.settings)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	if _, err := runText(conn, cmp.Or(c.tx.begin, "BEGIN")); err != nil {
		return nil, err
	}
	for _, e := range c.tx.prelude {
		if _, err := runText(conn, e.sql); err != nil {
			return nil, err
		}
	}
	run := func(sql string) (outcome, error) { return runText(conn, sql) }
	err = c.runTold(run, strings.Join(sql, "; "))
	var env *router.Env
	if err == nil {
		env, err = c.environment(run, meaning)
	}
	if _, failure := runText(conn, "ROLLBACK"); failure != nil {
		return nil, failure
	}
	return env, err
}

// runTold runs a statement of which the client hears the ParameterStatus and errors, but not the tag.
func (c *session) runTold(run runner, sql string) error {
	out, err := run(sql)
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

// readMeaning looks up what settings that a statement has changed mean for the session's SQL.
func (c *session) readMeaning(ctx context.Context) error {
	env, err := c.askEnv(ctx)
	if err != nil {
		return c.reject(err)
	}
	c.state.env = env
	return nil
}

// askEnv reads the environment on a server that the session holds, or on one from the pool.
func (c *session) askEnv(ctx context.Context) (*router.Env, error) {
	if len(c.parts) > 0 {
		return c.readEnv(c.parts[0].run)
	}
	conn, err := c.srv.pools.AcquireFor(ctx, c.home(), c.user.Name, c.state.settings)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	return c.readEnv(func(sql string) (outcome, error) { return runText(conn, sql) })
}

// controlSetting handles SET, SET LOCAL, SET TRANSACTION, RESET and RESET ALL.
func (c *session) controlSetting(ctx context.Context, stmt *router.Statement, text string, values router.Values) error {
	local := stmt.Verb == router.SetLocal || stmt.Verb == router.SetTransaction
	if local && (!c.tx.active || c.tx.implicit && c.unit.open) {
		if err := c.notice(&pgwire.Error{Severity: "WARNING", Code: "25P01", Message: setOutsideMessage(stmt.Verb)}); err != nil {
			return err
		}
	}
	own := false
	if local || c.unit.open && !c.isLast() {
		var err error
		if own, err = c.enclose(inOneShard); err != nil {
			return c.reject(err)
		}
	}
	err := c.applySetting(ctx, stmt, text, values)
	if own {
		if failure := c.endScript(ctx); err == nil {
			err = failure
		}
	}
	return err
}

// isLast reports whether what is at hand is all of its pipeline: there was nothing else on a server, and Sync comes next.
func (c *session) isLast() bool {
	rest := c.client.Pending()
	return pgwire.WholeFrame(rest) > 0 && rest[0] == pgwire.Sync && c.isFirst()
}

// isFirst reports whether nothing of the pipeline has run so far, or been set.
func (c *session) isFirst() bool {
	return !c.tx.active && !slices.ContainsFunc(c.parts, func(p *participant) bool { return p.unsynced })
}

func (c *session) applySetting(ctx context.Context, stmt *router.Statement, text string, values router.Values) error {
	if isOwn(stmt) {
		return c.setOwn(stmt, stmt.SettingsWith(values)[0], "SET")
	}
	switch stmt.Verb {
	case router.ResetAll:
		return c.change(ctx, change{sql: c.resetAllSQL(), next: c.resetAllSettings(), names: []string{"all"}, tag: "RESET"})
	case router.Reset:
		if strings.HasPrefix(stmt.Name, localPrefix) {
			return c.setOwn(stmt, router.Setting{Name: stmt.Name, Default: true}, "RESET")
		}
		return c.reset(ctx, stmt.Name, "RESET")
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
	return c.change(ctx, change{sql: []string{strings.TrimRight(text, "; \n\t")}, next: next, names: names, sets: stmt.Settings, local: stmt.Verb != router.Set, tag: "SET"})
}

func setOutsideMessage(verb router.Verb) string {
	if verb == router.SetTransaction {
		return "SET TRANSACTION can only be used in transaction blocks"
	}
	return "SET LOCAL can only be used in transaction blocks"
}

// reset gives one setting the value it had when the session began: the client's start-up parameter, else the server's default.
func (c *session) reset(ctx context.Context, name, tag string) error {
	sql := "RESET " + quoteSettingName(name)
	next := c.state.settings.Without(name)
	if start, ok := c.baseline.settings.Lookup(name); ok {
		sql, next = start, next.With(name, start)
	}
	return c.change(ctx, change{sql: []string{sql}, next: next, names: []string{name}, tag: tag})
}

// resetAllSettings is what RESET ALL leaves: the start-up parameters, and the role, which it does not touch.
func (c *session) resetAllSettings() *backend.Settings {
	next := c.baseline.settings
	for _, name := range []string{"session_authorization", "role"} {
		if sql, ok := c.state.settings.Lookup(name); ok {
			next = next.With(name, sql)
		}
	}
	return next
}

// resetAllSQL is RESET ALL, then the settings that the session began with: to a server they are not defaults.
func (c *session) resetAllSQL() []string {
	sql := []string{"RESET ALL"}
	for _, s := range c.baseline.settings.List() {
		sql = append(sql, s.SQL)
	}
	return sql
}

// quoteSettingName quotes the parts of a setting's name, such as app.tenant.
func quoteSettingName(name string) string {
	parts := strings.Split(name, ".")
	for i, part := range parts {
		parts[i] = quoteName(part)
	}
	return strings.Join(parts, ".")
}

// readEnv asks a server for what its settings mean: the schemas of search_path that exist, "$user" resolved, and whether the
// client's bytes are the server's.
func (c *session) readEnv(run runner) (*router.Env, error) {
	out, err := run("SELECT pg_catalog.array_to_string(pg_catalog.current_schemas(false), chr(1)), " +
		"pg_catalog.current_setting('client_encoding') <> pg_catalog.current_setting('server_encoding')")
	if err != nil {
		return nil, err
	}
	if len(out.row) != 2 {
		return nil, errProtocol("unexpected answer to search_path")
	}
	var path []string
	if out.row[0] != "" {
		path = strings.Split(out.row[0], "\x01")
	}
	env := c.srv.welcomes.env(path, out.row[1] == "t")
	if c.state.env != nil && len(c.state.env.TempTables()) > 0 {
		env = env.WithTempTables(c.state.env.TempTables())
	}
	return env, nil
}

// refreshEnv reads the environment again when schemas have changed since: one of search_path may have come or gone. While the server
// cannot be asked, the old one stays.
func (c *session) refreshEnv(ctx context.Context) {
	if c.envSchemas == c.snap.Schemas || c.tx.active {
		return
	}
	env, err := c.askEnv(ctx)
	if err == nil {
		c.state.env, c.envSchemas = env, c.snap.Schemas
		c.baseline.env = env
	}
}
