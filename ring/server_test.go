package ring

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgring/pgring/internal/pgtest"
)

var writeVectors = flag.Bool("write-vectors", false, "rewrite testdata/hash from the answers of the server")

// sqlTypes names each key type in SQL, with the function that writes its binary format.
var sqlTypes = []struct {
	key        KeyType
	name, send string
}{
	{KeyInt, "int8", "int8send"},
	{KeyText, "text", "textsend"},
	{KeyUUID, "uuid", "uuid_send"},
	{KeyTimestamp, "timestamp", "timestamp_send"},
	{KeyTimestampTZ, "timestamptz", "timestamptz_send"},
	{KeyNumeric, "numeric", "numeric_send"},
	{KeyBytea, "bytea", "byteasend"},
}

// vector is PostgreSQL's answer to one text, a line of testdata/hash/*.jsonl.
type vector struct {
	Text   string `json:"text"`
	Code   string `json:"code,omitempty"` // SQLSTATE, when it refuses the text; the other fields mean nothing then
	Binary string `json:"binary"`         // hex digits
	Hash   int64  `json:"hash"`
	Slot   Slot   `json:"slot"`
	output string // the value as the server prints it in its session
}

// probe creates a function that asks the server what it makes of a text, and SlotExpr of the result.
func probe(t *testing.T, conn *pgx.Conn, typ KeyType, name, send string) {
	t.Helper()
	hash := SlotExpr(typ, "v")
	hash = hash[len("((") : len(hash)-len(" >> 50) & 16383::bigint)")]
	_, err := conn.Exec(t.Context(), fmt.Sprintf(`
		CREATE FUNCTION pg_temp.probe_%[1]s(x text, OUT code text, OUT bin bytea, OUT hash bigint, OUT slot bigint, OUT output text) AS $$
		DECLARE v %[1]s;
		BEGIN
			v := x::%[1]s;
			bin := %[2]s(v); hash := %[3]s; slot := %[4]s; output := v::text;
		EXCEPTION WHEN others THEN code := SQLSTATE;
		END $$ LANGUAGE plpgsql`, name, send, hash, SlotExpr(typ, "v")))
	if err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, conn *pgx.Conn, name string, texts []string) []vector {
	t.Helper()
	rows, err := conn.Query(t.Context(), fmt.Sprintf(`SELECT x, coalesce(code, ''), coalesce(encode(bin, 'hex'), ''),
		coalesce(hash, 0), coalesce(slot, 0), coalesce(output, '')
		FROM unnest($1::text[]) WITH ORDINALITY AS u(x, n), pg_temp.probe_%s(x) ORDER BY n`, name), texts)
	if err != nil {
		t.Fatal(err)
	}
	vectors, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v vector, err error) {
		return v, row.Scan(&v.Text, &v.Code, &v.Binary, &v.Hash, &v.Slot, &v.output)
	})
	if err != nil {
		t.Fatal(err)
	}
	return vectors
}

// check compares our reading of a text with the server's. It reports whether we understood the text.
func (v vector) check(t *testing.T, typ KeyType) bool {
	t.Helper()
	k, err := ParseKey(typ, []byte(v.Text))
	var keyError *KeyError
	switch {
	case err != nil && !errors.As(err, &keyError):
		t.Errorf("%v %q: error without a class: %v", typ, v.Text, err)
	case err != nil && !keyError.Understood():
		return false
	case v.Code != "" && (err == nil || keyError.Code != v.Code):
		t.Errorf("%v %q: server says %s, we say %v, %v", typ, v.Text, v.Code, k, err)
	case v.Code != "":
	case err != nil:
		t.Errorf("%v %q: the server accepts it, we say %v", typ, v.Text, err)
	case int64(k.Hash()) != v.Hash || k.Slot() != v.Slot:
		t.Errorf("%v %q: hash %d slot %d, not %d, %d", typ, v.Text, int64(k.Hash()), k.Slot(), v.Hash, v.Slot)
	default:
		v.checkBinary(t, k)
	}
	return true
}

func (v vector) checkBinary(t *testing.T, k Key) {
	t.Helper()
	bin, err := hex.DecodeString(v.Binary)
	if err != nil {
		t.Fatal(err)
	}
	b, err := DecodeKey(k.typ, bin)
	if err != nil || b.Compare(k) != 0 || int64(b.Hash()) != v.Hash {
		t.Errorf("%v %q: binary %s is %v (%v)", k.typ, v.Text, v.Binary, b, err)
	}
	again, err := ParseKey(k.typ, []byte(k.String()))
	if err != nil || again.Compare(k) != 0 {
		t.Errorf("%v %q is printed as %q, which is %v (%v)", k.typ, v.Text, k, again, err)
	}
}

