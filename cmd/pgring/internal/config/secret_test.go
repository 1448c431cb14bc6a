package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

func TestSecretsAreNeverPrinted(t *testing.T) {
	secret := PlainSecret("hunter2")
	login := Login{User: "u", Password: secret}
	hidden := struct{ s Secret }{secret} // fmt does not call the methods of unexported fields
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%o", "%U", "%20s"} {
		fmt.Fprintf(&out, verb+"\n", secret)
		fmt.Fprintf(&out, verb+"\n", &secret)
		fmt.Fprintf(&out, verb+"\n", login)
		fmt.Fprintf(&out, verb+"\n", hidden)
		fmt.Fprintf(&out, verb+"\n", []any{secret})
	}
	text, err := json.Marshal(login)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", secret, "login", login, "hidden", hidden)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", secret, "login", login, "hidden", hidden)
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), fmt.Sprintf("%d", []byte("hunter2"))} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is printed:\n%s", leak, out.String())
		}
	}
	if !strings.Contains(out.String(), Mask) {
		t.Errorf("no mask is printed:\n%s", out.String())
	}
}

func TestUnsetSecretPrintsNothing(t *testing.T) {
	if got := fmt.Sprint(Secret{}, Secret{}.Reveal(), Secret{}.Source()); strings.TrimSpace(got) != "" {
		t.Errorf("got %q", got)
	}
}

// RELOAD loads the file again, and with it the secrets.
func TestLoadReadsSecretsAgain(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pgring.yaml", minimal("{file: secret}"))
	path := filepath.Join(folder, "pgring.yaml")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "read secret") {
		t.Errorf("without the secret's file: %v", err)
	}
	var configs []*Config
	for _, password := range []string{"first\n", "second\r\n"} {
		write("secret", password)
		cfg, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Auth.Users[0].Password.Reveal(); got != strings.TrimSpace(password) {
			t.Errorf("password = %q, want that of %q", got, password)
		}
		configs = append(configs, cfg)
	}
	changes, err := Compare(configs[0], configs[1])
	if err != nil {
		t.Fatal(err)
	}
	if got := outcomes(changes)["auth.users[app].password"]; got != Applied {
		t.Errorf("the changed password is %q", got)
	}
	write("secret", strings.Repeat("x", 65<<10))
	if _, err := Load(path); err == nil {
		t.Error("a secret of more than 64KiB is accepted")
	}
	write("secret", "\n")
	if _, err := Load(path); err == nil {
		t.Error("an empty secret is accepted")
	}
}

// minimal is the smallest file that is complete.
func minimal(password string) string {
	return `version: 1
auth: {users: [{name: app, password: ` + password + `}]}
backend: {user: app, database: app}
shards: [{name: s1, host: localhost}]
`
}

func TestVariablesExpandInValuesOnly(t *testing.T) {
	env := Env{Lookup: func(name string) (string, bool) {
		v, ok := map[string]string{"A": "a", "EMPTY": "", "DOLLAR": "${A}", "PORT": "6000", "ON": "true"}[name]
		return v, ok
	}}
	for text, want := range map[string]string{
		"${A}": "a", "x${A}y${A}": "xaya", "${B:-fall back}": "fall back", "${EMPTY:-x}": "x", "${B:-}y": "y", "$$": "$", "$${A}": "${A}",
		"$A": "$A", "a$": "a$", "${DOLLAR}": "${A}", "${A:-${B}": "a", "$$$${A}$$": "$${A}$",
	} {
		file := strings.Replace(minimal("x"), "database: app", `database: "`+text+`"`, 1)
		cfg, err := Parse("x", []byte(file), env)
		if err != nil || cfg.Backend.Database != want {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	file := minimal("x") + "${A}: 1\n"
	if _, err := Parse("x", []byte(file), env); err == nil || !strings.Contains(err.Error(), `unknown key "${A}"`) {
		t.Errorf("a variable as a key: %v", err)
	}
	cfg, err := Parse("x", []byte(minimal("x")+"listen: {sql: \"127.0.0.1:${PORT}\"}\npool: {size: \"${PORT}\"}\nobserve:\n  pprof: ${ON}\n"), env)
	if err != nil || cfg.Pool.Size != 6000 || !cfg.Observe.Pprof || cfg.Listen.SQL != "127.0.0.1:6000" {
		t.Errorf("variables as numbers: %v", err)
	}
}

func TestHashedPasswordLogsIn(t *testing.T) {
	for _, password := range []string{"pencil", "pass$$word", "IX \u00ad", "\u0000bell\u0007", "ünïcode", strings.Repeat("long", 200)} {
		verifier, err := HashPassword(password)
		if err != nil {
			t.Fatalf("%q: %v", password, err)
		}
		keys, err := ParseVerifier(verifier)
		if err != nil || !IsVerifier(verifier) {
			t.Fatalf("%q: %v", verifier, err)
		}
		if err := logIn(password, keys); err != nil {
			t.Errorf("%q does not log in: %v", password, err)
		}
		if err := logIn(password+"x", keys); err == nil {
			t.Errorf("%q logs in with another password", password)
		}
	}
	if _, err := HashPassword(""); err == nil {
		t.Error("an empty password is accepted")
	}
}

// logIn plays both sides of a SCRAM exchange.
func logIn(password string, keys scram.StoredCredentials) error {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		if client, err = scram.SHA256.NewClientUnprepped("", password, ""); err != nil {
			return err
		}
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return keys, nil })
	if err != nil {
		return err
	}
	c, s := client.NewConversation(), server.NewConversation()
	message := ""
	for !c.Done() || !s.Done() {
		if message, err = c.Step(message); err != nil || c.Done() && message == "" {
			return errors.Join(err, check(s.Valid(), "the server refuses"))
		}
		if message, err = s.Step(message); err != nil {
			return err
		}
	}
	return check(s.Valid() && c.Valid(), "the exchange is not valid")
}

func check(ok bool, message string) error {
	if ok {
		return nil
	}
	return errors.New(message)
}

// PostgreSQL's own documentation form of a verifier: with this salt, "pencil" of RFC 7677 gives its keys.
func TestVerifierOfRFC7677(t *testing.T) {
	verifier, err := hashWithSalt("pencil", []byte("\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if verifier != want {
		t.Errorf("verifier = %s, want %s", verifier, want)
	}
}

func TestBrokenVerifiers(t *testing.T) {
	for _, text := range []string{"", "pencil", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:W22Z$x:y", "SCRAM-SHA-256$0:W22Z$" + strings.Repeat("A", 43) + "=:" + strings.Repeat("A", 43) + "=", "SCRAM-SHA-1$4096:a$b:c"} {
		if _, err := ParseVerifier(text); err == nil {
			t.Errorf("ParseVerifier(%q) accepts", text)
		}
	}
}
