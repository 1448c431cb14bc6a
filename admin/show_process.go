package admin

import (
	"context"
	"slices"
	"strconv"
	"time"
)

func configColumns() []column {
	return []column{
		{"key", text, "The key in the file."},
		{"value", text, "Its value; a secret shows only where it comes from."},
		{"default", text, "What it is when the file does not say."},
		{"changeable", text, "yes if RELOAD changes it, no if only a restart does."},
	}
}

// showConfig answers SHOW CONFIG.
func (c *Console) showConfig(context.Context, *input) (*outcome, error) {
	var rows []row
	for _, s := range c.cfg.Settings() {
		rows = append(rows, row{s.Key, s.Value, s.Default, yes(!s.Restart)})
	}
	return rowsOf(rows)
}

// showVersion answers SHOW VERSION.
func (c *Console) showVersion(context.Context, *input) (*outcome, error) {
	return rowsOf([]row{{"pgring " + c.cfg.Version}})
}

func stateColumns() []column {
	return []column{{"key", text, "What."}, {"value", text, "How it is."}}
}

// showState answers SHOW STATE; the first three rows are pgbouncer's.
func (c *Console) showState(context.Context, *input) (*outcome, error) {
	status := c.cfg.Topology.Status()
	paused := true
	pools := c.cfg.Pools.Stats()
	for _, p := range pools {
		paused = paused && p.Paused
	}
	paused = paused && len(pools) > 0
	rows := []row{
		{"active", yes(c.cfg.Serving() && !paused)},
		{"paused", yes(paused)},
		{"suspended", "no"},
		{"serving", yes(c.cfg.Serving())},
		{"started", moment(c.started)},
		{"map_epoch", strconv.FormatInt(status.Epoch, 10)},
		{"schema_version", strconv.FormatInt(status.Schema, 10)},
		{"control_database", map[bool]string{true: "connected", false: "lost"}[status.Connected]},
		{"control_database_since", moment(status.Since)},
		{"control_database_error", orNull(status.LastError)},
		{"lease_until", moment(status.LeaseUntil)},
		{"catalog", map[bool]string{true: "connected", false: "lost"}[status.CatalogConnected]},
		{"catalog_error", orNull(status.CatalogError)},
	}
	if snap := c.cfg.Topology.Current(); snap != nil {
		rows = append(rows, row{"cluster", snap.ClusterID}, row{"home_shard", string(snap.Home)})
	}
	return rowsOf(rows)
}

// help answers HELP.
func (c *Console) help(context.Context, *input) (*outcome, error) {
	var rows []row
	for i := range c.commands {
		command := &c.commands[i]
		usage := command.usage()
		if command.shows() && command.name != "HELP" {
			usage += " [filter]"
		}
		rows = append(rows, row{usage, command.does, command.role.String()})
	}
	return &outcome{rows: rows}, nil
}

func reloadColumns() []column {
	return []column{
		{"key", text, "The key, or the entry of a list that is new or gone."},
		{"old", text, "Its value before."},
		{"new", text, "Its value in the file."},
		{"outcome", text, "applied, restart (it takes effect with the next start) or no change."},
	}
}

// reload answers RELOAD.
func (c *Console) reload(ctx context.Context, in *input) (*outcome, error) {
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	changes, err := c.cfg.Reload(ctx)
	if err != nil {
		return nil, reloadError(changes, err)
	}
	slices.SortStableFunc(changes, func(a, b Change) int { return unchanged(a) - unchanged(b) })
	var rows []row
	for _, change := range changes {
		rows = append(rows, row{change.Key, change.Old, change.New, change.Outcome})
	}
	return rowsOf(rows)
}

// unchanged is 1 for a key that is as it was, so that what a RELOAD has done comes first.
func unchanged(c Change) int {
	if c.Outcome == "no change" {
		return 1
	}
	return 0
}

// shutdown answers SHUTDOWN.
func (c *Console) shutdown(_ context.Context, in *input) (*outcome, error) {
	mode := ShutdownDrain
	if in.arguments.accept("WAIT_FOR_CLIENTS") {
		mode = ShutdownWhenClients
	}
	if err := in.arguments.end(); err != nil {
		return nil, err
	}
	c.cfg.Shutdown(mode)
	return &outcome{}, nil
}

// uptime is how long the console, and with it the process, has been there.
func (c *Console) uptime() time.Duration { return time.Since(c.started) }
