package rebalance_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/internal/pgtest"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// citizens is a cluster whose sharded table has foreign keys to a reference table, with and without an action.
type citizens struct {
	*rig
	topo *topology.Topology
	move topology.Move
	user int64 // whose rows move
}

func newCitizens(t *testing.T) *citizens {
	t.Helper()
	c := &citizens{rig: newRig(t)}
	c.reversible = time.Hour
	for _, db := range []string{"s1", "s2"} {
		c.exec(t, db, `CREATE TABLE countries (code text PRIMARY KEY); INSERT INTO countries SELECT chr(g) FROM generate_series(97, 122) g;
CREATE TABLE citizens (user_id bigint, id bigint, country text REFERENCES countries ON DELETE CASCADE ON UPDATE CASCADE, visits text REFERENCES countries ON DELETE SET NULL,
	home text REFERENCES countries, other text DEFAULT 'z' REFERENCES countries ON DELETE SET DEFAULT, PRIMARY KEY (user_id, id));
CREATE TABLE visitors (user_id bigint PRIMARY KEY);
CREATE FUNCTION visit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE citizens SET visits = 'z' WHERE user_id = NEW.user_id; RETURN NEW; END $$;
CREATE TRIGGER visit AFTER INSERT ON visitors FOR EACH ROW EXECUTE FUNCTION visit()`)
	}
	c.topo = c.rig.topology(t, "s1", "s2")
	if _, err := c.topo.ReferenceTable(t.Context(), topology.ParseName("countries")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.topo.ShardTable(t.Context(), topology.TableWish{Name: topology.ParseName("citizens"), Kind: topology.Sharded, Key: []string{"user_id"}, Colocate: "orders"}); err != nil {
		t.Fatal(err)
	}
	slots := c.topo.Current().Group(group).Placement.(*ring.Map).Slots("s1")
	c.move = topology.Move{Group: group, From: "s1", To: "s2", Slots: ring.NewSlotSet(slots[:len(slots)/2])}
	for c.user = 1; !c.move.Slots.Has(slotOf(t, c.user)); c.user++ {
	}
	c.exec(t, "s1", fmt.Sprintf("INSERT INTO citizens SELECT %d, n, chr(96 + n), chr(98 + n), chr(101 + n), chr(112 + n) FROM generate_series(1, 5) n", c.user)) // a c f, b d g, c e h, d f i, e g j
	return c
}

// everywhere runs a change of the reference table as a proxy does, in a transaction on each shard, and gives the SQLSTATEs: of none of them if it was committed.
func (c *citizens) everywhere(t *testing.T, sql string) [2]string {
	t.Helper()
	var codes [2]string
	var txs []pgx.Tx
	for i, db := range []string{"s1", "s2"} {
		conn, err := c.dial(t.Context(), topology.Shard{Host: db})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }() // what is asked again and again would use up the server's connections
		tx, err := conn.Begin(t.Context())
		if err == nil {
			_, err = tx.Exec(t.Context(), sql)
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			codes[i] = refused.Code
		} else if err != nil {
			t.Fatal(err)
		}
		txs = append(txs, tx)
	}
	for _, tx := range txs {
		end := tx.Commit
		if codes != [2]string{} {
			end = tx.Rollback
		}
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return codes
}

func (c *citizens) want(t *testing.T, sql string, codes ...string) {
	t.Helper()
	if got := c.everywhere(t, sql); got != [2]string(codes) {
		t.Errorf("%s: %q, want %q", sql, got, codes)
	}
}

// rows are those that move, as a shard has them.
func (c *citizens) rows(t *testing.T, db string) string {
	t.Helper()
	return pgtest.OneIn[string](t, c.server, db, fmt.Sprintf("SELECT coalesce(string_agg(concat_ws(' ', country, coalesce(visits, '-'), home), ', ' ORDER BY id), '') FROM citizens WHERE user_id = %d", c.user))
}

// TestForeignKeysToReferenceTablesHoldForRowsThatCount changes a reference table while rows that refer to it are on two shards.
func TestForeignKeysToReferenceTablesHoldForRowsThatCount(t *testing.T) {
	t.Parallel()
	c := newCitizens(t)
	controller := c.controller(t, c.topo)
	end := c.background(t, controller.Run)
	c.exec(t, "s1", "CREATE TABLE pgring.saga (id text, mode text, shards text[], finished timestamptz); INSERT INTO pgring.saga VALUES ('open', 'saga', '{s1}')")
	if _, err := c.topo.PlanMoves(t.Context(), []topology.Move{c.move}); err != nil {
		t.Fatal(err)
	}
	await(t, "rows are followed", func() bool { return c.rows(t, "s2") == "a c f, b d g, c e h, d f i, e g j" })

	c.want(t, "UPDATE countries SET code = 'aa' WHERE code = 'a'", "", "")
	await(t, "the copy has what a foreign key has done", func() bool { return c.rows(t, "s2") == "aa c f, b d g, c e h, d f i, e g j" })
	c.want(t, "DELETE FROM countries WHERE code = 'b'", "", "")
	c.want(t, "DELETE FROM countries WHERE code = 'f'", "23503", "PR002")
	c.want(t, "DELETE FROM countries WHERE code = 'q'", "", "PR002") // SET DEFAULT is checked once more
	for sql, code := range map[string]string{                        // of others than foreign keys
		fmt.Sprintf("UPDATE citizens SET visits = NULL WHERE user_id = %d", c.user):                                                                        "PR001",
		fmt.Sprintf("INSERT INTO visitors VALUES (%d)", c.user):                                                                                            "PR001",
		fmt.Sprintf("DO $$ BEGIN EXECUTE 'DELETE FROM ONLY \"public\".\"citizens\" WHERE $1 OPERATOR(pg_catalog.=) \"user_id\"' USING %d; END $$", c.user): "PR001",
	} {
		var refused *pgconn.PgError
		if _, err := c.server.ConnectAs(t, pgtest.Superuser, "s2").Exec(t.Context(), sql); !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("%s: %v", sql, err)
		}
	}
	c.exec(t, "s2", `CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'; CREATE TRIGGER audit BEFORE DELETE ON citizens FOR EACH ROW EXECUTE FUNCTION audit()`)
	c.want(t, "DELETE FROM countries WHERE code = 'c'", "", "PR001")
	c.exec(t, "s2", "DROP TRIGGER audit ON citizens")

	end() // so that the copy stays behind
	c.exec(t, "s1", fmt.Sprintf("UPDATE citizens SET home = 'y' WHERE user_id = %d AND home = 'f'", c.user))
	c.want(t, "DELETE FROM countries WHERE code = 'f'", "", "PR002")
	c.background(t, c.controller(t, c.topo).Run)
	await(t, "the copy is no longer behind", func() bool { return c.everywhere(t, "DELETE FROM countries WHERE code = 'f'") == [2]string{} })

	c.exec(t, "s1", "UPDATE pgring.saga SET finished = now()")
	awaitAll(t, c.topo, 1, topology.MoveReversible)
	await(t, "the former owner lets foreign keys' actions pass", func() bool {
		return pgtest.OneIn[string](t, c.server, "s1", "SELECT state FROM pgring.guards") == "following"
	})
	c.want(t, "DELETE FROM countries WHERE code = 'c'", "", "")
	c.want(t, "UPDATE countries SET code = 'dd' WHERE code = 'd'", "", "")
	const last = "aa - y, dd - i, e g j"
	for _, db := range []string{"s2", "s1"} {
		await(t, db+" has what foreign keys have done", func() bool { return c.rows(t, db) == last })
	}
	ask(t, c.topo.RevertMoves, 0)
	noMoves(t, c.topo)
	if got := c.rows(t, "s1"); got != last {
		t.Errorf("rows after the move was reverted: %s", got)
	}
	for _, db := range []string{"s1", "s2"} {
		nothingLeft(t, c.rig, c.topo, db)
	}
}

