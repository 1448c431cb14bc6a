package config

// planned tells whether a key belongs to the format but to a feature that this version does not have. Such a key is refused
// by that name rather than as unknown: a file written for a newer pgring must never half work.
func planned(path string) bool {
	switch path {
	case "ids",
		"routing.missing_key",
		"tables[].id",
		"limits.statement_timeout", "limits.shed",
		"observe.metrics", "observe.trace", "observe.dashboard", "observe.diagnose":
		return true
	default:
		return false
	}
}
