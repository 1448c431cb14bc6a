package codecheck

import (
	"slices"
	"strings"
)

// arrows is who may import whom: the picture in ARCHITECTURE.md. "*" is every package that is not for tests.
func arrows() map[string][]string {
	return map[string][]string{
		"cmd":       {"*"},
		"admin":     {"proxy", "rebalance", "saga", "ingest", "limits", "topology", "backend", "ring", "pgwire"},
		"proxy":     {"router", "saga", "ingest", "limits", "ids", "topology", "backend", "ring", "pgwire"},
		"router":    {"topology", "ring"},
		"saga":      {"topology", "backend", "ring", "pgwire"},
		"rebalance": {"topology", "backend", "ring"},
		"ingest":    {"topology", "backend", "ring"},
		"topology":  {"ring"},
		"backend":   {"pgwire", "ring"},
		"ring":      nil,
		"pgwire":    nil,
		"ids":       nil,
		"limits":    nil,
		"e2e":       {"*"},

		"internal/pgserver":    nil,
		"internal/kafkaserver": {"internal/pgserver"},
		"internal/pgtest":      {"internal/pgserver"},
		"internal/faultnet":    nil,
		"internal/golden":      nil,
		"internal/codecheck":   nil,
	}
}

// forTests lists the packages that only tests may import.
func forTests() []string {
	return []string{"internal/pgtest", "internal/kafkaserver", "internal/faultnet", "internal/golden", "internal/codecheck", "e2e"}
}

// layerOf is the package of the picture that a directory belongs to: proxy/internal/merge is part of proxy.
func layerOf(dir string) string {
	parts := strings.Split(dir, "/")
	if parts[0] == "internal" && len(parts) > 1 {
		return "internal/" + parts[1]
	}
	return parts[0]
}

// checkImports holds each import of our own packages against the picture.
func (c *checker) checkImports(f *file) {
	from := layerOf(f.dir)
	allowed, known := arrows()[from]
	if !known {
		c.report(f, f.tree.Name.Pos(), "layer", "package %s has no place in the picture of ARCHITECTURE.md; give it one there and in codecheck", from)
		return
	}
	for _, spec := range f.tree.Imports {
		below, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), c.module+"/")
		if !ours {
			continue
		}
		if to := layerOf(below); to != from && !c.mayImport(f, allowed, to) {
			c.report(f, spec.Pos(), "import", "%s may not import %s", from, to)
		}
	}
}

func (c *checker) mayImport(f *file, allowed []string, to string) bool {
	switch {
	case to == "cmd":
		return false
	case slices.Contains(forTests(), to):
		return f.test || f.dir == "e2e"
	case to == "admin" && layerOf(f.dir) != "cmd":
		return false
	case to == "internal/pgserver" && f.test:
		return true
	}
	return slices.Contains(allowed, "*") || slices.Contains(allowed, to)
}
