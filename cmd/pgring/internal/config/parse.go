package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Env is what a configuration may refer to outside its own text.
type Env struct {
	// Lookup returns an environment variable; nil = there are none.
	Lookup func(name string) (string, bool)
	// ReadFile returns a secret file; nil = there are none.
	ReadFile func(path string) ([]byte, error)
}

// OSEnv returns the environment and files of this process.
func OSEnv() Env { return Env{Lookup: os.LookupEnv, ReadFile: readSecretFile} }

// Load reads and checks the file at path with the process's environment. A fault of the file's text is an *Error.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, text, OSEnv())
}

// Bounds on what is parsed at all: the YAML parser recurses.
const (
	maxFileBytes = 4 << 20
	maxNesting   = 32
)

// Parse checks the text of a file called name, from whose folder relative paths are taken. It returns either a complete
// Config or an *Error with everything that is wrong.
func Parse(name string, text []byte, env Env) (*Config, error) {
	src := newSource(name, string(text))
	if len(text) > maxFileBytes {
		return nil, &Error{Problems: []Problem{src.problem(spot{line: 1, column: 1}, "the file is larger than 4MiB", "")}}
	}
	root, problem := parseTree(src, text)
	if problem != nil {
		return nil, &Error{Problems: []Problem{*problem}}
	}
	d := newDecoder(src, env, folderOf(name))
	cfg := Default()
	cfg.Version = 0
	d.section(root, reflect.ValueOf(cfg).Elem(), key{}, "")
	(&checker{decoder: d, cfg: cfg}).check()
	problems, warnings := d.results()
	if len(problems) > 0 {
		return nil, &Error{Problems: problems}
	}
	cfg.warnings = warnings
	return cfg, nil
}

// folderOf returns the absolute folder of a file, so that paths go on working wherever they are written to.
func folderOf(name string) string {
	folder, err := filepath.Abs(filepath.Dir(name))
	if err != nil { // the working directory is gone
		return filepath.Dir(name)
	}
	return folder
}

// parseTree returns the document's top node; nil means that the file says nothing.
func parseTree(src *source, text []byte) (root ast.Node, problem *Problem) {
	fault := func(at spot, message, hint string) (ast.Node, *Problem) {
		src.guess = true
		p := src.problem(at, message, hint)
		return nil, &p
	}
	defer func() {
		// The parser is not ours and has panicked on odd input before; a broken file must not end a running proxy at RELOAD.
		if recover() != nil {
			root, problem = fault(spot{line: 1, column: 1}, "this is not YAML that pgring can read", "")
		}
	}()
	tokens := lexer.Tokenize(string(text))
	if tk := tooDeep(tokens); tk != nil {
		return fault(spotOf(tk), "the file nests too deeply", "")
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, message := spot{line: 1, column: 1}, "this is not YAML"
		if syntax, ok := err.(yaml.Error); ok && syntax.GetToken() != nil {
			at, message = spotOf(syntax.GetToken()), "not valid YAML: "+syntax.GetMessage()
		}
		return fault(at, message, syntaxHint(src, at))
	}
	var documents []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			documents = append(documents, doc.Body)
		}
	}
	if len(documents) > 1 {
		return fault(spotOf(nodeToken(documents[1])), "a second YAML document starts here", "one file holds one configuration")
	}
	if len(documents) == 0 {
		return nil, nil
	}
	return documents[0], nil
}

// syntaxHint explains the one mistake that ${VAR} invites.
func syntaxHint(src *source, at spot) string {
	if at.line <= len(src.lines) && at.line > 0 && strings.Contains(src.lines[at.line-1], "${") {
		return `inside { } and [ ] a value with ${ } needs quotes: "${NAME}"`
	}
	return ""
}

// tooDeep finds the token at which nesting exceeds what the recursive parser is trusted with: brackets within brackets, or
// many of "- - -" on one line. Nesting by indentation is bounded by the size of the file.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, openers, line := 0, 0, 0
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, openers = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets = max(0, brackets-1)
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			openers++
		default:
		}
		if brackets > maxNesting || openers > maxNesting && brackets == 0 {
			return tk
		}
	}
	return nil
}

// readSecretFile reads a small file; a secret is never a device or something huge.
func readSecretFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > 64<<10 {
		return nil, fmt.Errorf("%s is larger than 64KiB", path)
	}
	return os.ReadFile(path)
}
