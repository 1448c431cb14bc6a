package saga_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/saga"
)

const someCluster = "2f1c9b4e-58a5-4e0b-9d3c-0a6f6c1f7f11"

func TestNameOfPreparedTransactionReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name, _ := saga.NewIdentity()
		home := rapid.StringMatching(`[a-zA-Z0-9_.-]{1,30}`).Draw(t, "home")
		text := saga.GID(someCluster, name, rapid.IntRange(1, 1000).Draw(t, "step"), ring.ShardID(home))
		again, ok := saga.RoundTrip(text)
		if !ok || again != text {
			t.Fatalf("%q reads back as %q, %t", text, again, ok)
		}
	})
}

func FuzzParseGID(f *testing.F) {
	for _, text := range []string{"", "pgring", "pgring____", "pgring_a_b_1_c", "pgring_a_b_01_c", "pgring_a_b_0_c", "pgring_a_b_-1_c", "other_a_b_1_c", "pgring_a_b_1_c_d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if again, ok := saga.RoundTrip(text); ok && again != text {
			t.Errorf("%q reads back as %q", text, again)
		}
	})
}

func TestQuotedTextIsReadBackByTheServer(t *testing.T) {
	conn := pgtest.Start(t, 1)[0].Connect(t)
	for _, conforming := range []string{"on", "off"} {
		for _, text := range []string{"", "s1", "it's", `back\slash`, `\'; DROP TABLE x; --`, `''\\''`} {
			var got string
			_, err := conn.Exec(t.Context(), "SET standard_conforming_strings = "+conforming)
			if err == nil {
				err = conn.QueryRow(t.Context(), "SELECT "+saga.Quote(text)).Scan(&got)
			}
			if err != nil || got != text {
				t.Errorf("%q with standard_conforming_strings %s: %q, %v", text, conforming, got, err)
			}
		}
	}
}

func TestShardNameTooLongForPostgresIsRefusedBeforeAnythingIsSent(t *testing.T) {
	long := ring.ShardID(strings.Repeat("h", 130))
	c := newNamedCluster(t, []ring.ShardID{long, "s2"}, pgtest.Start(t, 2)...)
	var seen []string
	tx := c.open(t, kinds()[0], c.shards...)
	err := c.coordinator(t, hook(func(p saga.Point) { seen = append(seen, p.Message()) })).Commit(t.Context(), tx.conns)
	tx.release(t)
	mustAbort(t, err, "s2", "")
	mustBeGone(t, tx)
	if slices.Contains(seen, "prepare") {
		t.Errorf("messages %v were sent", seen)
	}
}