func vectorFile(typ KeyType) string { return "../testdata/hash/" + typ.String() + ".jsonl" }

func readVectors(t testing.TB, typ KeyType) []vector {
	t.Helper()
	f, err := os.Open(vectorFile(typ))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var vectors []vector
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		vectors = append(vectors, v)
	}
	return vectors
}

func TestVectors(t *testing.T) {
	for _, typ := range sqlTypes {
		vectors := readVectors(t, typ.key)
		if len(vectors) < 200 {
			t.Errorf("%v: only %d vectors", typ.key, len(vectors))
		}
		for _, v := range vectors {
			v.check(t, typ.key)
		}
	}
}

// TestVectorsMatchServer compares us with a live server: texts it accepts and refuses, their binary form, hash, slot and
// order. With -write-vectors it also rewrites testdata/hash.
func TestVectorsMatchServer(t *testing.T) {
	conn := pgtest.Start(t, 1)[0].Connect(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, typ := range sqlTypes {
		probe(t, conn, typ.key, typ.name, typ.send)
		texts := append(edgeTexts(typ.key), randomTexts(typ.key, 4000, rand.New(rand.NewPCG(seed, uint64(typ.key))))...)
		if *writeVectors {
			fixed := randomTexts(typ.key, 250, rand.New(rand.NewPCG(1, uint64(typ.key))))
			saveVectors(t, typ.key, ask(t, conn, typ.name, append(edgeTexts(typ.key), fixed...)))
		}
		understood, accepted := 0, []string{}
		for _, v := range ask(t, conn, typ.name, texts) {
			if v.check(t, typ.key) {
				understood++
				checkOutput(t, typ.key, v)
			}
			if _, err := ParseKey(typ.key, []byte(v.Text)); err == nil {
				accepted = append(accepted, v.Text)
			}
		}
		t.Logf("%v: %d texts, %d understood, %d accepted", typ.key, len(texts), understood, len(accepted))
		if len(accepted) < 2000 {
			t.Errorf("%v: only %d of the texts are valid", typ.key, len(accepted))
		}
		checkOrder(t, conn, typ.key, typ.name, accepted)
	}
}

// checkOutput reads what the server prints.
func checkOutput(t *testing.T, typ KeyType, v vector) {
	t.Helper()
	if v.Code != "" {
		return
	}
	k, err := ParseKey(typ, []byte(v.output))
	if err != nil || int64(k.Hash()) != v.Hash {
		t.Errorf("%v %q: printed as %q, which is %v (%v)", typ, v.Text, v.output, k, err)
	}
}

// checkOrder lets the server sort the values and number them, equal ones alike.
func checkOrder(t *testing.T, conn *pgx.Conn, typ KeyType, name string, texts []string) {
	t.Helper()
	collate := ""
	if typ == KeyText {
		collate = ` COLLATE "C"`
	}
	rows, err := conn.Query(t.Context(), fmt.Sprintf(
		`SELECT x, dense_rank() OVER (ORDER BY x::%s%s) AS rank FROM unnest($1::text[]) x ORDER BY rank`, name, collate), texts)
	if err != nil {
		t.Fatal(err)
	}
	type ranked struct {
		Text string
		Rank int
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ranked])
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(all); i++ {
		a, b := key(t, typ, all[i-1].Text), key(t, typ, all[i].Text)
		want := 0
		if all[i-1].Rank < all[i].Rank {
			want = -1
		}
		if got := a.Compare(b); got != want {
			t.Errorf("%v: %q compared with %q is %d, the server says %d", typ, all[i-1].Text, all[i].Text, got, want)
		}
	}
}

