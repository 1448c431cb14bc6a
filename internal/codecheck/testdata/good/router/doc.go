// Package router imports only what it may.
package router

import (
	_ "example.com/m/ring"
	_ "example.com/m/router/internal/sql"
	_ "example.com/m/topology"
)
