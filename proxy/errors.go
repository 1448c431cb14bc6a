package proxy

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgring/pgring/backend"
	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router"
	"github.com/pgring/pgring/saga"
	"github.com/pgring/pgring/topology"
)

// The SQLSTATEs that pgring itself raises (PostgreSQL manual, appendix "PostgreSQL Error Codes"). docs/errors.md is rendered
// from this table; a golden test lists it.
const (
	codeActiveTransaction   = "25001"
	codeCannotConnectNow    = "57P03"
	codeCompletionUnknown   = "40003"
	codeConnectionFailure   = "08006"
	codeDiskFull            = "53100"
	codeIO                  = "58030"
	codeDatatypeMismatch    = "42804"
	codeAppendOnly          = topology.AppendOnlyCode
	codeDuplicateCursor     = "42P03"
	codeDuplicateStatement  = "42P05"
	codeFeatureNotSupported = "0A000"
	codeIdleSession         = "57P05"
	codeIdleTransaction     = "25P03"
	codeInFailedTransaction = "25P02"
	codeInternal            = "XX000"
	codeInvalidAuth         = "28P01"
	codeInvalidCatalog      = "3D000"
	codeInvalidCursor       = "34000"
	codeInvalidSavepoint    = "3B001"
	codeInvalidParameter    = "22023"
	codeInvalidStatement    = "26000"
	codeLimitExceeded       = "53400"
	codeLockNotAvailable    = "55P03"
	codeNoPrivilege         = "42501"
	codeNotPrepared         = "55000"
	codeObjectInUse         = "55006"
	codeProtocolViolation   = "08P01"
	codeQueryCanceled       = "57014"
	codeSerialization       = "40001"
	codeReadOnly            = "25006"
	codeResolutionUnknown   = "08007"
	codeShutdown            = "57P01"
	codeRequestDiffers      = "PR101"
	codeRequestRepeated     = "PR102"
	codeSyntax              = "42601"
	codeTooLarge            = "54000"
	codeTooManyConnections  = "53300"
	codeUndefinedColumn     = "42703"
	codeUndefinedObject     = "42704"
	codeUndefinedTable      = "42P01"
)

// refusalCodes gives the SQLSTATE of each of the router's reasons.
var refusalCodes = map[router.Reason]string{
	router.Unsupported:        codeFeatureNotSupported,
	router.SyntaxError:        codeSyntax,
	router.MultipleStatements: codeSyntax,
	router.MissingKey:         codeFeatureNotSupported,
	router.NullKey:            "23502",
	router.InvalidKey:         "22P02",
	router.InvalidBinaryKey:   "22P03",
	router.KeyOutOfRange:      "22003",
	router.KeyNotUnderstood:   codeFeatureNotSupported,
	router.CrossShardWrite:    codeFeatureNotSupported,
	router.ChangesKey:         codeFeatureNotSupported,
	router.ReadOnlyShard:      codeReadOnly,
	router.UndefinedParameter: "42P02",
	router.UnknownShard:       codeFeatureNotSupported,
	router.BadDirective:       codeSyntax,
	router.InvalidDefinition:  "42P16",
	router.NotOnShards:        codeFeatureNotSupported,
	router.TooComplex:         "54001",
	router.SlotsMoving:        codeFeatureNotSupported,
}

// toWire turns any error into what the client is told. It never shows addresses, passwords or Go types.
func toWire(err error) *pgwire.Error {
	var (
		wire      *pgwire.Error
		refusal   *router.Refusal
		exhausted *backend.ExhaustedError
		down      *backend.UnavailableError
		unknown   *backend.UnknownShardError
		lost      *lostError
		protocol  *pgwire.ProtocolError
		aborted   *saga.AbortedError
		partial   *saga.PartialError
		unsettled *saga.UnknownError
	)
	switch {
	case errors.As(err, &refusal):
		return refused(refusal)
	case errors.As(err, &partial):
		return partlyCommitted(partial)
	case errors.As(err, &unsettled):
		return &pgwire.Error{Code: codeResolutionUnknown, Message: "it is not known whether the statement was committed",
			Detail: fmt.Sprintf("Shard %q, which decides, did not answer. The outcome is the same on all shards.", unsettled.Shard),
			Hint:   "Look whether the change is there before repeating it."}
	case errors.As(err, &aborted) && !errors.As(err, &wire):
		return &pgwire.Error{Code: codeConnectionFailure, Message: fmt.Sprintf("commit failed on shard %q", aborted.Shard),
			Detail: "Nothing was committed on any shard.", Hint: "Repeat the statement."}
	case errors.As(err, &exhausted):
		return &pgwire.Error{Code: codeTooManyConnections, Message: fmt.Sprintf("no connection to shard %q became free in time", exhausted.Shard),
			Detail: fmt.Sprintf("pool size %d, in use %d, waiting %d, waited %s", exhausted.Size, exhausted.InUse, exhausted.Waiting, exhausted.Waited),
			Hint:   "Raise pool.size or pool.acquire_timeout, or shorten transactions. SHOW POOLS on the console shows who waits."}
	case errors.As(err, &unknown):
		return &pgwire.Error{Code: codeConnectionFailure, Message: fmt.Sprintf("shard %q is not known to this proxy yet", unknown.Shard),
			Hint: "Repeat the statement."}
	case errors.As(err, &down):
		return unavailable(down)
	case errors.As(err, &lost):
		return lost.wire()
	case errors.As(err, &protocol):
		return &pgwire.Error{Severity: "FATAL", Code: codeProtocolViolation, Message: protocol.Reason}
	case errors.As(err, &wire):
		return unfenced(wire)
	case errors.Is(err, context.Canceled):
		return &pgwire.Error{Code: codeQueryCanceled, Message: "canceling statement due to user request"}
	}
	return &pgwire.Error{Code: codeInternal, Message: "internal error", Hint: "The proxy's log has the details."}
}

