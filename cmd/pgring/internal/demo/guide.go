package demo

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

// shardRows is how many rows of each table one shard has.
type shardRows struct {
	Name, Address                                    string
	Customers, Orders, Accounts, Countries, Settings int64
	Account                                          int64 // the first one here; zero: there is none
}

// guide is what the demo prints when everything runs.
type guide struct {
	Dir        string
	Version    string // of PostgreSQL
	Port, HTTP int
	Customer   int // whose rows the examples show
	Shards     []shardRows
}

// example is one statement to try.
type example struct{ sql, comment string }

// inShop lists what to type in psql as the application.
func (g guide) inShop() []example {
	return []example{
		{fmt.Sprintf("SELECT name, email FROM customers WHERE id = %d;", g.Customer), "one shard: the key says which"},
		{fmt.Sprintf("SELECT c.name, o.id, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = %d;", g.Customer),
			"still one: a customer's orders are on the customer's shard"},
		{"SELECT count(*), max(total) FROM orders;", "all shards, combined"},
		{fmt.Sprintf("EXPLAIN ROUTE UPDATE customers SET name = 'Ada' WHERE id = %d;", g.Customer), "where it would go, and why; it is not run"},
		{fmt.Sprintf("INSERT INTO events (customer_id, kind) VALUES (%d, 'login');", g.Customer), "answered when it is in pgring's log, and applied a moment later"},
		{fmt.Sprintf("INSERT INTO orders VALUES (%d, 1000, now(), 9.90, 'new', '7c9e6679-7425-40de-944b-e07fc1f90ae7');", g.Customer), "done once, however often it is sent: the last value is the request's own"},
		{"INSERT INTO ledger (account_id, amount, why) VALUES (1, 250, 'salary') RETURNING id;", "a book: rows are added to it"},
		{"DELETE FROM ledger WHERE account_id = 1;", "refused: what is in the book stays; write a row that reverses the other one"},
		{"DELETE FROM orders WHERE status = 'returned' RETURNING customer_id, id;", "every shard, all of it or nothing"},
		{fmt.Sprintf("UPDATE orders SET customer_id = 7 WHERE customer_id = %d;", g.Customer), "refused: a row cannot be given another shard key, and the error says what to do"},
	}
}

// transfer is money that moves between the first accounts of two shards; nothing with one shard.
func (g guide) transfer() []string {
	var first []int64
	for _, s := range g.Shards {
		if s.Account > 0 {
			first = append(first, s.Account)
		}
	}
	if len(first) < 2 {
		return nil
	}
	slices.Sort(first)
	from, to := first[0], first[1]
	const move, undo = "UPDATE accounts SET balance = balance %s 10 WHERE id = %d%s", "\n  /* compensate: UPDATE accounts SET balance = balance %s 10 WHERE id = %d */;"
	return []string{
		"BEGIN;",
		"SET LOCAL pgring.cross_shard = 'saga';",
		fmt.Sprintf(move+undo, "-", from, " AND balance >= 10", "+", from),
		fmt.Sprintf(move+undo, "+", to, "", "-", to),
		"COMMIT;",
		"SHOW pgring.last_saga_id;",
		fmt.Sprintf("SELECT * FROM accounts WHERE id IN (%d, %d) ORDER BY id;", from, to),
	}
}

// onConsole lists what to type in psql as the administrator.
func (g guide) onConsole() []example {
	return []example{
		{"SHOW SHARDS;", "what each shard has and does"},
		{fmt.Sprintf("ROUTE SELECT * FROM orders WHERE customer_id = %d;", g.Customer), "as EXPLAIN ROUTE, for any statement"},
		{"SHOW LANES;", "how far each shard is with the events"},
		{"SHOW PARTITIONS;", "the days that events has partitions for"},
		{"SHOW SAGAS;", "the transfers, once there are some"},
		{"HELP;", "everything else"},
	}
}

func (g guide) write(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "\npgring runs in front of %d PostgreSQL %s servers, with a small shop spread over them by customer:\n\n", len(g.Shards), g.Version)
	if err := g.table().Write(indent{&text}, output.AsTable); err != nil {
		return err
	}
	text.WriteString("\nTalk to it as to one PostgreSQL:\n\n")
	fmt.Fprintf(&text, "  PGPASSWORD=app psql -h %s -p %d -U app %s\n\n", host, g.Port, database)
	writeExamples(&text, g.inShop())
	if transfer := g.transfer(); transfer != nil {
		text.WriteString("    -- money from one shard to another: if the second one cannot commit, the first one's part is undone\n")
		text.WriteString("    " + strings.ReplaceAll(strings.Join(transfer, "\n"), "\n", "\n    ") + "\n")
	}
	text.WriteString("\nAsk pgring itself on its console:\n\n")
	fmt.Fprintf(&text, "  PGPASSWORD=admin psql -h %s -p %d -U admin pgring\n\n", host, g.Port)
	writeExamples(&text, g.onConsole())
	text.WriteString("\n")
	if g.HTTP != 0 {
		fmt.Fprintf(&text, "Metrics        http://%s/metrics\n", address(g.HTTP))
	}
	fmt.Fprintf(&text, "Configuration  %s\n", filepath.Join(g.Dir, configName))
	fmt.Fprintf(&text, "Log            %s\n\n", filepath.Join(g.Dir, logName))
	fmt.Fprintf(&text, "Ctrl-C ends it. The data stays in %s for the next time; %s removes it.\n", g.Dir, cleaner(g.Dir))
	_, err := io.WriteString(w, text.String())
	return err
}

// cleaner is the command that removes a demo's folder, and with it the data that is elsewhere.
func cleaner(dir string) string {
	if dir == DefaultDir {
		return "make demo-clean"
	}
	return "scripts/demo-clean.sh " + dir
}

func writeExamples(text *strings.Builder, examples []example) {
	for _, e := range examples {
		fmt.Fprintf(text, "    -- %s\n    %s\n", e.comment, e.sql)
	}
}

// table shows the rows per shard. countries has no sum: the shards have copies of the same rows.
func (g guide) table() *output.Table {
	var rows [][]string
	var customers, orders, accounts int64
	for _, s := range g.Shards {
		customers, orders, accounts = customers+s.Customers, orders+s.Orders, accounts+s.Accounts
		settings := strconv.FormatInt(s.Settings, 10)
		if s.Settings == 0 {
			settings = ""
		}
		rows = append(rows, []string{s.Name, s.Address, strconv.FormatInt(s.Customers, 10), strconv.FormatInt(s.Orders, 10),
			strconv.FormatInt(s.Accounts, 10), strconv.FormatInt(s.Countries, 10), settings})
	}
	rows = append(rows, []string{"all", "", strconv.FormatInt(customers, 10), strconv.FormatInt(orders, 10), strconv.FormatInt(accounts, 10), "copies", "home"})
	t := output.Texts([]string{"shard", "server", "customers", "orders", "accounts", "countries", "app_settings"}, rows)
	for i := 2; i < len(t.Columns); i++ {
		t.Columns[i].Kind = output.Number
	}
	return t
}

// indent puts two blanks before each line.
type indent struct{ w io.Writer }

func (i indent) Write(p []byte) (int, error) {
	text := strings.TrimSuffix(string(p), "\n")
	if _, err := io.WriteString(i.w, "  "+strings.ReplaceAll(text, "\n", "\n  ")+"\n"); err != nil {
		return 0, err
	}
	return len(p), nil
}
