package node

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// Connect opens a connection to a shard of the configuration with one of its logins, as a node would. The caller closes it.
func Connect(ctx context.Context, cfg *config.Config, shard config.Shard, as config.Login) (*pgx.Conn, error) {
	t, err := target(cfg, topology.Shard{ID: ring.ShardID(shard.Name), Host: shard.Host, Port: shard.Port})
	if err != nil {
		return nil, err
	}
	return backend.Connect(ctx, t, login(as.User, as.Password, cfg.BackendOf(shard).Database))
}
