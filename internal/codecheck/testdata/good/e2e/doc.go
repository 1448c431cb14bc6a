// Package e2e may use the packages for tests.
package e2e

import (
	_ "example.com/m/internal/pgtest"
	_ "example.com/m/ring"
)
