package codecheck

import (
	"go/ast"
	"slices"
	"strings"
)

// checkPackage wants one doc.go that says what the package is, and a name that says something.
func (c *checker) checkPackage(folder *folder) {
	var code []*file
	for _, f := range folder.files {
		if !f.test {
			code = append(code, f)
		}
	}
	if len(code) == 0 {
		return
	}
	first := code[0]
	name := first.tree.Name.Name
	if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc"}, name) {
		c.report(first, first.tree.Name.Pos(), "package-name", "%q says nothing; the code has another home", name)
	}
	if name == "main" {
		return
	}
	at := slices.IndexFunc(code, func(f *file) bool { return strings.HasSuffix("/"+f.path, "/doc.go") })
	if at < 0 {
		c.report(first, first.tree.Name.Pos(), "package-doc", "package %s has no doc.go", name)
		return
	}
	if !strings.HasPrefix(code[at].tree.Doc.Text(), "Package "+name+" ") {
		c.report(code[at], code[at].tree.Name.Pos(), "package-doc", "the comment of package %s does not start with %q", name, "Package "+name)
	}
}

// checkDocs wants a sentence on everything exported.
func (c *checker) checkDocs(f *file) {
	if f.test || f.tree.Name.Name == "main" {
		return
	}
	for _, declaration := range f.tree.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			c.checkFunctionDoc(f, d)
		case *ast.GenDecl:
			c.checkGroupDoc(f, d)
		}
	}
}

func (c *checker) checkFunctionDoc(f *file, d *ast.FuncDecl) {
	if !d.Name.IsExported() {
		return
	}
	if d.Recv != nil && (!ast.IsExported(receiver(d)) || d.Doc == nil && conventional(d.Name.Name)) {
		return
	}
	c.wantSentence(f, d.Name, d.Doc)
}

// receiver is the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	expression := d.Recv.List[0].Type
	for {
		switch t := expression.(type) {
		case *ast.StarExpr:
			expression = t.X
		case *ast.IndexExpr:
			expression = t.X
		case *ast.IndexListExpr:
			expression = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// conventional methods implement an interface that everybody knows, so a comment would repeat its documentation.
func conventional(name string) bool {
	return slices.Contains([]string{"String", "Error", "Unwrap", "Is", "Read", "Write", "Close", "ServeHTTP", "Len", "Less", "Swap",
		"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText", "MarshalYAML", "UnmarshalYAML", "LogValue", "Describe", "Collect"}, name)
}

// checkGroupDoc: in a group in parentheses each name has its own comment or shares the group's.
func (c *checker) checkGroupDoc(f *file, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		var names []*ast.Ident
		var doc, trailing *ast.CommentGroup
		switch s := spec.(type) {
		case *ast.TypeSpec:
			names, doc, trailing = []*ast.Ident{s.Name}, s.Doc, nil
		case *ast.ValueSpec:
			names, doc, trailing = s.Names, s.Doc, s.Comment
		}
		for _, name := range names {
			switch {
			case !name.IsExported():
			case !d.Lparen.IsValid():
				c.wantSentence(f, name, d.Doc)
			case d.Doc == nil && doc == nil && trailing == nil:
				c.report(f, name.Pos(), "doc", "%s has no comment, and neither has its group", name.Name)
			}
		}
	}
}

func (c *checker) wantSentence(f *file, name *ast.Ident, doc *ast.CommentGroup) {
	text := doc.Text()
	if text == "" {
		c.report(f, name.Pos(), "doc", "%s has no comment", name.Name)
		return
	}
	rest := text
	for _, article := range []string{"A ", "An ", "The "} {
		rest = strings.TrimPrefix(rest, article)
	}
	after, starts := strings.CutPrefix(rest, name.Name)
	if !starts || after == strings.TrimLeft(after, " ,:;'\n") {
		c.report(f, name.Pos(), "doc", "the comment of %s does not start with its name", name.Name)
		return
	}
	if !strings.ContainsAny(text, ".:") {
		c.report(f, name.Pos(), "doc", "the comment of %s is no sentence", name.Name)
	}
}