func saveVectors(t *testing.T, typ KeyType, vectors []vector) {
	t.Helper()
	var lines []byte
	for _, v := range vectors {
		if len(v.Text) > 2000 {
			continue // the live test has the long ones
		}
		line, err := v.line()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if err := os.WriteFile(vectorFile(typ), lines, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (v vector) line() ([]byte, error) {
	if v.Code == "" {
		return json.Marshal(v)
	}
	return json.Marshal(struct {
		Text string `json:"text"`
		Code string `json:"code"`
	}{v.Text, v.Code})
}

// What a text means must not depend on the session where we claim to understand it.
func TestSessionSettingsDoNotMatter(t *testing.T) {
	conn := pgtest.Start(t, 1)[0].Connect(t)
	rnd := rand.New(rand.NewPCG(7, 7))
	for _, settings := range []string{
		"SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German, DMY'",
		"SET TimeZone = 'America/St_Johns'; SET DateStyle = 'SQL, MDY'; SET timezone_abbreviations = 'Australia'",
		"SET TimeZone = 'UTC'; SET DateStyle = 'Postgres, YMD'; SET bytea_output = 'escape'; SET extra_float_digits = 0",
	} {
		if _, err := conn.Exec(t.Context(), "DISCARD TEMP; RESET ALL; "+settings); err != nil {
			t.Fatal(err)
		}
		for _, typ := range sqlTypes {
			probe(t, conn, typ.key, typ.name, typ.send)
			for _, v := range ask(t, conn, typ.name, append(edgeTexts(typ.key), randomTexts(typ.key, 300, rnd)...)) {
				v.check(t, typ.key)
			}
		}
	}
}

// SlotExpr is used in indexes, triggers and row filters on columns of each type a key can have.
func TestSlotExprWorksOnColumnsAndIsImmutable(t *testing.T) {
	conn := pgtest.Start(t, 1)[0].Connect(t)
	oids := map[uint32]string{21: "42", 23: "42", 20: "42", 25: "abc", 1043: "abc", 2950: "00000000-0000-0000-0000-000000000001",
		1114: "2024-02-29 12:00:00", 1184: "2024-02-29 12:00:00+01", 1700: "42.50", 17: `\x00ff`}
	for oid, text := range oids {
		typ, ok := KeyTypeOf(oid)
		if !ok {
			t.Fatalf("oid %d is no key type", oid)
		}
		expr, table := SlotExpr(typ, `"Key"`), fmt.Sprintf("t%d", oid)
		var column string
		if err := conn.QueryRow(t.Context(), "SELECT format_type($1, NULL)", oid).Scan(&column); err != nil {
			t.Fatal(err)
		}
		sql := fmt.Sprintf(`CREATE TABLE %[1]s ("Key" %[2]s); CREATE INDEX ON %[1]s ((%[3]s)); INSERT INTO %[1]s VALUES ('%[4]s'), (NULL)`,
			table, column, expr, text)
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", column, err)
			continue
		}
		var slot Slot
		err := conn.QueryRow(t.Context(), fmt.Sprintf("SELECT %s FROM %s WHERE %[1]s IS NOT NULL", expr, table)).Scan(&slot)
		if want := key(t, typ, text).Slot(); err != nil || slot != want {
			t.Errorf("%s: slot %d (%v), not %d", column, slot, err, want)
		}
	}
	if _, ok := KeyTypeOf(1042); ok {
		t.Error("char(n) is a key type")
	}
}

func TestSmallIntsHashAsBigOnes(t *testing.T) {
	conn := pgtest.Start(t, 1)[0].Connect(t)
	for _, n := range []int16{0, 1, -1, 42, -32768, 32767} {
		rows, err := conn.Query(t.Context(), `SELECT int2send($1::int2), hashint2extended($1::int2, 0) UNION ALL
			SELECT int4send($1::int2), hashint4extended($1::int2, 0) UNION ALL SELECT int8send($1::int2), hashint8extended($1::int2, 0)`, n)
		if err != nil {
			t.Fatal(err)
		}
		type answer struct {
			Binary []byte
			Hash   int64
		}
		answers, err := pgx.CollectRows(rows, pgx.RowToStructByPos[answer])
		if err != nil {
			t.Fatal(err)
		}
		same := slices.IndexFunc(answers, func(a answer) bool {
			k, err := DecodeKey(KeyInt, a.Binary)
			return err != nil || k.Compare(intKey(int64(n))) != 0 || int64(k.Hash()) != a.Hash
		})
		if same >= 0 || len(answers) != 3 {
			t.Errorf("%d: answer %d of %v differs", n, same, answers)
		}
	}
}

// What the server makes of a bound parameter, well formed or not, we make of it too.
func TestServerRefusesTheSameBinaries(t *testing.T) {
	conn := pgtest.Start(t, 1)[0].Connect(t)
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	refused := 0
	for range 1000 {
		bin := randomNumericBinary(rnd)
		ours, err := DecodeKey(KeyNumeric, bin)
		result := conn.PgConn().ExecParams(t.Context(), "SELECT "+"hash_numeric_extended($1, 0)::text, $1::text",
			[][]byte{bin}, []uint32{1700}, []int16{1}, nil).Read()
		var keyError *KeyError
		switch {
		case result.Err != nil:
			refused++
			if !errors.As(err, &keyError) || !keyError.Understood() {
				t.Errorf("%x: server says %v, we say %v, %v", bin, result.Err, ours, err)
			}
		case err != nil:
			t.Errorf("%x: server says %s, we say %v", bin, result.Rows[0][1], err)
		case fmt.Sprint(int64(ours.Hash())) != string(result.Rows[0][0]), ours.Compare(key(t, KeyNumeric, string(result.Rows[0][1]))) != 0:
			t.Errorf("%x: server says %s, we say %v", bin, result.Rows[0][1], ours)
		}
	}
	if refused < 50 || refused > 900 {
		t.Errorf("%d of 1000 were refused", refused)
	}
}
