package router

import (
	"github.com/pgring/pgring/topology"
)

// Verb says what a statement is to the session. Everything that is not session
// or transaction control is Plain.
type Verb uint8

// The verbs. Plain statements are run by their plan; the others are handled, or
// at least noted, by the session.
const (
	VerbUnset          Verb = iota
	Plain                   // run by its plan: SELECT, DML, DDL, utilities
	Empty                   // nothing but white space and comments
	Begin                   // BEGIN, START TRANSACTION; options in Settings
	Commit                  // COMMIT, END; Chain
	Rollback                // ROLLBACK, ABORT; Chain
	Savepoint               // Name
	Release                 // Name
	RollbackTo              // Name
	PrepareTransaction      // PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED: always refused
	Set                     // SET, SELECT set_config(…, false), SET SESSION CHARACTERISTICS; Settings
	SetLocal                // SET LOCAL; Settings
	SetTransaction          // SET TRANSACTION; Settings
	Reset                   // RESET name; Name
	ResetAll                // RESET ALL
	ShowLocal               // SHOW pgring.name; Name without the prefix
	Prepare                 // PREPARE; Name, Inner, Types
	Execute                 // EXECUTE; Name, Args
	Deallocate              // DEALLOCATE; Name
	DeallocateAll           // DEALLOCATE ALL
	Discard                 // DISCARD; Name is all, plans, sequences or temp
	Listen                  // LISTEN; Name
	Unlisten                // UNLISTEN; Name, empty for *
	Notify                  // NOTIFY; Name
	Declare                 // DECLARE … CURSOR; Name, Inner is the query
	Fetch                   // FETCH, MOVE; Name is the cursor
	CloseCursor             // CLOSE; Name, empty for ALL
	CopyIn                  // COPY … FROM STDIN
	CopyOut                 // COPY … TO STDOUT
	ExplainRoute            // EXPLAIN ROUTE; Inner is the statement explained
	CallOwn                 // SELECT pgring.saga_status(…), CALL pgring.saga(…); Call
	Generate                // SELECT pgring.next_id(), pgring.uuid7(); Generated
)

// Access says what a statement does to data, as far as can be proved: Read only
// when nothing in it can write.
type Access uint8

// The access levels in rising order.
const (
	AccessUnset Access = iota
	Read
	Write
	Define // DDL: changes the schema, invalidates what is cached about it
)

// Pin is session state that a statement leaves behind on its server: the
// session must keep that backend connection.
type Pin uint8

// The kinds of state left behind.
const (
	PinNone     Pin = iota
	PinListen       // LISTEN
	PinTemp         // a temporary table, sequence, view or type
	PinLock         // a session-level advisory lock
	PinCursor       // a cursor WITH HOLD
	PinSettings     // settings changed in a way the session cannot replay
	PinLibrary      // LOAD
)

// Setting is one assignment of a session variable.
type Setting struct {
	Name    string // lower case; "transaction_isolation" and so on for SET TRANSACTION and BEGIN
	Value   string // SQL text to the right of TO, quoted as needed: SET name TO value
	Text    string // the plain value as SHOW would take it, when it is a single constant
	Local   bool
	Default bool // SET name TO DEFAULT: same as RESET name
	Param   int  // SELECT set_config: the value is parameter $n, and Value is empty; see SettingsWith
}

// Argument is an argument of EXECUTE as a server computes it.
type Argument struct {
	SQL     string
	Untyped bool // it is a string or NULL, which has the type that is asked for
	Boolean bool // it is TRUE or FALSE
}

// Statement is one analysed statement: immutable, shared between sessions,
// independent of slot ownership. The exported fields are set by its verb.
type Statement struct {
	Verb   Verb
	Access Access
	Pin    Pin

	Name          string      // savepoint, cursor, prepared statement, channel, setting
	Settings      []Setting   // Set, SetLocal, SetTransaction, Begin
	Query         bool        // Set: it is SELECT set_config(…), which answers a row
	Chain         bool        // COMMIT AND CHAIN, ROLLBACK AND CHAIN
	Hold          bool        // DECLARE … WITH HOLD
	Returns       bool        // it is a write with RETURNING
	Locks         []string    // LOCK TABLE: the tables that several shards have, as SQL
	locksOut      bool        // LOCK TABLE: in a mode that keeps writers out
	uncopied      bool        // COPY TO of what is no plain table, which each shard refuses
	DefinesViews  []string    // names, without schema, that views over sharded tables get by CREATE VIEW or ALTER
	Unknown       bool        // it calls a function that neither PostgreSQL nor the snapshot has
	NoTransaction bool        // PostgreSQL runs it only outside a transaction block
	ShardByShard  bool        // what one shard has done need not be undone if another one fails
	Copies        bool        // INSERT, UPDATE, DELETE or MERGE of a reference table: each shard changes its own copy, all alike
	ForwardOnly   bool        // FETCH/MOVE that cannot need rows already passed
	Types         []string    // PREPARE: declared parameter types, as SQL
	Args          Values      // EXECUTE: the arguments, if they are constants
	Computed      []Argument  // EXECUTE: the arguments, if they are not strings or NULL; beside Args if they are numbers or booleans
	Generated     []Generated // Generate: the columns of the one row
	Call          *OwnCall    // CallOwn
	Notices       []string    // what the client is told when it has run
	Inner         *Statement
	InnerText     string          // PREPARE, EXPLAIN ROUTE, DECLARE: the inner statement's text
	TempTables    []topology.Name // tables this statement creates as temporary ones (Schema empty)
	Params        int             // highest $n
	Tables        []topology.Name // relations named in the statement, resolved, sorted, without catalogs

	core
}

// Refused returns the reason why no parameters can make this statement
// runnable, or nil.
func (s *Statement) Refused() *Refusal { return s.refused }

// Bound is a statement with its own slice of a Query message and the literals
// found in it.
type Bound struct {
	*Statement
	Text   []byte // valid as long as the message is
	Values Values // valid until the Scratch is used again
	Offset int    // byte offset of Text in the message: add its characters to error positions

	recalled bool // but for literals and a comment at its end, the text is that of every Bound of the Statement for which this is set
}
