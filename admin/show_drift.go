package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/topology"
)

func driftColumns() []column {
	return []column{
		{"shard", text, "The shard that is not as the home shard."},
		{"difference", text, "missing: the shard lacks it; extra: the home shard lacks it; differs; unknown: the shard could not be looked at."},
		{"kind", text, "Of what is different: table, column, index, constraint, type, function …"},
		{"object", text, "Its name, behind that of its table if it has one."},
		{"home", text, "How the home shard defines it; NULL if it does not."},
		{"there", text, "How the shard defines it; NULL if it does not."},
		{"what_to_do", text, "How to make them equal again, on the shard itself and not through the proxy."},
	}
}

// showDrift answers SHOW SCHEMA DRIFT.
func (c *Console) showDrift(ctx context.Context, _ *input) (*outcome, error) {
	all, err := c.cfg.Topology.Drift(ctx)
	if err != nil {
		return nil, topologyError(err)
	}
	var rows []row
	for i := range all {
		rows = append(rows, driftRow(&all[i]))
	}
	return rowsOf(rows)
}

func driftRow(d *topology.Difference) row {
	object := d.Name
	if d.Table != (topology.Name{}) {
		object = strings.TrimSuffix(d.Table.String()+"."+d.Name, ".")
	}
	shard := string(d.Shard)
	switch {
	case d.Err != nil:
		return row{shard, "unknown", nil, nil, nil, nil, "Ask again when the shard can be reached; SHOW SHARDS says how it is."}
	case d.Missing:
		return row{shard, "missing", d.Kind, object, d.Home, nil, "On " + shard + ": " + missingHint(d)}
	case d.Extra:
		return row{shard, "extra", d.Kind, object, nil, d.There, fmt.Sprintf("Drop the %s on %s, or define it on all the other shards.", d.Kind, shard)}
	}
	return row{shard, "differs", d.Kind, object, d.Home, d.There, fmt.Sprintf("Define the %s on %s as the home shard has it.", d.Kind, shard)}
}

// missingHint makes the statement that brings a missing object back, where its definition is one.
func missingHint(d *topology.Difference) string {
	table, name := pgx.Identifier{d.Table.Schema, d.Table.Table}.Sanitize(), pgx.Identifier{d.Name}.Sanitize()
	switch d.Kind {
	case "schema":
		return "CREATE SCHEMA " + name
	case "extension":
		return "CREATE EXTENSION " + name
	case "column":
		return fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s", table, name, d.Home)
	case "constraint":
		return fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s %s", table, name, d.Home)
	case "index", "trigger", "function", "procedure":
		return strings.TrimSuffix(d.Home, " (not valid)")
	case "type":
		if !strings.HasPrefix(d.Home, "DOMAIN") && !strings.HasPrefix(d.Home, "RANGE") {
			return "CREATE TYPE " + d.Name + " AS " + d.Home
		}
	}
	return "define the " + d.Kind + " as the home shard has it (pg_dump --schema-only shows how)."
}
