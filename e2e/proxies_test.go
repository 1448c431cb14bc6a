package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// changesWithin is how soon every proxy of a cluster knows what one of them was told.
const changesWithin = time.Second

func TestTwoProxiesAgree(t *testing.T) {
	t.Parallel()
	c := start(t, layout{})
	second := c.startProxy(t)
	mine, theirs := c.console(t), second.console(t)
	if kind, err := tableKind(t.Context(), theirs, "pages"); err == nil {
		t.Fatalf("table pages is %s before anybody declared it", kind)
	}
	execute(t, mine, "SHARD TABLE pages BY id")
	eventually(t, changesWithin, "the other proxy knows the new table", func(ctx context.Context) error {
		kind, err := tableKind(ctx, theirs, "pages")
		if err == nil && kind != "sharded" {
			return fmt.Errorf("it is %q there", kind)
		}
		return err
	})
	writer, reader := second.connect(t), c.connect(t)
	execute(t, writer, "CREATE TABLE pages (id bigint PRIMARY KEY, body text)")
	for i := range c.servers {
		if n := c.count(t, i, "SELECT count(*) FROM pg_class WHERE relname = 'pages'"); n != 1 {
			t.Errorf("%s has no table pages", shardName(i))
		}
	}
	for id := range 100 {
		execute(t, writer, "INSERT INTO pages VALUES ($1, 'text')", id)
	}
	for id := range 100 {
		if got := one[string](t, reader, "SELECT body FROM pages WHERE id = $1", id); got != "text" {
			t.Errorf("page %d is %q", id, got)
		}
	}
	if got := one[int](t, reader, "SELECT count(*) FROM pages"); got != 100 {
		t.Errorf("%d pages, want 100", got)
	}
	// The key moves to another place in the row, which what the reader's proxy keeps of its statement says nothing of.
	execute(t, reader, "INSERT INTO pages VALUES (200, 'before')")
	execute(t, writer, "DROP TABLE pages")
	execute(t, writer, "CREATE TABLE pages (body text, id bigserial PRIMARY KEY)")
	eventually(t, changesWithin, "the other proxy plans with the new table", func(ctx context.Context) error {
		_, err := reader.Exec(ctx, "INSERT INTO pages VALUES ('after', 200)")
		return err
	})
	if got := one[string](t, writer, "SELECT body FROM pages WHERE id = 200"); got != "after" {
		t.Errorf("page 200 is %q", got)
	}
	if id := one[int64](t, reader, "INSERT INTO pages (body) VALUES ('made') RETURNING id"); one[string](t, writer, "SELECT body FROM pages WHERE id = $1", id) != "made" {
		t.Errorf("page %d is not there", id)
	}
}

// tableKind asks a console what kind a table is.
func tableKind(ctx context.Context, console *pgx.Conn, table string) (string, error) {
	rows, err := console.Query(ctx, "SHOW TABLES")
	if err != nil {
		return "", err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		return "", err
	}
	for _, row := range all {
		if row["table"] == "public."+table {
			return fmt.Sprint(row["kind"]), nil
		}
	}
	return "", errors.New("SHOW TABLES does not list it")
}