func refused(r *router.Refusal) *pgwire.Error {
	code, ok := refusalCodes[r.Reason]
	switch {
	case r.Code != "":
		code = r.Code
	case !ok:
		code = codeFeatureNotSupported
	}
	return &pgwire.Error{Code: code, Message: r.Message, Detail: r.Detail, Hint: r.Hint, Position: r.Position}
}

// partlyCommitted reports a statement that holds on some shards only, which can happen only without prepared transactions.
func partlyCommitted(e *saga.PartialError) *pgwire.Error {
	return &pgwire.Error{Code: codeCompletionUnknown, Message: "statement was committed on some shards only",
		Detail: fmt.Sprintf("Committed on: %v. Failed on: %v.", e.Committed, e.Failed),
		Hint:   "Repeat it on the shards where it failed (SHOW SCHEMA DRIFT on the console lists what they lack), and set max_prepared_transactions there so that it cannot happen again."}
}

func unavailable(down *backend.UnavailableError) *pgwire.Error {
	e := &pgwire.Error{Code: codeConnectionFailure, Message: fmt.Sprintf("shard %q cannot be reached", down.Shard),
		Hint: "Statements for other shards are served. SHOW SHARDS on the console shows the state."}
	var server *pgwire.Error
	if errors.As(down.Err, &server) {
		e.Code, e.Detail = server.Code, server.Message
	}
	return e
}

// lostError reports that the connection to a shard broke while statements were in flight on it.
type lostError struct {
	shard  ring.ShardID
	commit bool          // a COMMIT was in flight: whether it happened is unknown
	last   *pgwire.Error // what the server said before it went, if anything
	err    error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("connection to shard %s lost: %v", e.shard, e.err)
}

func (e *lostError) Unwrap() error { return e.err }

func (e *lostError) wire() *pgwire.Error {
	w := &pgwire.Error{Code: codeConnectionFailure, Message: fmt.Sprintf("connection to shard %q was lost", e.shard),
		Detail: "The statement may or may not have been executed.",
		Hint:   "The session goes on. Check whether the statement took effect before repeating a write."}
	var own *untranslatedError
	if errors.As(e.err, &own) && !e.commit {
		return own.told
	}
	if e.last != nil && e.last.Code == codeSerialization && !e.commit {
		return e.last // the session's own: what the server answered is not to be believed
	}
	if e.last != nil {
		w.Code, w.Detail = e.last.Code, e.last.Message
	}
	if e.commit {
		w.Code, w.Detail = codeResolutionUnknown, "COMMIT was in flight: the transaction may or may not have been committed."
	}
	return w
}

func errCrossShard(first, second ring.ShardID) error {
	return &pgwire.Error{Code: codeFeatureNotSupported, Message: "transaction would write to more than one shard",
		Detail: fmt.Sprintf("It has written to shard %q, and this statement would write to shard %q.", first, second),
		Hint: "SET LOCAL pgring.cross_shard = 'saga' or '2pc' in a transaction block allows it. " +
			"Tables with the same shard key keep rows that belong together on one shard."}
}

func errFailedTransaction() error {
	return &pgwire.Error{Code: codeInFailedTransaction,
		Message: "current transaction is aborted, commands ignored until end of transaction block"}
}

func errNoStatement(name []byte) error {
	if len(name) == 0 {
		return &pgwire.Error{Code: codeInvalidStatement, Message: "unnamed prepared statement does not exist"}
	}
	return &pgwire.Error{Code: codeInvalidStatement, Message: fmt.Sprintf("prepared statement %q does not exist", name)}
}

func errNoPortal(name []byte) error {
	return &pgwire.Error{Code: codeInvalidCursor, Message: fmt.Sprintf("portal %q does not exist", name)}
}

func errProtocol(message string) error {
	return &pgwire.Error{Code: codeProtocolViolation, Message: message}
}

func errUnsupported(message, hint string) error {
	return &pgwire.Error{Code: codeFeatureNotSupported, Message: message, Hint: hint}
}

func errTooLarge(size, limit int) error {
	return &pgwire.Error{Code: codeTooLarge, Message: "message is too large to be planned",
		Detail: fmt.Sprintf("It has %d bytes; limits.message_size is %d.", size, limit),
		Hint:   "Send bulk data with COPY or in several statements, or raise limits.message_size."}
}

// fatal returns e as an error that ends the session.
func fatal(code, message string) *pgwire.Error {
	return &pgwire.Error{Severity: "FATAL", Code: code, Message: message}
}
