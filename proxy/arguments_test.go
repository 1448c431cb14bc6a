package proxy_test

import (
	"regexp"
	"testing"
)

// argumentsAreAssigned: constants of EXECUTE are assigned to parameters as in PostgreSQL; only the position of the error is not told.
func argumentsAreAssigned(t *testing.T, w *twin) {
	w.reset(t)
	script := w.keyed("Q PREPARE q (bool) AS SELECT $1 | Q EXECUTE q (1) | Q EXECUTE q (true) | Q EXECUTE q ('1') | " +
		"Q PREPARE r (date) AS SELECT $1 | Q EXECUTE r (20200101) | Q EXECUTE r ('20200101') | " +
		"Q PREPARE s AS SELECT id FROM users WHERE id = $1 | Q EXECUTE s (true) | Q EXECUTE s ({a}) | Q EXECUTE s (1 = 1) | " +
		"Q PREPARE t (text) AS SELECT $1 | Q EXECUTE t (true)")
	position := regexp.MustCompile(`(E:42804:\S+):\d+`)
	want := position.ReplaceAllString(play(t, w.plain.DSN("postgres", "postgres"), script), "$1")
	if got := position.ReplaceAllString(play(t, w.dsn(), script), "$1"); got != want {
		t.Error(difference(got, want))
	}
}
