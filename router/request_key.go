package router

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// A client may name a request beside its statement, by a setting or in a comment, rather than in a column of the row.

// maxParam is the highest number that a parameter can have.
const maxParam = 65535

// RequestKeyWord begins the key in a comment.
const RequestKeyWord = "idempotency_key="

// CommentKey is the key that a comment gives to its statement.
type CommentKey struct {
	Text  string
	Param int // the key is the value of $n; 0: it is Text
}

// ReadCommentKey reads the key in a statement's comments, in sqlcommenter's form: /* idempotency_key='…' */, among other pairs. Like ReadUndo it looks
// at the text itself. The error is a *Refusal.
func ReadCommentKey(text []byte) (key CommentKey, found bool, err error) {
	scanner := sql.Scanner{Text: text}
	for {
		tok := scanner.Next()
		switch tok.Kind {
		case sql.EOF, sql.Error:
			return key, found, nil
		case sql.Comment:
			rest, given := afterKeyWord(string(sql.CommentBody(text[tok.Start:tok.End])))
			if !given {
				continue
			}
			if found {
				return key, found, badCommentKey("the statement has two of them")
			}
			if key, err = readCommentKey(rest); err != nil {
				return key, false, err
			}
			found = true
		default:
		}
	}
}

// afterKeyWord is what stands behind the word that gives a key; false: the comment gives none.
func afterKeyWord(body string) (rest string, given bool) {
	for from := 0; ; {
		at := strings.Index(body[from:], RequestKeyWord)
		if at < 0 {
			return "", false
		}
		at += from
		if at == 0 || strings.IndexByte(" \t\r\n,", body[at-1]) >= 0 {
			return body[at+len(RequestKeyWord):], true
		}
		from = at + 1
	}
}

