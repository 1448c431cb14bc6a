package codecheck

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Problem is one broken rule at one place.
type Problem struct {
	// File is the path below the root, with slashes.
	File string
	// Line counts from 1.
	Line int
	// Rule is the short name of the rule.
	Rule string
	// Text says what is wrong there and what would be right.
	Text string
}

func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Rule, p.Text) }

// file is one parsed source file.
type file struct {
	path  string // below the root, with slashes
	dir   string // of path; "." at the root
	test  bool
	lines int
	set   *token.FileSet
	tree  *ast.File
}

// folder is the files of one directory, tests included.
type folder struct {
	dir   string
	files []*file
}

// checker collects what the rules find.
type checker struct {
	module   string
	problems []Problem
}

// Check applies every rule to the Go files below root, which belong to the module of that path, and returns the problems
// in the order of files and lines. Folders that the go command ignores, and generated files, are left out.
func Check(root, module string) ([]Problem, error) {
	folders, err := load(root)
	if err != nil {
		return nil, err
	}
	if len(folders) == 0 {
		return nil, fmt.Errorf("read sources: no Go file below %s", root)
	}
	c := &checker{module: module}
	for _, folder := range folders {
		c.checkPackage(folder)
		c.checkState(folder)
		for _, f := range folder.files {
			c.checkImports(f)
			c.checkSize(f)
			c.checkDocs(f)
			c.checkCalls(f)
			c.checkComments(f)
		}
	}
	slices.SortFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Text, b.Text))
	})
	return c.problems, nil
}

func (c *checker) report(f *file, at token.Pos, rule, format string, args ...any) {
	line := 1
	if at.IsValid() {
		line = f.set.Position(at).Line
	}
	c.problems = append(c.problems, Problem{File: f.path, Line: line, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// load parses everything below root and groups it by directory.
func load(root string) ([]*folder, error) {
	byDir := map[string]*folder{}
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != root && ignored(entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || ignored(entry.Name()) {
			return nil
		}
		f, err := parse(set, root, name)
		if err != nil || f == nil {
			return err
		}
		if byDir[f.dir] == nil {
			byDir[f.dir] = &folder{dir: f.dir}
		}
		byDir[f.dir].files = append(byDir[f.dir].files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	folders := make([]*folder, 0, len(byDir))
	for _, folder := range byDir {
		folders = append(folders, folder)
	}
	return folders, nil
}

// ignored follows the go command.
func ignored(name string) bool {
	return name == "testdata" || name == "vendor" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// parse returns nil for a generated file.
func parse(set *token.FileSet, root, name string) (*file, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	tree, err := parser.ParseFile(set, name, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(tree) {
		return nil, nil
	}
	below, err := filepath.Rel(root, name)
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(below)
	return &file{
		path:  slashed,
		dir:   path.Dir(slashed),
		test:  strings.HasSuffix(slashed, "_test.go"),
		lines: bytes.Count(text, []byte("\n")),
		set:   set,
		tree:  tree,
	}, nil
}

// importName is the name by which a file uses a package, "" when it does not import it.
func (f *file) importName(importPath string) string {
	for _, spec := range f.tree.Imports {
		if strings.Trim(spec.Path.Value, `"`) != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}
