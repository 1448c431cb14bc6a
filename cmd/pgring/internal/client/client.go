package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgring/pgring/cmd/pgring/internal/config"
	"github.com/pgring/pgring/cmd/pgring/internal/output"
)

const connectTimeout = 10 * time.Second

// Console says where a console is and who asks.
type Console struct {
	Address  string // host:port, or a host with the standard port 6432
	User     string // empty: PGUSER, else the name of the system's user
	Password string // empty: PGPASSWORD, else ~/.pgpass
	Format   output.Format
	Stdout   io.Writer
	Stderr   io.Writer
}

// DefaultAddress is where pgring listens unless it is told otherwise.
const DefaultAddress = "127.0.0.1:6432"

// Ask sends statements to the console and writes what it answers: results to Stdout, notices to Stderr. It returns how many rows
// that was.
func (c Console) Ask(ctx context.Context, sql string) (rows int, err error) {
	err = c.with(ctx, func(conn *pgconn.PgConn) error {
		answers := conn.Exec(ctx, sql)
		for answers.NextResult() {
			n, err := c.write(answers.ResultReader())
			if err != nil {
				return errors.Join(Explain(err), ignoreRefusal(answers.Close()))
			}
			rows += n
		}
		return Explain(answers.Close())
	})
	return rows, err
}

// Rows sends one statement to the console and returns the rows that it answers, by the names of their columns; NULL is "".
func (c Console) Rows(ctx context.Context, sql string) (rows []map[string]string, err error) {
	err = c.with(ctx, func(conn *pgconn.PgConn) error {
		results, err := conn.Exec(ctx, sql).ReadAll()
		if err != nil {
			return Explain(err)
		}
		for _, result := range results {
			for _, values := range result.Rows {
				row := map[string]string{}
				for i, value := range values {
					row[result.FieldDescriptions[i].Name] = string(value)
				}
				rows = append(rows, row)
			}
		}
		return nil
	})
	return rows, err
}

// with connects for the time of the call.
func (c Console) with(ctx context.Context, do func(*pgconn.PgConn) error) error {
	cfg, err := c.connection()
	if err != nil {
		return err
	}
	dialing, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(dialing, cfg)
	if err != nil {
		return c.explainConnect(cfg, err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing) // the answer is here already
	}()
	return do(conn)
}

// ignoreRefusal drops the server's error that was told already.
func ignoreRefusal(err error) error {
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		return nil
	}
	return err
}

// connection is the driver's configuration. The environment's PGSSLMODE and PGSSLROOTCERT count, PGHOST does not: it names the
// database server of whoever asks.
func (c Console) connection() (*pgconn.Config, error) {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		host, port = strings.Trim(c.Address, "[]"), "6432"
	}
	u := url.URL{Scheme: "postgres", Host: net.JoinHostPort(host, port), Path: config.ConsoleDatabase}
	switch {
	case c.User != "" && c.Password != "":
		u.User = url.UserPassword(c.User, c.Password)
	case c.User != "":
		u.User = url.User(c.User)
	}
	cfg, err := pgconn.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.Address, err)
	}
	cfg.RuntimeParams["application_name"] = "pgring"
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		fmt.Fprintln(c.Stderr, sentence((*pgconn.PgError)(n)))
	}
	return cfg, nil
}

// write writes one result as a whole: an error in the middle of it leaves nothing half written. It returns the number of rows.
func (c Console) write(reader *pgconn.ResultReader) (int, error) {
	t := &output.Table{}
	for _, f := range reader.FieldDescriptions() {
		t.Columns = append(t.Columns, output.Column{Name: f.Name, Kind: kindOf(f.DataTypeOID)})
	}
	r := reader.Read()
	if r.Err != nil {
		return 0, r.Err
	}
	t.Rows = r.Rows
	if len(t.Columns) == 0 {
		to := c.Stdout
		if c.Format != output.AsTable { // a program waits for rows only
			to = c.Stderr
		}
		_, err := fmt.Fprintln(to, r.CommandTag.String())
		return 0, err
	}
	if err := t.Write(c.Stdout, c.Format); err != nil || c.Format != output.AsTable {
		return len(t.Rows), err
	}
	rows := "rows"
	if len(t.Rows) == 1 {
		rows = "row"
	}
	_, err := fmt.Fprintf(c.Stdout, "(%d %s)\n", len(t.Rows), rows)
	return len(t.Rows), err
}

func kindOf(oid uint32) output.Kind {
	switch oid {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		return output.Number
	case pgtype.BoolOID:
		return output.Boolean
	}
	return output.Text
}

// sentence writes an error or notice as psql does.
func sentence(e *pgconn.PgError) string {
	text := e.Severity + ": " + e.Message
	if e.Detail != "" {
		text += "\nDETAIL: " + e.Detail
	}
	if e.Hint != "" {
		text += "\nHINT: " + e.Hint
	}
	return text
}

// Explain makes a server's error read as psql shows it; where in the program it happened, the wrapped texts, gets lost.
func Explain(err error) error {
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		return errors.New(sentence(refused))
	}
	return err
}

// explainConnect says what to do where the driver only repeats host, user and database.
func (c Console) explainConnect(cfg *pgconn.Config, err error) error {
	var refused *pgconn.PgError
	var network *net.OpError
	switch {
	case errors.As(err, &refused) && cfg.Password == "" && strings.HasPrefix(refused.Code, "28"):
		return fmt.Errorf("%s\nHINT: No password was given: set PGPASSWORD", sentence(refused))
	case errors.As(err, &refused):
		return errors.New(sentence(refused))
	case errors.As(err, &network):
		return fmt.Errorf("connect to %s: %w (is pgring running there?)", c.Address, network)
	}
	return fmt.Errorf("connect to %s: %w", c.Address, err)
}

// FromConfig fills in where and as whom to ask from a configuration: the first user who may use the console, unless a user is
// given, and that user's password when the configuration has it in plain text. It wins over PGPASSWORD, which may well be set for
// the application's user.
func FromConfig(cfg *config.Config, user string) (Console, error) {
	c := Console{Address: reachable(cfg.Listen.SQL), User: user}
	for _, u := range cfg.Auth.Users {
		if (user == "" && u.Role == config.RoleApp) || (user != "" && u.Name != user) {
			continue
		}
		c.User = u.Name
		if secret := u.Password.Reveal(); !config.IsVerifier(secret) {
			c.Password = secret
		}
		return c, nil
	}
	if user == "" {
		return c, errors.New("the configuration has no user with role admin or stats")
	}
	return c, nil // an unknown user: the proxy says so
}

// reachable turns an address to listen on into one to connect to.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}
