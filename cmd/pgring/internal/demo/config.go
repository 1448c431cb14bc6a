package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
)

// shards is the number of servers to start: an earlier run's, because a placement has been made for so many.
func (d *demo) shards() (int, error) {
	before, err := config.Load(d.configFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if d.Shards == 0 {
			return DefaultShards, nil
		}
		return d.Shards, nil
	case err != nil:
		return 0, fmt.Errorf("read what the last demo left (%s removes it): %w", cleaner(d.Dir), err)
	case d.Shards != 0 && d.Shards != len(before.Shards):
		return 0, fmt.Errorf("the demo in %s has %d shards, not %d: remove it with %s, or choose another folder with --dir", d.Dir, len(before.Shards), d.Shards, cleaner(d.Dir))
	}
	return len(before.Shards), nil
}

const configHead = `# Written by pgring demo at each start, because the servers' ports change. While the demo runs you may edit it and type RELOAD on the
# console. The passwords are no secrets: everything here listens on 127.0.0.1 only. Use them nowhere else.
version: 1

listen:
  sql: %s
  http: %q
  drain_timeout: 2s

auth:
  users:
    - {name: app, password: app}
    - {name: admin, password: admin, role: admin}

backend:
  user: app
  password: app
  database: %s
  operator: {user: pgring, password: pgring}

shards:
`

const configTables = `
tables:
  - name: customers
    shard_key: [id]
  - name: orders
    shard_key: [customer_id]
    colocate: customers
    idempotency: {column: request_id, keep: 24h}   # what is sent again with the same one is done once
    batch: {max_rows: 64}                          # INSERTs of many clients share a flush
  - name: events
    shard_key: [customer_id]
    colocate: customers
    async: {enabled: true}   # INSERTs are answered when they are in the log below; see docs/writes.md
    partition: {column: at, every: 1d, ahead: 3d, keep: 30d, drop: true}   # a partition for each day, made on every shard
  - name: accounts
    shard_key: [id]
  - name: ledger
    shard_key: [account_id]
    colocate: accounts
    append_only: true
  - name: countries
    strategy: reference
  - name: app_settings
    strategy: home

async:
  dir: async
`

func (d *demo) configText() string {
	web := ""
	if d.HTTP != 0 {
		web = address(d.HTTP)
	}
	var text strings.Builder
	fmt.Fprintf(&text, configHead, address(d.Port), web, database)
	for _, s := range d.servers {
		fmt.Fprintf(&text, "  - {name: %s, host: %s, port: %d}\n", s.name, s.Host, s.Port)
	}
	text.WriteString(configTables)
	return text.String()
}