// TestAForeignKeysActionIsNotPassedOverOnBothShards has a proxy that stands still: it may have passed over rows on the new owner, when that
// followed, and come to the former owner now.
func TestAForeignKeysActionIsNotPassedOverOnBothShards(t *testing.T) {
	t.Parallel()
	c := newCitizens(t)
	c.exec(t, "s1", "INSERT INTO pgring.proxies (instance, host, version, started, lease_until, epoch) VALUES ('stopped', 'far', '', now(), now() - interval '1 min', 1)")
	c.background(t, c.controller(t, c.topo).Run)
	if _, err := c.topo.PlanMoves(t.Context(), []topology.Move{c.move}); err != nil {
		t.Fatal(err)
	}
	awaitAll(t, c.topo, 1, topology.MoveReversible)
	awaitWritesBack(t, c)
	var refused *pgconn.PgError
	if _, err := c.server.ConnectAs(t, pgtest.Superuser, "s1").Exec(t.Context(), "DELETE FROM countries WHERE code = 'a'"); !errors.As(err, &refused) || refused.Code != "PR001" {
		t.Errorf("on the former owner: %v", err)
	}
	c.exec(t, "s1", "DELETE FROM pgring.proxies WHERE instance = 'stopped'")
	await(t, "nobody is left that might do that", func() bool { return c.everywhere(t, "DELETE FROM countries WHERE code = 'a'") == [2]string{} })
}

// awaitWritesBack waits until the former owner follows.
func awaitWritesBack(t *testing.T, c *citizens) {
	t.Helper()
	c.exec(t, "s2", fmt.Sprintf("UPDATE citizens SET home = 'z' WHERE user_id = %d AND home = 'j'", c.user))
	await(t, "a change comes back", func() bool {
		return pgtest.OneIn[int](t, c.server, "s1", "SELECT count(*) FROM citizens WHERE home = 'z'") == 1
	})
}
