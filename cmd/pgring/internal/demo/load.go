package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	loaders = 8                // connections that load side by side
	marker  = "demo.customers" // app_settings: so many customers were loaded
)

// schema lists the statements that make the tables; each runs on every shard that the table belongs to.
func schema() []string {
	return []string{
		`CREATE TABLE IF NOT EXISTS countries (code char(2) PRIMARY KEY, name text NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS customers (
			id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL,
			country char(2) NOT NULL REFERENCES countries, created_at timestamptz NOT NULL DEFAULT now())`,
		`CREATE TABLE IF NOT EXISTS orders (
			customer_id bigint NOT NULL REFERENCES customers, id bigint NOT NULL, placed_at timestamptz NOT NULL,
			total numeric(10,2) NOT NULL, status text NOT NULL, request_id uuid, PRIMARY KEY (customer_id, id))`,
		`CREATE TABLE IF NOT EXISTS events (
			customer_id bigint NOT NULL REFERENCES customers, id uuid NOT NULL DEFAULT gen_random_uuid(), kind text NOT NULL, data jsonb,
			at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (customer_id, at, id)) PARTITION BY RANGE (at)`,
		`CREATE TABLE IF NOT EXISTS accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance bigint NOT NULL CHECK (balance >= 0))`,
		`CREATE TABLE IF NOT EXISTS ledger (
			account_id bigint NOT NULL REFERENCES accounts, id bigserial, amount bigint NOT NULL, why text NOT NULL, reverses bigint,
			at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (account_id, id), UNIQUE (account_id, reverses),
			FOREIGN KEY (account_id, reverses) REFERENCES ledger (account_id, id))`,
		`CREATE TABLE IF NOT EXISTS app_settings (name text PRIMARY KEY, value text NOT NULL)`,
	}
}

// load makes the tables and the rows that are missing, through the proxy, as any client would.
func (d *demo) load(ctx context.Context) error {
	conn, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := createTables(ctx, conn); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	if _, err := conn.Exec(ctx, accountsSQL()); err != nil {
		return fmt.Errorf("insert accounts: %w", err)
	}
	have, err := loaded(ctx, conn)
	if err != nil {
		return err
	}
	if have >= d.Customers {
		d.say("The shop of an earlier run is there.\n")
		return nil
	}
	d.say("Loading %d customers and their orders through the proxy …\n", d.Customers-have)
	if _, err := conn.Exec(ctx, countriesSQL()); err != nil {
		return fmt.Errorf("insert countries: %w", err)
	}
	if err := d.loadCustomers(ctx, have+1, d.Customers); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "INSERT INTO app_settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		marker, strconv.Itoa(d.Customers))
	return err
}

// createTables does nothing when an earlier run has made them: the schema cannot be changed while slots move, or can be sent back.
func createTables(ctx context.Context, conn *pgx.Conn) error {
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('accounts') IS NOT NULL AND to_regclass('events') IS NOT NULL AND to_regclass('ledger') IS NOT NULL AND to_regclass('app_settings') IS NOT NULL").Scan(&there); err != nil || there {
		return err
	}
	for _, sql := range schema() {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// connect logs in to the proxy as the application.
func (d *demo) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=app password=app dbname=%s sslmode=disable", host, d.Port, database))
}

// loaded is the number of customers that earlier runs have loaded.
func loaded(ctx context.Context, conn *pgx.Conn) (int, error) {
	var text string
	err := conn.QueryRow(ctx, "SELECT value FROM app_settings WHERE name = $1", marker).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// loadCustomers inserts the customers first to last over several connections.
func (d *demo) loadCustomers(ctx context.Context, first, last int) error {
	var next atomic.Int64
	next.Store(int64(first))
	group, ctx := errgroup.WithContext(ctx)
	for range loaders {
		// owner: loadCustomers; ends when no customer is left, or with the first error.
		group.Go(func() error {
			conn, err := d.connect(ctx)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx))
			if _, err := conn.Exec(ctx, "SET pgring.idempotency TO off"); err != nil { // what is loaded again is known by its primary key
				return err
			}
			for id := next.Add(1) - 1; id <= int64(last); id = next.Add(1) - 1 {
				if err := insert(ctx, conn, newCustomer(id)); err != nil {
					return fmt.Errorf("insert customer %d: %w", id, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// insert sends one customer and the orders in one pipeline, which is one transaction on the customer's shard. A run that was
// interrupted has left some of the rows.
func insert(ctx context.Context, conn *pgx.Conn, c customer) error {
	batch := &pgx.Batch{}
	batch.Queue("INSERT INTO customers (id, name, email, country, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
		c.id, c.name, c.email, c.country, c.created)
	for _, o := range c.orders {
		batch.Queue("INSERT INTO orders (customer_id, id, placed_at, total, status, request_id) VALUES ($1, $2, $3, $4, $5, gen_random_uuid()) ON CONFLICT (customer_id, id) DO NOTHING",
			c.id, o.id, o.placed, o.total, o.status)
	}
	return conn.SendBatch(ctx, batch).Close()
}

// counts is how many rows each shard has, asked past the proxy.
func (d *demo) counts(ctx context.Context) ([]shardRows, error) {
	var list []shardRows
	for _, s := range d.servers {
		rows := shardRows{Name: s.name, Address: address(s.Port)}
		err := s.ask(ctx, database, func(conn *pgx.Conn) error {
			if err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT count(*) FROM accounts),
(SELECT coalesce(min(id), 0) FROM accounts), (SELECT count(*) FROM countries)`).
				Scan(&rows.Customers, &rows.Orders, &rows.Accounts, &rows.Account, &rows.Countries); err != nil {
				return err
			}
			var home bool
			if err := conn.QueryRow(ctx, "SELECT to_regclass('app_settings') IS NOT NULL").Scan(&home); err != nil || !home {
				return err
			}
			return conn.QueryRow(ctx, "SELECT count(*) FROM app_settings").Scan(&rows.Settings)
		})
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", s.name, err)
		}
		list = append(list, rows)
	}
	return list, nil
}
