package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/proxy"
)

// command is one entry of the table that dispatch, HELP and docs/console.md come from.
type command struct {
	name      string // the words it begins with
	alias     string // other words that mean the same; empty: none
	syntax    string // what follows them
	does      string // one sentence
	role      proxy.Role
	arguments int      // of a SHOW: words before LIKE, WHERE, ORDER BY and LIMIT
	columns   []column // nil: it answers with its tag only
	run       func(*Console, context.Context, *input) (*outcome, error)
}

// outcome is what a command returns.
type outcome struct {
	rows    []row
	notices []*pgwire.Error
}

// rowsOf is the outcome of most SHOWs.
func rowsOf(rows []row) (*outcome, error) { return &outcome{rows: rows}, nil }

// usage is how the command is written.
func (c *command) usage() string {
	return strings.TrimSpace(c.name + " " + c.syntax)
}

// shows reports whether the command takes a filter.
func (c *command) shows() bool { return strings.HasPrefix(c.name, "SHOW ") || c.name == "HELP" }

// tag is the command tag of the answer (PostgreSQL manual, "CommandComplete").
func (c *command) tag() string {
	switch {
	case c.shows():
		return "SHOW"
	case c.name == "MOVE KEY":
		return "MOVED KEY" // libpq wants a number behind the word MOVE
	}
	return c.name
}

// input is one command as it was understood: a command of the table, or a driver's noise.
type input struct {
	command   *command
	arguments tokens // what follows the name
	statement string // ROUTE: what follows the name, as it was sent
	filter    filter
	noise     *noise
	columns   []column
}

// parse understands one command.
func (c *Console) parse(sql string) (*input, error) {
	if in := c.parseRoute(sql); in != nil {
		return in, nil
	}
	all, err := lex(sql)
	if err != nil {
		return nil, err
	}
	for len(all) > 0 && all[len(all)-1].symbol(";") {
		all = all[:len(all)-1]
	}
	for _, t := range all {
		if t.symbol(";") {
			return nil, syntaxError("the console takes one command at a time", "Several were sent in one message, separated by semicolons.")
		}
	}
	if found, rest := c.find(all); found != nil {
		return found.parse(tokens{rest})
	}
	if noise := readNoise(tokens{all}); noise != nil {
		return &input{noise: noise, columns: noise.columns}, nil
	}
	return nil, c.unknown(all)
}

// parse reads what follows the name of a SHOW. Acts read their arguments when they run, so that describing them needs no look at
// what they name.
func (c *command) parse(rest tokens) (*input, error) {
	in := &input{command: c, arguments: rest, columns: c.columns, filter: filter{limit: -1}}
	if !c.shows() {
		return in, nil
	}
	for range c.arguments {
		if kind := rest.peek().kind; kind != tokenWord && kind != tokenString {
			return nil, withSyntax(expected("an argument", rest.peek()), c)
		}
		rest.next()
	}
	var err error
	in.filter, err = readFilter(&rest, c.columns)
	return in, withSyntax(err, c)
}

// parseRoute cuts ROUTE or EXPLAIN ROUTE from a statement, which is not for the console to read. Nil: it is another command.
func (c *Console) parseRoute(sql string) *input {
	first, rest, err := cutToken(skipBlank(sql) + " ")
	if err == nil && first.is("EXPLAIN") {
		first, rest, err = cutToken(skipBlank(rest) + " ")
	}
	if err != nil || !first.is("ROUTE") {
		return nil
	}
	for i := range c.commands {
		if found := &c.commands[i]; found.name == "ROUTE" {
			return &input{command: found, statement: strings.TrimSpace(rest), columns: found.columns, filter: filter{limit: -1}}
		}
	}
	return nil
}

// find returns the command with the longest name that the tokens begin with, and the tokens after the name.
func (c *Console) find(all []token) (found *command, rest []token) {
	longest := 0
	for i := range c.commands {
		for _, name := range []string{c.commands[i].name, c.commands[i].alias} {
			if words := strings.Fields(name); len(words) > longest && begins(all, words) {
				found, longest = &c.commands[i], len(words)
			}
		}
	}
	return found, all[longest:]
}

func begins(all []token, words []string) bool {
	if len(all) < len(words) {
		return false
	}
	for i, word := range words {
		if !all[i].is(word) {
			return false
		}
	}
	return true
}

// unknown says that there is no such command, and which one was probably meant.
func (c *Console) unknown(all []token) error {
	words := make([]string, 0, 2)
	for _, t := range all[:min(len(all), 2)] {
		words = append(words, t.String())
	}
	given := strings.Join(words, " ")
	if len(all) > 0 && (all[0].is("SELECT") || all[0].is("WITH") || all[0].is("INSERT") || all[0].is("UPDATE") || all[0].is("DELETE")) {
		return &pgwire.Error{Code: codeFeature, Message: "the console runs commands, not SQL",
			Detail: "This connection is to the console, not to the shards.", Hint: fmt.Sprintf("Connect to database %q for SQL. %s", c.cfg.Database, helpHint)}
	}
	e := &pgwire.Error{Code: codeSyntax, Message: fmt.Sprintf("unknown command %q", given), Hint: helpHint}
	if near := meantWeight(all); near != "" {
		e.Hint = near + " changes a shard's share of the slots. " + helpHint
	} else if near := c.suggest(words); near != "" {
		e.Hint = fmt.Sprintf("Did you mean %s? %s", near, helpHint)
	}
	return e
}

// meantWeight is the command for who writes SET SHARD s1 WEIGHT 3; empty: something else is meant.
func meantWeight(all []token) string {
	if len(all) < 5 || !all[0].is("SET") || !all[1].is("SHARD") || !all[3].is("WEIGHT") {
		return ""
	}
	return fmt.Sprintf("ALTER SHARD %s WEIGHT %s", all[2], all[len(all)-1])
}

// suggest compares what was typed with each command's name, word for word.
func (c *Console) suggest(words []string) string {
	var names []string
	for i := range c.commands {
		names = append(names, c.commands[i].name)
	}
	if near := nearest(strings.Join(words, " "), names); near != "" {
		return near
	}
	if len(words) == 0 {
		return ""
	}
	if near := nearest("SHOW "+words[0], names); near != "" {
		return near
	}
	return nearest(words[0], names)
}
