package admin

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/topology"
)

// The SQLSTATEs that the console raises (PostgreSQL manual, appendix "PostgreSQL Error Codes").
const (
	codeConnectionFailure = "08006"
	codeFeature           = "0A000"
	codeInUse             = "55006" // object_in_use
	codeInvalidText       = "22P02"
	codeNotInState        = "55000" // object_not_in_prerequisite_state
	codePrivilege         = "42501"
	codeSerialization     = "40001"
	codeStartingUp        = "57P03"
	codeSyntax            = "42601"
	codeTimeout           = "57014"
	codeUndefinedColumn   = "42703"
	codeUndefinedObject   = "42704"
	codeUndefinedTable    = "42P01"
	codeUnknownOutcome    = "08007"
	codeConfigFile        = "F0000"
)

const helpHint = "HELP lists the commands."

func syntaxError(message, detail string) error {
	return &pgwire.Error{Code: codeSyntax, Message: message, Detail: detail, Hint: helpHint}
}

// withSyntax adds how the command is written to a syntax error in it.
func withSyntax(err error, c *command) error {
	var wire *pgwire.Error
	if !errors.As(err, &wire) || wire.Code != codeSyntax || wire.Detail != "" {
		return err
	}
	told := *wire
	told.Detail = "The command is written " + c.usage() + "."
	return &told
}

// topologyError tells why a change of shards or tables was not made. Everything that topology refuses for a reason it names is told;
// what went wrong on the way is told without addresses.
func topologyError(err error) error {
	var (
		refused *topology.RefusedError
		used    *topology.ShardInUseError
		wire    *pgwire.Error
	)
	switch {
	case errors.As(err, &wire):
		return wire
	case errors.As(err, &used):
		return &pgwire.Error{Code: codeInUse, Message: fmt.Sprintf("shard %q is not empty", used.Shard),
			Detail: sentence(strings.TrimPrefix(used.Error(), fmt.Sprintf("shard %s is in use: ", used.Shard))),
			Hint:   "Only a shard that owns nothing can be dropped. SHOW RING says what it owns."}
	case errors.As(err, &refused):
		plain := *refused
		plain.Hint = ""
		return &pgwire.Error{Code: codeNotInState, Message: "nothing was changed: " + plain.Error(), Hint: sentence(refused.Hint)}
	case errors.Is(err, topology.ErrNotStarted):
		return &pgwire.Error{Code: codeStartingUp, Message: "the map is not loaded yet", Hint: "Repeat the command in a moment; SHOW STATE says what is missing."}
	case errors.Is(err, topology.ErrConflict):
		return &pgwire.Error{Code: codeSerialization, Message: "the control database was changed at the same time", Detail: "Nothing was changed.", Hint: "Repeat the command."}
	case errors.Is(err, topology.ErrOutcomeUnknown):
		return &pgwire.Error{Code: codeUnknownOutcome, Message: "it is not known whether the change was made",
			Detail: "The connection to the control database broke while the change was being committed.", Hint: "SHOW SHARDS and SHOW TABLES tell what is in force."}
	}
	return serverFault(err)
}

// serverFault tells what a server, or the way to it, did not do.
func serverFault(err error) error {
	var (
		server  *pgconn.PgError
		connect *pgconn.ConnectError
		network net.Error
	)
	e := &pgwire.Error{Code: codeNotInState, Message: "nothing was changed", Detail: sentence(oneLine(err)), Hint: "SHOW STATE and SHOW SHARDS say who can be reached."}
	switch {
	case errors.As(err, &server):
		e.Code, e.Message = server.Code, "nothing was changed: a server refused"
	case errors.As(err, &connect), errors.As(err, &network):
		e.Code, e.Message = codeConnectionFailure, "nothing was changed: a server cannot be reached"
	}
	return e
}

// poolError tells why a command about pools failed.
func poolError(err error) error {
	var unknown *backend.UnknownShardError
	if errors.As(err, &unknown) {
		return noShard(string(unknown.Shard), nil)
	}
	return err
}

// noShard reports a shard that there is not; names are those that there are.
func noShard(name string, names []string) error {
	e := &pgwire.Error{Code: codeUndefinedObject, Message: fmt.Sprintf("there is no shard %q", name), Hint: "SHOW SHARDS lists them."}
	if len(names) > 0 {
		e.Detail = "The shards are " + strings.Join(names, ", ") + "."
	}
	if near := nearest(name, names); near != "" {
		e.Hint = "Did you mean " + near + "?"
	}
	return e
}

// sentence makes a clause a sentence; nothing stays nothing.
func sentence(clause string) string {
	if clause == "" {
		return ""
	}
	text := strings.ToUpper(clause[:1]) + clause[1:]
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// oneLine makes an error fit for a column or a DETAIL.
func oneLine(err error) string {
	if err == nil {
		return ""
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
