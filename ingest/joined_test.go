package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgring/pgring/ingest"
	"github.com/pgring/pgring/internal/pgtest"
)

// Tables on which rows that one INSERT writes may come out otherwise than rows of several.
var tables = []struct {
	name   string
	more   string
	joined bool // they are written by one
}{
	{"nothing special", "", true},
	{"a trigger that looks at the rows before", trigger("BEFORE INSERT", "FOR EACH ROW", "NEW.body := NEW.body || (SELECT count(*) FROM events); RETURN NEW", "VOLATILE"), true},
	{"a trigger that leaves rows out", trigger("BEFORE INSERT", "FOR EACH ROW", "IF NEW.n % 3 = 0 THEN RETURN NULL; END IF; RETURN NEW", "VOLATILE"), true},
	{"a stable trigger", trigger("BEFORE INSERT", "FOR EACH ROW", "NEW.body := NEW.body || (SELECT count(*) FROM events); RETURN NEW", "STABLE"), false},
	{"a trigger behind a row", trigger("AFTER INSERT", "FOR EACH ROW", "INSERT INTO side SELECT count(*) FROM events; RETURN NEW", "VOLATILE"), false},
	{"a trigger of the statement", trigger("AFTER INSERT", "FOR EACH STATEMENT", "INSERT INTO side SELECT count(*) FROM events; RETURN NEW", "VOLATILE"), false},
	{"a trigger for other statements", trigger("AFTER UPDATE", "FOR EACH STATEMENT", "RETURN NEW", "VOLATILE"), true},
	{"a rule", "CREATE RULE also AS ON INSERT TO events DO ALSO INSERT INTO side SELECT count(*) FROM events", false},
	{"a policy", "ALTER TABLE events ENABLE ROW LEVEL SECURITY", false},
	{"a key that refers to the table itself", `ALTER TABLE events ADD before int GENERATED ALWAYS AS (nullif(length(body), 0)) STORED,
		ADD FOREIGN KEY (user_id, before) REFERENCES events (user_id, n)`, false},
	{"a foreign key", "CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers VALUES (1), (2), (5), (8), (9); ALTER TABLE events ADD FOREIGN KEY (n) REFERENCES numbers", true},
	{"a foreign key, and a trigger that writes what it refers to", "CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers VALUES (1), (3); ALTER TABLE events ADD FOREIGN KEY (n) REFERENCES numbers;" +
		trigger("BEFORE INSERT", "FOR EACH ROW", "INSERT INTO numbers VALUES (NEW.n - 1) ON CONFLICT DO NOTHING; RETURN NEW", "VOLATILE"), false},
	{"a stable default", function("counted", "bigint", "STABLE") + "ALTER TABLE events ADD total bigint DEFAULT counted()", false},
	{"a volatile default", function("counted", "bigint", "VOLATILE") + "ALTER TABLE events ADD total bigint DEFAULT counted()", true},
	{"a domain with a stable condition", function("counted", "bigint", "STABLE") + "CREATE DOMAIN odd AS text CHECK (VALUE NOT LIKE 'x%' OR counted() % 3 <> 1); ALTER TABLE events ALTER body TYPE odd", false},
	{"a unique constraint that is looked at later", "ALTER TABLE events ADD UNIQUE (body) DEFERRABLE INITIALLY DEFERRED", true},
	{"partitions", partitions, true},
	{"a trigger of a partition", partitions + trigger("AFTER INSERT", "FOR EACH ROW", "INSERT INTO side SELECT count(*) FROM events; RETURN NEW", "VOLATILE", "events_low"), false},
}

const partitions = `DROP TABLE events; CREATE TABLE events (user_id bigint, n int CHECK (n >= 0), body text, PRIMARY KEY (user_id, n)) PARTITION BY RANGE (n);
CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (-10) TO (5); CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (5) TO (1000);`

func trigger(when, each, body, volatility string, on ...string) string {
	return fmt.Sprintf("CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql %s AS $$BEGIN %s; END$$; CREATE TRIGGER fires %s ON %s %s EXECUTE FUNCTION fires();",
		volatility, body, when, strings.Join(append(on, "events")[:1], ""), each)
}

func function(name, returns, volatility string) string {
	return fmt.Sprintf("CREATE FUNCTION %s() RETURNS %s LANGUAGE plpgsql %s AS $$BEGIN RETURN (SELECT count(*) FROM events); END$$;", name, returns, volatility)
}

// Whatever the table has, what is applied together is what the statements do one by one, with the same of them refused.
func TestRowsThatAreWrittenTogetherAreWhatTheyAreOneByOne(t *testing.T) {
	t.Parallel()
	for _, table := range tables {
		t.Run(table.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 1, "CREATE TABLE side (n bigint);"+table.more)
			r.server.CreateDatabase(t, "alone", pgtest.Superuser)
			r.server.ExecIn(t, "alone", "CREATE TABLE events (user_id bigint, n int CHECK (n >= 0), body text, PRIMARY KEY (user_id, n)); CREATE TABLE side (n bigint);"+table.more)
			back := r.away()
			r.open(rule)
			var records []*ingest.Record
			for i, n := range []int{2, 1, 3, 5, 4, 8, 2, 6, 7, -1, 9, 10, 11, 2, 12, 13, 14, 15, 16, 20, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29} {
				body := ""
				if n < 5 || n == 20 {
					body = strings.Repeat("x", n+1) // refers to the next one, if it refers
				}
				if n%5 == 4 {
					body = fmt.Sprint(n)
				}
				records = append(records, event(1, n, body), event(int64(100+i), n, body+"y"))
			}
			alone := r.server.ConnectAs(t, pgtest.Superuser, "alone")
			refused := 0
			for _, record := range records {
				if alone.PgConn().ExecParams(t.Context(), record.SQL, record.Values, record.Types, nil, nil).Read().Err != nil {
					refused++
				}
			}
			r.append(records...)
			back()
			r.wait()
			r.want("SELECT count(*) FROM pgring.dead_letter", refused)
			for _, what := range []string{"SELECT coalesce(string_agg(e::text, ' ' ORDER BY user_id, n), '') FROM events e", "SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM side"} {
				if got, want := pgtest.OneIn[string](t, r.server, "s1", what), pgtest.OneIn[string](t, r.server, "alone", what); got != want {
					t.Errorf("%s:\ntogether   %s\none by one %s", what, got, want)
				}
			}
			// Rows that nothing is wrong with, most of which come while the first ones wait for a lock.
			holder := r.server.ConnectAs(t, pgtest.Superuser, "s1")
			exec := func(sql string) {
				_, err := holder.Exec(t.Context(), sql)
				must(t, err)
			}
			exec("BEGIN; LOCK TABLE events IN EXCLUSIVE MODE")
			for i := range int64(40) {
				r.append(event(1000+i, 1, fmt.Sprint("plain", i)))
			}
			exec("COMMIT")
			r.wait()
			joined := r.count("SELECT count(*) - count(DISTINCT (xmin::text, cmin::text)) FROM events WHERE user_id >= 1000")
			if (joined > 0) != table.joined {
				t.Errorf("%d rows were written with others, want any: %t", joined, table.joined)
			}
		})
	}
}
