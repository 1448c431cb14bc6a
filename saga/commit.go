package saga

import (
	"context"
	"errors"

	"github.com/pgring/pgring/backend"
)

func (c *Coordinator) commit(ctx context.Context, conns []*backend.Conn) error { return errors.ErrUnsupported }
