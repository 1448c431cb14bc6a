package router

import (
	_ "example.com/m/admin"
	_ "example.com/m/backend"
	_ "example.com/m/cmd/pgring"
	_ "example.com/m/internal/pgserver"
	_ "example.com/m/internal/pgtest"
	_ "example.com/m/ring"
	_ "example.com/m/topology"
)
