package e2e

import (
	"testing"
)

// The drivers of other languages run in scripts of their own; each has a fresh cluster, so that it may use any key.

func TestNodePostgres(t *testing.T) {
	t.Parallel()
	start(t, layout{}).runScript(t, "node", "node/driver.mjs")
}

func TestPsycopg2(t *testing.T) {
	t.Parallel()
	start(t, layout{}).runScript(t, "/usr/bin/python3", "python/driver_psycopg2.py")
}

func TestPsycopg3(t *testing.T) {
	t.Parallel()
	start(t, layout{}).runScript(t, "/usr/bin/python3", "python/driver_psycopg3.py")
}

func (c *cluster) runScript(t *testing.T, interpreter, script string) {
	t.Helper()
	t.Log(c.run(t, tool{name: interpreter, args: []string{script}, env: []string{"PYTHONDONTWRITEBYTECODE=1"}}))
}
