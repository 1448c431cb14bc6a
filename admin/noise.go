package admin

import (
	"strconv"
	"strings"

	"github.com/pgring/pgring/proxy"
)

// noise is what drivers and psql send of their own accord: session control, which the console has no use for, and questions about
// the server. They are answered as PostgreSQL would, so that any client can connect.
type noise struct {
	tag     string
	columns []column
	values  []func(who) any // of the single row
}

// who is what the answers depend on.
type who struct {
	user, version string
}

// answer makes the reply to a caller.
func (n *noise) answer(caller proxy.Caller, version string) *proxy.Answer {
	a := &proxy.Answer{Tag: n.tag}
	if n.columns == nil {
		return a
	}
	values := make(row, len(n.values))
	for i, value := range n.values {
		values[i] = value(who{caller.User, version})
	}
	a.Fields, a.Rows = fieldsOf(n.columns), encode([]row{values})
	return a
}

// serverVersion is what the console says it is; the proxy reports the same at connection start.
const serverVersion = "15.0 (pgring)"

// parameter returns the value of a PostgreSQL setting that drivers ask for.
func parameter(name string) (string, bool) {
	switch name {
	case "server_version":
		return serverVersion, true
	case "server_version_num":
		return "150000", true
	case "server_encoding", "client_encoding":
		return "UTF8", true
	case "datestyle":
		return "ISO, MDY", true
	case "timezone", "time zone":
		return "UTC", true
	case "integer_datetimes", "standard_conforming_strings":
		return "on", true
	case "transaction_isolation", "default_transaction_isolation", "transaction isolation level":
		return "read committed", true
	case "transaction_read_only", "default_transaction_read_only", "in_hot_standby", "is_superuser":
		return "off", true
	case "search_path":
		return `"$user", public`, true
	case "max_identifier_length":
		return "63", true
	case "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout":
		return "0", true
	}
	return "", false
}

// answerable returns what a function without arguments answers in a SELECT.
func answerable(name string) (columnType, func(who) any) {
	fixed := func(value any) func(who) any { return func(who) any { return value } }
	switch name {
	case "version":
		return text, func(w who) any { return "PostgreSQL " + serverVersion + " console, pgring " + w.version }
	case "current_database", "current_catalog":
		return text, fixed("pgring")
	case "current_schema":
		return text, fixed("public")
	case "current_user", "session_user", "user", "current_role":
		return text, func(w who) any { return w.user }
	case "pg_is_in_recovery":
		return boolean, fixed(false)
	case "inet_server_addr", "inet_client_addr":
		return text, fixed(nil)
	}
	return text, nil
}

// readNoise recognizes noise; nil: it is none. No tokens at all are a comment, which drivers send to see whether anybody answers.
func readNoise(t tokens) *noise {
	first := t.next()
	switch word := strings.ToUpper(first.text); {
	case first.kind == tokenEnd:
		return &noise{}
	case first.kind != tokenWord:
		return nil
	case word == "SELECT":
		return readSelect(t)
	case word == "SHOW":
		return readShow(t)
	default:
		return readSession(word, t)
	}
}

// readSession recognizes what has an effect on a session or a transaction, of which the console has neither.
func readSession(word string, t tokens) *noise {
	switch word {
	case "SET":
		if isSetting(t) {
			return &noise{tag: "SET"}
		}
	case "RESET":
		if t.peek().kind == tokenWord {
			return &noise{tag: "RESET"}
		}
	case "BEGIN":
		return &noise{tag: "BEGIN"}
	case "START":
		if t.accept("TRANSACTION") {
			return &noise{tag: "START TRANSACTION"}
		}
	case "COMMIT", "END":
		return &noise{tag: "COMMIT"}
	case "ROLLBACK", "ABORT":
		return &noise{tag: "ROLLBACK"}
	case "DISCARD", "DEALLOCATE":
		if t.accept("ALL") {
			return &noise{tag: word + " ALL"}
		}
	case "UNLISTEN":
		return &noise{tag: "UNLISTEN"}
	case "CLOSE":
		if t.accept("ALL") {
			return &noise{tag: "CLOSE CURSOR ALL"}
		}
	}
	return nil
}