// readCommentKey reads the value at the beginning of rest: quoted, a quote in it as \', and percent-encoded, or $n.
func readCommentKey(rest string) (CommentKey, error) {
	quoted := strings.HasPrefix(rest, "'")
	var value string
	if quoted {
		end := 1
		for end < len(rest) && rest[end] != '\'' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(rest) {
			return CommentKey{}, badCommentKey("its quote is not closed")
		}
		value = rest[1:end]
	} else {
		value = rest[:len(rest)-len(strings.TrimLeft(rest, "$0123456789"))]
	}
	if strings.HasPrefix(value, "$") {
		n, err := strconv.Atoi(value[1:])
		if err != nil || n < 1 || n > maxParam {
			return CommentKey{}, badCommentKey("$ is not followed by the number of a parameter")
		}
		return CommentKey{Param: n}, nil
	}
	if !quoted {
		return CommentKey{}, badCommentKey("its value is not quoted")
	}
	value, err := url.PathUnescape(strings.NewReplacer(`\'`, `'`, `\\`, `\`).Replace(value))
	if err != nil {
		return CommentKey{}, badCommentKey("its value is not percent-encoded")
	}
	return CommentKey{Text: value}, CheckRequestKey(value)
}

func badCommentKey(why string) *Refusal {
	return &Refusal{Reason: BadDirective, Message: "idempotency key in a comment is not understood", Detail: "In the comment, " + why + ".",
		Hint: "Write /* idempotency_key='…' */ with the value percent-encoded, or /* idempotency_key=$1 */ for the value of a parameter."}
}

// CheckRequestKey refuses a key that cannot be one. The error is a *Refusal.
func CheckRequestKey(key string) error {
	switch {
	case key == "":
		return &Refusal{Reason: InvalidKey, Code: "22023", Message: "idempotency key is empty", Hint: "Give a value that is the same in each repeat, and in nothing else."}
	case len(key) > MaxRequestKey:
		return &Refusal{Reason: InvalidKey, Code: "22001", Message: "idempotency key is too long", Detail: fmt.Sprintf("It has %d bytes, and may have %d.", len(key), MaxRequestKey),
			Hint: "A UUID, or a hash of what identifies the write, is long enough."}
	case !utf8.ValidString(key), strings.IndexByte(key, 0) >= 0:
		return &Refusal{Reason: InvalidKey, Code: "22021", Message: "idempotency key is no valid text", Hint: "Keys are text in UTF-8 without zero bytes."}
	}
	return nil
}

// In reads the key among the parameters of an execution, whose types are those. The error is a *Refusal.
func (k CommentKey) In(v Values, types []uint32) (string, error) {
	if k.Param == 0 {
		return k.Text, nil
	}
	var value Value
	known := false
	if v != nil {
		value, known = v.Value(k.Param - 1)
	}
	switch {
	case !known:
		return "", &Refusal{Reason: UndefinedParameter, Message: fmt.Sprintf("there is no parameter $%d", k.Param), Detail: "The idempotency key in a comment of the statement is its value."}
	case value.Null:
		return "", &Refusal{Reason: NullKey, Message: fmt.Sprintf("idempotency key $%d has no value", k.Param), Hint: "Give a value that is the same in each repeat."}
	case !value.Binary:
		return string(value.Data), CheckRequestKey(string(value.Data))
	}
	key, ok := ring.Key{}, k.Param <= len(types)
	if ok {
		var keyType ring.KeyType
		if keyType, ok = ring.KeyTypeOf(types[k.Param-1]); ok {
			in := input{params: v}
			var got reading
			key, got, _ = in.key(&operand{kind: operandParam, index: k.Param - 1, keyType: keyType})
			ok = got == readKey
		}
	}
	if !ok {
		return "", &Refusal{Reason: KeyNotUnderstood, Message: fmt.Sprintf("the value of idempotency key $%d is not understood", k.Param),
			Detail: "It is binary, and of a type that pgring does not read.", Hint: "Use a parameter of type text, uuid or an integer type."}
	}
	return key.String(), CheckRequestKey(key.String())
}

// WritesOnly says whether the statement is an INSERT, UPDATE or DELETE that writes to one sharded table, as far as pgring sees, and to which.
func (s *Statement) WritesOnly() (topology.Name, bool) { return s.target, s.target != topology.Name{} }

// RequestNamed is the request that the statement is under a key that was given beside it; hash is Plan.Key of its plan, and text is the
// statement's. The error is a *Refusal.
func (s *Statement) RequestNamed(key string, hash uint64, v Values, text []byte) (*Request, error) {
	in := s.input(v)
	if _, none := in.literals.(noValues); none {
		in.literals = literalsOf(text)
	}
	r := &Request{Table: s.target, Hash: hash, Key: key}
	known := false
	note := func(k ring.Key) {
		if k.Hash() == hash {
			r.ShardKey, known = k.String(), true
		}
	}
	for i := range s.needs {
		n := &s.needs[i]
		for j := range n.any {
			if known {
				break
			}
			r.Group = n.group
			if o := &n.any[j]; o.array {
				_, _ = in.elements(o, note) // what cannot be read is not noted
			} else if k, got, _ := in.key(o); got == readKey {
				note(k)
			}
		}
	}
	switch {
	case !known:
		return nil, &Refusal{Reason: KeyNotUnderstood, Message: "the shard key of an idempotent write is not understood",
			Hint: "Give it as a constant or a parameter of an integer type, text, varchar, uuid, timestamp, numeric or bytea."}
	case len(r.ShardKey) > MaxRequestKey:
		return nil, &Refusal{Reason: InvalidKey, Code: "22001", Message: "shard key of an idempotent write is too long",
			Detail: fmt.Sprintf("It has %d bytes, and may have %d where writes are idempotent.", len(r.ShardKey), MaxRequestKey)}
	}
	return r, nil
}

// writtenAlone notes the table of an INSERT, UPDATE or DELETE that writes to one sharded table only.
func (a *analysis) writtenAlone(node *pg.Node) {
	if node.GetInsertStmt() == nil && node.GetUpdateStmt() == nil && node.GetDeleteStmt() == nil || len(a.written) != 1 {
		return
	}
	if t := a.written[0].rel.table; t != nil && t.Kind == topology.Sharded {
		a.st.target = t.Name
	}
}
