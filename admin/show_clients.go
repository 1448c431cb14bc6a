package admin

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/pgring/pgring/proxy"
)

func clientColumns() []column {
	return append(connectionColumns(),
		column{"id", integer, "Identity of the connection, for KILL."},
		column{"shards", text, "Shards whose connections it holds."},
		column{"queries", integer, "Statements sent to shards."},
		column{"received", integer, "Bytes from the client."},
		column{"sent", integer, "Bytes to the client."},
		column{"idle_s", integer, "Seconds since its last statement began; NULL while none has."},
	)
}

// connectionColumns are those that SHOW CLIENTS and SHOW SERVERS have in common, in pgbouncer's order.
func connectionColumns() []column {
	return []column{
		{"type", text, "C for a client, S for a server."},
		{"user", text, "As whom it is logged in."},
		{"database", text, "Of a client: the database it asked for. Of a server: the name of the shard, as in SHOW POOLS."},
		{"state", text, "Of a client: active, idle or idle in transaction. Of a server: active, idle or login."},
		{"addr", text, "Address of the other end."},
		{"port", integer, "Its port."},
		{"local_addr", text, "Our address on the connection; NULL when not kept."},
		{"local_port", integer, "Our port."},
		{"connect_time", text, "When it was made."},
		{"request_time", text, "When the last statement began, or the connection was last lent."},
		{"wait", integer, "Always 0: SHOW POOLS says how long clients wait."},
		{"wait_us", integer, "Always 0."},
		{"close_needed", integer, "Always 0."},
		{"ptr", text, "An identity in hexadecimal digits."},
		{"link", text, "Always empty."},
		{"remote_pid", integer, "Process id at the other end; of a client the one of its cancel key."},
		{"tls", text, "The protocol version, or yes; empty without TLS."},
		{"application_name", text, "What the client calls itself."},
	}
}

// showClients answers SHOW CLIENTS.
func (c *Console) showClients(context.Context, *input) (*outcome, error) {
	var rows []row
	for _, client := range c.cfg.Server.Clients() {
		rows = append(rows, clientRow(client))
	}
	return rowsOf(rows)
}

func clientRow(client proxy.Client) row {
	host, port := address(client.Addr)
	secured := ""
	if client.TLS {
		secured = "yes"
	}
	var idle any
	if !client.Began.IsZero() {
		idle = number(int64(time.Since(client.Began).Seconds()))
	}
	return row{"C", client.User, client.Database, client.State, host, port, nil, nil, moment(client.Since), moment(client.Began),
		int64(0), int64(0), int64(0), fmt.Sprintf("0x%x", client.ID), "", number(client.PID), secured, client.Application,
		number(client.ID), list(client.Shards), client.Queries, client.Received, client.Sent, idle}
}

// address splits host and port; on a unix socket there is only the word that pgbouncer uses.
func address(addr string) (host string, port any) {
	host, digits, err := net.SplitHostPort(addr)
	if err != nil {
		return "unix", int64(0)
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return host, nil
	}
	return host, number(n)
}

func serverColumns() []column {
	return append(connectionColumns(),
		column{"shard", text, "The shard."},
		column{"server_database", text, "The database there."},
		column{"age_s", integer, "Seconds since it was opened."},
		column{"prepared_statements", integer, "Statements prepared on it."},
	)
}

// showServers answers SHOW SERVERS.
func (c *Console) showServers(context.Context, *input) (*outcome, error) {
	var rows []row
	for _, s := range c.cfg.Pools.Servers() {
		host, port := address(s.Remote)
		localHost, localPort := address(s.Local)
		if s.Remote == "" {
			host, port, localHost, localPort = "", nil, "", nil
		}
		rows = append(rows, row{"S", s.User, string(s.Shard), string(s.State), host, port, localHost, localPort, moment(s.Opened), moment(s.Request),
			int64(0), int64(0), int64(0), fmt.Sprintf("0x%x", s.PID), "", number(s.PID), s.TLS, "",
			string(s.Shard), s.Database, number(int64(time.Since(s.Opened).Seconds())), number(s.Prepared)})
	}
	return rowsOf(rows)
}

func queryColumns() []column {
	return []column{
		{"id", integer, "Identity of the connection, for KILL."},
		{"user", text, "Who runs it."},
		{"database", text, "The database that the client asked for."},
		{"application_name", text, "What the client calls itself."},
		{"state", text, "active, or idle in transaction: then the query is the last one."},
		{"duration_ms", float, "Since the statement began."},
		{"kind", text, "How it is run: one, home, reference, gather, pull, broadcast or split."},
		{"shards", text, "Shards whose connections the client holds."},
		{"copied_rows", integer, "Rows that a pull has copied between shards so far."},
		{"copied_bytes", integer, "Their bytes."},
		{"query", text, "Its text, at most the first 1024 bytes."},
	}
}

// showQueries answers SHOW QUERIES.
func (c *Console) showQueries(context.Context, *input) (*outcome, error) {
	var rows []row
	for _, client := range c.cfg.Server.Clients() {
		if client.State == "idle" || client.Began.IsZero() {
			continue
		}
		rows = append(rows, row{number(client.ID), client.User, client.Database, client.Application, client.State,
			millis(time.Since(client.Began)), client.Kind.String(), list(client.Shards),
			client.CopiedRows, client.CopiedBytes, client.Query})
	}
	return rowsOf(rows)
}
