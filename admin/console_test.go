package admin

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pgring/pgring/internal/golden"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
)

// bare is a console that can parse but stands on nothing.
func bare() *Console {
	return &Console{commands: commandTable(), cfg: Config{Database: "shop", Version: "1.2.3"}}
}

func TestHelpListsEveryCommand(t *testing.T) {
	c := bare()
	answer, err := c.Answer(t.Context(), proxy.Caller{User: "ops", Role: proxy.RoleStats}, "HELP")
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Rows) != len(c.commands) || answer.Tag != "SHOW" {
		t.Errorf("%d rows with tag %q for %d commands", len(answer.Rows), answer.Tag, len(c.commands))
	}
	golden.Check(t, "help", render(answer))
}

// render writes an answer as psql -A would.
func render(a *proxy.Answer) string {
	var b strings.Builder
	for i, f := range a.Fields {
		if i > 0 {
			b.WriteByte('|')
		}
		b.WriteString(f.Name)
	}
	b.WriteByte('\n')
	for _, r := range a.Rows {
		for i, value := range r {
			if i > 0 {
				b.WriteByte('|')
			}
			if value == nil {
				b.WriteString("NULL")
			}
			b.Write(value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestColumnsStayInOrder(t *testing.T) {
	var b strings.Builder
	for _, c := range commandTable() {
		if c.columns == nil {
			continue
		}
		fmt.Fprintf(&b, "%s\n", c.name)
		for _, col := range c.columns {
			fmt.Fprintf(&b, "  %s %s\n", col.name, col.typ)
		}
	}
	golden.Check(t, "columns", b.String())
}

// The columns of pgbouncer 1.18, as psql prints them.
func TestColumnsBeginWithPgbouncers(t *testing.T) {
	connection := "type|user|database|state|addr|port|local_addr|local_port|connect_time|request_time|wait|wait_us|close_needed|ptr|link|remote_pid|tls|application_name"
	for name, want := range map[string]string{
		"SHOW POOLS":          "database|user|cl_active|cl_waiting|cl_active_cancel_req|cl_waiting_cancel_req|sv_active|sv_active_cancel|sv_being_canceled|sv_idle|sv_used|sv_tested|sv_login|maxwait|maxwait_us|pool_mode",
		"SHOW CLIENTS":        connection,
		"SHOW SERVERS":        connection,
		"SHOW STATS":          "database|total_xact_count|total_query_count|total_received|total_sent|total_xact_time|total_query_time|total_wait_time|avg_xact_count|avg_query_count|avg_recv|avg_sent|avg_xact_time|avg_query_time|avg_wait_time",
		"SHOW STATS_TOTALS":   "database|xact_count|query_count|bytes_received|bytes_sent|xact_time|query_time|wait_time",
		"SHOW STATS_AVERAGES": "database|xact_count|query_count|bytes_received|bytes_sent|xact_time|query_time|wait_time",
		"SHOW DATABASES":      "name|host|port|database|force_user|pool_size|min_pool_size|reserve_pool|pool_mode|max_connections|current_connections|paused|disabled",
		"SHOW USERS":          "name|pool_mode",
		"SHOW LISTS":          "list|items",
		"SHOW CONFIG":         "key|value|default|changeable",
		"SHOW VERSION":        "version",
	} {
		var names []string
		for _, f := range bare().Fields(name) {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, "|"); got != want && !strings.HasPrefix(got, want+"|") {
			t.Errorf("%s answers\n%s, pgbouncer\n%s", name, got, want)
		}
	}
}

// asWire returns what the client would be told.
func asWire(t *testing.T, err error) *pgwire.Error {
	t.Helper()
	var wire *pgwire.Error
	if !errors.As(err, &wire) {
		t.Fatalf("error %v (%T) would be told as an internal one", err, err)
	}
	return wire
}

func TestStatsRoleMayOnlyLook(t *testing.T) {
	c := bare()
	for _, command := range c.commands {
		looks := strings.HasPrefix(command.name, "SHOW ") || command.name == "HELP" || command.name == "ROUTE" || command.name == "SAGA VERIFY"
		if looks != (command.role == proxy.RoleStats) {
			t.Errorf("%s needs role %s", command.name, command.role)
		}
		if looks {
			continue
		}
		_, err := c.Answer(t.Context(), proxy.Caller{User: "eve", Role: proxy.RoleStats}, command.name)
		if e := asWire(t, err); e.Code != "42501" || e.Detail == "" || !strings.Contains(e.Hint, "admin") {
			t.Errorf("%s for role stats: %+v", command.name, e)
		}
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	names := map[string]bool{}
	for _, c := range commandTable() {
		if names[c.name] || c.run == nil || !strings.HasSuffix(c.does, ".") || c.role == proxy.RoleApp {
			t.Errorf("command %s is incomplete", c.name)
		}
		names[c.name] = true
		seen := map[string]bool{}
		for _, col := range c.columns {
			if seen[col.name] {
				t.Errorf("%s has column %s twice", c.name, col.name)
			}
			seen[col.name] = true
		}
	}
}