// isSetting reports whether what follows SET is a setting of PostgreSQL's, in one of its forms. What only looks like one is no noise: somebody
// means to change something, and is not to be told that it was done.
func isSetting(t tokens) bool {
	if !t.accept("SESSION") {
		t.accept("LOCAL")
	}
	first, second := t.next(), t.next()
	if first.kind != tokenWord || second.kind == tokenEnd {
		return false
	}
	for _, form := range []string{"TIME", "TRANSACTION", "CHARACTERISTICS", "AUTHORIZATION", "ROLE", "NAMES", "SCHEMA", "CONSTRAINTS", "XML", "CATALOG"} {
		if first.is(form) {
			return true
		}
	}
	return (second.is("TO") || second.symbol("=")) && t.peek().kind != tokenEnd
}

// readShow recognizes SHOW of a PostgreSQL setting.
func readShow(t tokens) *noise {
	words := make([]string, 0, len(t.rest))
	for _, next := range t.rest {
		words = append(words, strings.ToLower(next.text))
	}
	name := strings.Join(words, " ")
	value, known := parameter(name)
	if !known {
		return nil
	}
	if name == "transaction isolation level" {
		name = "transaction_isolation"
	}
	return &noise{tag: "SHOW", columns: []column{{name, text, ""}}, values: []func(who) any{func(who) any { return value }}}
}

// readSelect recognizes a SELECT of literals and of functions that drivers call.
func readSelect(t tokens) *noise {
	n := &noise{tag: "SELECT 1"}
	for {
		if !n.readItem(&t) {
			return nil
		}
		next := t.next()
		if next.kind == tokenEnd {
			return n
		}
		if !next.symbol(",") {
			return nil
		}
	}
}

// readItem reads one item of a SELECT list with its alias.
func (n *noise) readItem(t *tokens) bool {
	name, typ, value := readExpression(t)
	if value == nil {
		return false
	}
	if t.accept("AS") || t.peek().kind == tokenWord {
		alias, err := t.word("a name")
		if err != nil {
			return false
		}
		name = alias.identifiers()[0]
	}
	n.columns = append(n.columns, column{name, typ, ""})
	n.values = append(n.values, value)
	return true
}

// readExpression reads a literal or a call; a nil value means that it is neither.
func readExpression(t *tokens) (string, columnType, func(who) any) {
	const unnamed = "?column?"
	first := t.next()
	switch {
	case first.kind == tokenString:
		return unnamed, text, func(who) any { return first.text }
	case first.kind != tokenWord:
		return "", text, nil
	case first.is("NULL"):
		return unnamed, text, func(who) any { return nil }
	case first.is("TRUE"), first.is("FALSE"):
		return "bool", boolean, func(who) any { return first.is("TRUE") }
	}
	if n, err := strconv.ParseInt(first.text, 10, 64); err == nil {
		return unnamed, integer, func(who) any { return n }
	}
	parts := first.identifiers()
	name := parts[len(parts)-1]
	if len(parts) > 2 || len(parts) == 2 && parts[0] != "pg_catalog" {
		return "", text, nil
	}
	if name == "current_setting" {
		value := readCurrentSetting(t)
		return name, text, value
	}
	typ, value := answerable(name)
	if t.peek().symbol("(") {
		t.next()
		if !t.next().symbol(")") {
			return "", text, nil
		}
	}
	return name, typ, value
}

// readCurrentSetting reads the argument of current_setting.
func readCurrentSetting(t *tokens) func(who) any {
	if !t.next().symbol("(") {
		return nil
	}
	value, known := parameter(strings.ToLower(t.next().text))
	if !known || !t.next().symbol(")") {
		return nil
	}
	return func(who) any { return value }
}
