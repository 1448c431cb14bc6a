package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// keyForms are conditions for the rows of some keys.
var keyForms = []func(column string, keys []string) string{
	func(c string, keys []string) string { return c + " IN (" + strings.Join(keys, ", ") + ")" },
	func(c string, keys []string) string {
		return "(" + c + " = " + strings.Join(keys, " OR "+c+" = ") + ")"
	},
	func(c string, keys []string) string {
		return "(" + strings.Join(keys, " = "+c+" OR ") + " = " + c + ")"
	},
	func(c string, keys []string) string { return c + " = ANY (ARRAY[" + strings.Join(keys, ", ") + "])" },
	func(c string, keys []string) string {
		return "(" + c + " IN (" + keys[0] + ") OR " + c + " IN (" + strings.Join(keys, ", ") + "))"
	},
	func(c string, keys []string) string {
		return "NOT (" + c + " IS NULL) AND (1 = 1 OR true) AND " + c + " IN (" + strings.Join(keys, ", ") + ")"
	},
}

// keyFrames are statements around a condition on a key.
var keyFrames = []string{
	"SELECT * FROM %[1]s t WHERE %[2]s", "SELECT count(*) FROM %[1]s AS t WHERE %[2]s", "DELETE FROM %[1]s t WHERE %[2]s",
	"SELECT * FROM (SELECT * FROM %[1]s) t WHERE %[2]s", "SELECT * FROM countries c JOIN %[1]s t ON %[2]s", "WITH t AS (SELECT * FROM %[1]s) SELECT * FROM t WHERE %[2]s",
	"SELECT * FROM %[1]s t LEFT JOIN countries c ON true WHERE %[2]s", "SELECT * FROM %[1]s t JOIN %[1]s u ON t.%[3]s = u.%[3]s WHERE %[2]s",
}

// TestKeysOfEveryFormLeadToTheirShards: whatever the placement, a statement for some keys runs on their owners and nowhere else.
func TestKeysOfEveryFormLeadToTheirShards(t *testing.T) {
	shards := []ring.ShardID{"s1", "s2", "s3", "s4"}
	env := testEnv()
	rapid.Check(t, func(t *rapid.T) {
		shop := newShop()
		table, column, group := "customers", "id", shop.users
		draw := func(label string) string { return fmt.Sprint(rapid.Int64Range(-1000, 1000).Draw(t, label)) }
		literal := func(text string) string {
			return rapid.SampledFrom([]string{text, "'" + text + "'", "'" + text + "'::bigint"}).Draw(t, "form")
		}
		switch rapid.IntRange(0, 2).Draw(t, "type") {
		case 1:
			table, column, group = "accounts", "name", shop.names
			draw = func(label string) string { return rapid.StringMatching(`[a-cÄ ]{0,3}`).Draw(t, label) }
			literal = func(text string) string {
				return rapid.SampledFrom([]string{"'" + text + "'", "'" + text + "'::text", "E'" + text + "'"}).Draw(t, "form")
			}
		case 2:
			table, column, group = "docs", "id", shop.docs
			draw = func(label string) string {
				return fmt.Sprintf("00000000-0000-4000-8000-%012x", rapid.IntRange(0, 50).Draw(t, label))
			}
			literal = func(text string) string {
				return rapid.SampledFrom([]string{"'" + text + "'", "'" + strings.ToUpper(text) + "'::uuid", "'{" + text + "}'"}).Draw(t, "form")
			}
		}
		group.Placement = drawPlacement(t, group.KeyType, shards, draw)
		snap := shop.snapshot(1)
		var keys []string
		owners := map[ring.ShardID]bool{}
		for range rapid.IntRange(1, 4).Draw(t, "keys") {
			text := draw("key")
			key, err := ring.ParseKey(group.KeyType, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			keys, owners[group.Placement.Locate(key).Shard] = append(keys, literal(text)), true
		}
		text := fmt.Sprintf(rapid.SampledFrom(keyFrames).Draw(t, "frame"), table, rapid.SampledFrom(keyForms).Draw(t, "condition")("t."+column, keys), column)
		got, want := shardsOf(t, snap, env, text), sortedShards(owners)
		missed := slices.ContainsFunc(want, func(s ring.ShardID) bool { return !slices.Contains(got, s) })
		if missed || len(got) != len(want) && !strings.Contains(text, "ARRAY") { // whose elements may be of another type than they look
			t.Fatalf("%s runs on %v, the keys are on %v", text, got, want)
		}
	})
}

// drawPlacement makes one of any strategy.
func drawPlacement(t *rapid.T, keyType ring.KeyType, shards []ring.ShardID, draw func(string) string) ring.Placement {
	var bounds []ring.Assignment
	seen := map[string]bool{}
	for range rapid.IntRange(0, 6).Draw(t, "bounds") {
		text := draw("bound")
		key, err := ring.ParseKey(keyType, []byte(text))
		if err != nil || seen[key.String()] {
			continue
		}
		seen[key.String()] = true
		bounds = append(bounds, ring.Assignment{Key: key, Shard: rapid.SampledFrom(shards).Draw(t, "owner")})
	}
	var placement ring.Placement = ring.Modulo(shards)
	var err error
	switch rapid.IntRange(0, 2).Draw(t, "strategy") {
	case 1:
		slices.SortFunc(bounds, func(a, b ring.Assignment) int { return a.Key.Compare(b.Key) })
		placement, err = ring.NewRanges(keyType, "s1", bounds)
	case 2:
		placement, err = ring.NewList(keyType, bounds, "s3")
	}
	if err != nil {
		t.Fatal(err)
	}
	return placement
}

// shardsOf is where a statement's rows come from, and go to.
func shardsOf(t *rapid.T, snap *topology.Snapshot, env *Env, text string) []ring.ShardID {
	var scratch Scratch
	bounds, err := New(Config{}).Query(snap, env, []byte(text), &scratch)
	if err != nil {
		t.Fatal(text, err)
	}
	p, err := bounds[0].Plan(snap, bounds[0].Values)
	if err != nil {
		t.Fatal(text, err)
	}
	found := map[ring.ShardID]bool{}
	switch p.Kind {
	case One:
		found[p.Shard] = true
	case Pull:
		found[p.Shard] = true
		for _, part := range p.Parts {
			found[part.Shard] = true
		}
	case Gather, Split:
		for _, s := range p.Shards {
			found[s] = true
		}
	default:
		t.Fatalf("%s is planned as %s", text, p.Kind)
	}
	return sortedShards(found)
}

func sortedShards(set map[ring.ShardID]bool) []ring.ShardID {
	var list []ring.ShardID
	for s := range set {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}
