package router

import (
	"strings"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
)

// directives are what /* pgring: … */ at the start of a statement says.
type directives struct {
	shard    string
	key      *string
	noGather bool
}

// readDirectives reads the directive comments before the first token. One
// behind it is an error: it would be easy to overlook.
func readDirectives(text []byte) (directives, error) {
	var d directives
	scanner := sql.Scanner{Text: text}
	started := false
	for {
		tok := scanner.Next()
		switch {
		case tok.Kind == sql.EOF:
			return d, nil
		case tok.Kind != sql.Comment:
			started = true
		case !sql.IsDirective(text[tok.Start:tok.End]):
		case started:
			return d, badDirective("it stands behind the start of the statement")
		default:
			body := strings.TrimPrefix(string(sql.CommentBody(text[tok.Start:tok.End])), "pgring:")
			if err := d.read(body); err != nil {
				return d, err
			}
		}
	}
}

// read reads name=value pairs separated by white space or commas outside of quotes.
func (d *directives) read(body string) error {
	quoted := false
	for _, pair := range strings.FieldsFunc(body, func(r rune) bool {
		quoted = quoted != (r == '\'')
		return !quoted && (r == ' ' || r == ',' || r == '\t' || r == '\n')
	}) {
		name, value, found := strings.Cut(pair, "=")
		if !found || value == "" {
			return badDirective("it is not of the form name=value: " + quoteIdent(pair))
		}
		switch {
		case name == "shard":
			d.shard = value
		case name == "key":
			if len(value) > 1 && value[0] == '\'' && value[len(value)-1] == '\'' {
				value = strings.ReplaceAll(value[1:len(value)-1], "''", "'")
			}
			d.key = &value
		case name == "gather" && value == "off":
			d.noGather = true
		default:
			return badDirective("there is no directive " + quoteIdent(pair))
		}
	}
	if d.shard != "" && d.key != nil {
		return badDirective("shard and key exclude each other")
	}
	return nil
}

func badDirective(why string) *Refusal {
	return &Refusal{Reason: BadDirective, Message: "pgring directive is not understood", Detail: "In the comment, " + why + ".",
		Hint: "Directives are shard=name, key=value and gather=off, in a comment before the statement."}
}

// apply puts directives over what the analysis has found.
func (a *analysis) apply(d directives) {
	plain := a.st.Verb == Plain || a.st.Verb == CopyIn || a.st.Verb == CopyOut
	switch {
	case d.shard != "" && plain:
		a.st.forced = ring.ShardID(d.shard)
		a.refused = nil
	case d.key != nil && plain:
		a.forceKey(*d.key)
	}
	if d.noGather && (a.st.gather != nil || a.st.pull != nil) {
		a.st.gather, a.st.pull = nil, nil
		a.st.spread = &Refusal{Reason: Unsupported, Message: "statement needs several shards", Detail: "Its directive says gather=off.",
			Hint: "Give the statement a shard key, or leave the directive out."}
	}
}

// forceKey makes every sharded table of the statement have this key.
func (a *analysis) forceKey(key string) {
	if len(a.st.needs) == 0 {
		a.refuse(badDirective("key is given, but the statement has no sharded table"))
		return
	}
	for i := range a.st.needs {
		n := &a.st.needs[i]
		group := a.snap.Group(n.group)
		if n.group != a.st.needs[0].group || group == nil {
			a.refuse(badDirective("key is given, but the statement's tables are of several groups"))
			return
		}
		n.any = []operand{{kind: operandGiven, given: []byte(key), keyType: group.KeyType}}
		n.written = false
	}
	a.alone = nil
}
