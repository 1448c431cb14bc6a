package saga

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pgring/pgring/ring"
)

// mode is the column of that name in pgring.saga; 2pc has rows there too.
type mode string

const (
	modeSaga mode = "saga" // a client's transaction: all steps were open before the first one committed
	modeCall mode = "call" // long-running: a step begins when the one before it has committed
)

// kind is how a step ends when the saga fails.
type kind string

const (
	compensable kind = "compensable" // undone
	pivot       kind = "pivot"       // never undone: once it is done the saga goes forward; of a Call only
	retriable   kind = "retriable"   // never undone: run until it succeeds
)

// record is what a saga's row says of it, for whoever has to go on with it.
type record struct {
	Name     string         `json:"name,omitempty"`
	User     string         `json:"user"`
	Key      string         `json:"key,omitempty"`
	Settings [][]Setting    `json:"settings,omitempty"` // each list once; statements refer to them
	Steps    []recordedStep `json:"steps"`
}

type recordedStep struct {
	Shard ring.ShardID        `json:"shard"`
	Kind  kind                `json:"kind"`
	Do    []recordedStatement `json:"do,omitempty"`
	Undo  []recordedStatement `json:"undo,omitempty"` // in the order of the statements that they undo
}

// recordedStatement is a Statement. Values and text that is not UTF-8 are kept as bytes (base64 in JSON).
type recordedStatement struct {
	SQL      string   `json:"sql,omitempty"`
	Raw      []byte   `json:"raw,omitempty"` // the SQL, if it is not UTF-8
	Types    []uint32 `json:"types,omitempty"`
	Formats  []int16  `json:"formats,omitempty"`
	Values   [][]byte `json:"values,omitempty"`
	Rows     int64    `json:"rows"`
	Settings int      `json:"settings"` // index in the record's; -1: none
}

func (r *record) statements(list []Statement) []recordedStatement {
	var out []recordedStatement
	for _, s := range list {
		kept := recordedStatement{SQL: s.SQL, Types: s.Types, Formats: s.Formats, Values: s.Values, Rows: s.Rows, Settings: r.settings(s.Settings)}
		if !utf8.ValidString(s.SQL) {
			kept.SQL, kept.Raw = "", []byte(s.SQL)
		}
		out = append(out, kept)
	}
	return out
}

// settings returns the place of a list, which is stored once however many statements have it.
func (r *record) settings(list []Setting) int {
	if len(list) == 0 {
		return -1
	}
	i := slices.IndexFunc(r.Settings, func(known []Setting) bool { return slices.Equal(known, list) })
	if i < 0 {
		i = len(r.Settings)
		r.Settings = append(r.Settings, list)
	}
	return i
}

// statement is the inverse of statements, for one.
func (r *record) statement(kept recordedStatement) Statement {
	s := Statement{SQL: kept.SQL, Types: kept.Types, Formats: kept.Formats, Values: kept.Values, Rows: kept.Rows}
	if kept.Raw != nil {
		s.SQL = string(kept.Raw)
	}
	if kept.Settings >= 0 {
		s.Settings = r.Settings[kept.Settings]
	}
	return s
}

// forward is what a step does, undo what undoes it, in the order to run them in.
func (r *record) forward(step int) []Statement {
	var list []Statement
	for _, kept := range r.Steps[step].Do {
		list = append(list, r.statement(kept))
	}
	return list
}

func (r *record) undo(step int) []Statement {
	var list []Statement
	for _, kept := range slices.Backward(r.Steps[step].Undo) {
		list = append(list, r.statement(kept))
	}
	return list
}

func (r *record) shards() []ring.ShardID {
	var shards []ring.ShardID
	for _, s := range r.Steps {
		shards = append(shards, s.Shard)
	}
	return shards
}

func (r *record) encode() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode saga: %w", err)
	}
	return text, nil
}

func decodeRecord(text []byte) (*record, error) {
	r := &record{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("decode saga: %w", err)
	}
	for _, step := range r.Steps {
		for _, s := range slices.Concat(step.Do, step.Undo) {
			if s.Settings < -1 || s.Settings >= len(r.Settings) {
				return nil, fmt.Errorf("decode saga: settings %d of %d", s.Settings, len(r.Settings))
			}
		}
	}
	return r, nil
}

// keyHash is what makes a key unique; nil without a key.
func (r *record) keyHash() []byte {
	if r.Key == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(r.User + "\x00" + r.Key))
	return sum[:]
}

// newID names a saga. The home is part of the name, so that everybody knows where to ask.
func newID(home ring.ShardID) string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (package crypto/rand)
	return hex.EncodeToString(random[:]) + "." + string(home)
}

// homeOf is the inverse of newID.
func homeOf(id string) (ring.ShardID, error) {
	name, home, found := strings.Cut(id, ".")
	if raw, err := hex.DecodeString(name); !found || err != nil || len(raw) != 16 || home == "" {
		return "", &InvalidError{Reason: fmt.Sprintf("%q is not the id of a saga", id)}
	}
	return ring.ShardID(home), nil
}

// prove signs a message with a shard's secret, as pgring.saga_check wants it.
func prove(secret []byte, message []byte) []byte {
	inner := sha256.Sum256(slices.Concat(secret, message))
	outer := sha256.Sum256(slices.Concat(secret, inner[:]))
	return outer[:]
}

// op is what a barrier row is about.
type op string

const (
	opAction  op = "a" // the step's own work
	opUndo    op = "c"
	opForward op = "r" // a retriable step, after its own work was fenced
)

func markProof(secret []byte, id string, step int, what op) []byte {
	return prove(secret, fmt.Appendf(nil, "mark %s %d %s", what, step, id))
}

const markSQL = "SELECT pgring.saga_mark($1, $2, $3, $4)"

// String is the statement for people: its text, and its parameters behind it.
func (s Statement) String() string {
	var b strings.Builder
	b.WriteString(strings.ToValidUTF8(s.SQL, "�"))
	for i, value := range s.Values {
		if i == 0 {
			b.WriteString(" -- ")
		} else {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d = %s", i+1, s.show(i, value))
	}
	return b.String()
}

// The types whose binary form people can be spared.
const (
	oidInt8 = 20
	oidInt2 = 21
	oidInt4 = 23
)

func (s Statement) show(i int, value []byte) string {
	if value == nil {
		return "NULL"
	}
	if s.format(i) == 0 {
		return quote(string(bytes.ToValidUTF8(value, []byte("�"))))
	}
	var typ uint32
	if i < len(s.Types) {
		typ = s.Types[i]
	}
	switch {
	case typ == oidInt8 && len(value) == 8:
		return fmt.Sprint(int64(binary.BigEndian.Uint64(value)))
	case typ == oidInt4 && len(value) == 4:
		return fmt.Sprint(int32(binary.BigEndian.Uint32(value)))
	case typ == oidInt2 && len(value) == 2:
		return fmt.Sprint(int16(binary.BigEndian.Uint16(value)))
	}
	return `'\x` + hex.EncodeToString(value) + "'"
}

// format is a parameter's, by the rule of Bind.
func (s Statement) format(i int) int16 {
	switch {
	case len(s.Formats) == 1:
		return s.Formats[0]
	case i < len(s.Formats):
		return s.Formats[i]
	}
	return 0
}
