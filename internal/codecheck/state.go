package codecheck

import (
	"go/ast"
	"go/token"
	"path"
	"strings"
)

// checkState finds init functions and package variables that change: assigned anywhere but in their declaration, tests
// included, or of a type made to change. Sentinel errors, compiled expressions and lookup tables stay legal.
func (c *checker) checkState(folder *folder) {
	variables := map[string]ast.Node{} // the declaration by name
	for _, f := range folder.files {
		for _, declaration := range f.tree.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					c.report(f, d.Pos(), "init", "init runs before anybody can decide; use a constructor")
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR && !f.test {
					c.collectVariables(f, d, variables)
				}
			}
		}
	}
	for _, f := range folder.files {
		c.checkAssignments(f, variables)
	}
}

func (c *checker) collectVariables(f *file, d *ast.GenDecl, variables map[string]ast.Node) {
	for _, spec := range d.Specs {
		s := spec.(*ast.ValueSpec)
		for _, name := range s.Names {
			if name.Name == "_" {
				continue
			}
			variables[name.Name] = s
			if kind := f.changing(s); kind != "" {
				c.report(f, name.Pos(), "package-var", "%s is a package variable made to change (%s); put it into a struct", name.Name, kind)
			}
		}
	}
}

// changing names what in a declaration shows that the variable is there to change, "" when nothing does.
func (f *file) changing(s *ast.ValueSpec) string {
	expressions := append([]ast.Expr{s.Type}, s.Values...)
	for _, e := range expressions {
		switch e := e.(type) {
		case *ast.CallExpr:
			if name, ok := e.Fun.(*ast.Ident); ok && (name.Name == "make" || name.Name == "new") {
				return name.Name
			}
			continue // what any other call returns is judged by the assignments
		case *ast.UnaryExpr:
			if lit, ok := e.X.(*ast.CompositeLit); ok {
				if kind := f.synchronized(lit.Type); kind != "" {
					return kind
				}
			}
		case *ast.CompositeLit:
			if kind := f.synchronized(e.Type); kind != "" {
				return kind
			}
		default:
			if kind := f.synchronized(e); kind != "" {
				return kind
			}
		}
	}
	return ""
}

// synchronized finds the types of sync and sync/atomic. A sync.Pool is none: no program can see its state.
func (f *file) synchronized(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if index, ok := e.(*ast.IndexExpr); ok { // atomic.Pointer[T]
		e = index.X
	}
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	name, ok := selector.X.(*ast.Ident)
	if !ok || name.Name != f.importName("sync") && name.Name != f.importName("sync/atomic") || selector.Sel.Name == "Pool" {
		return ""
	}
	return name.Name + "." + selector.Sel.Name
}

// checkAssignments reports every statement that changes one of the variables, or one of another package of ours.
func (c *checker) checkAssignments(f *file, variables map[string]ast.Node) {
	change := func(target ast.Expr) {
		if name := c.changed(f, target, variables); name != "" {
			c.report(f, target.Pos(), "package-var", "%s is a package variable and is changed here; put it into a struct", name)
		}
	}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, target := range n.Lhs {
					change(target)
				}
			}
		case *ast.IncDecStmt:
			change(n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				change(n.Key)
				change(n.Value)
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				change(n.X)
			}
		case *ast.CallExpr:
			if name, ok := n.Fun.(*ast.Ident); ok && (name.Name == "delete" || name.Name == "clear") && len(n.Args) > 0 {
				change(n.Args[0])
			}
		}
		return true
	})
}

// changed is the package variable that an assignment to the expression would change, "" when it is something else.
func (c *checker) changed(f *file, target ast.Expr, variables map[string]ast.Node) string {
	for {
		switch t := target.(type) {
		case *ast.ParenExpr:
			target = t.X
		case *ast.IndexExpr:
			target = t.X
		case *ast.StarExpr:
			target = t.X
		case *ast.SelectorExpr:
			if name, ok := t.X.(*ast.Ident); ok && name.Obj == nil && c.importsOurs(f, name.Name) {
				return name.Name + "." + t.Sel.Name
			}
			target = t.X
		case *ast.Ident:
			return variableName(t, variables)
		default:
			return ""
		}
	}
}

// variableName tells a package variable from a local one of the same name: the parser has resolved names within the file.
func variableName(name *ast.Ident, variables map[string]ast.Node) string {
	declaration, known := variables[name.Name]
	if !known || name.Obj != nil && name.Obj.Decl != declaration {
		return ""
	}
	return name.Name
}

// importsOurs reports whether a name stands for a package of this module.
func (c *checker) importsOurs(f *file, name string) bool {
	for _, spec := range f.tree.Imports {
		importPath := strings.Trim(spec.Path.Value, `"`)
		if !strings.HasPrefix(importPath, c.module+"/") {
			continue
		}
		if spec.Name != nil && spec.Name.Name == name || spec.Name == nil && path.Base(importPath) == name {
			return true
		}
	}
	return false
}
