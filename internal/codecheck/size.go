package codecheck

import (
	"go/ast"
	"go/token"
)

const (
	maxFunctionLines = 80
	maxFileLines     = 600
	maxTestFileLines = 1000
	maxNesting       = 5
)

// checkSize holds files, functions and nesting against their budgets; functions of tests may be long tables.
func (c *checker) checkSize(f *file) {
	limit := maxFileLines
	if f.test {
		limit = maxTestFileLines
	}
	if f.lines > limit {
		c.report(f, token.NoPos, "file-length", "%d lines, more than %d; split it by role", f.lines, limit)
	}
	if f.test {
		return
	}
	for _, declaration := range f.tree.Decls {
		ast.Inspect(declaration, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				c.checkLength(f, n, n.Name.Name)
				c.checkNesting(f, n)
			case *ast.FuncLit:
				c.checkLength(f, n, "a function literal")
			}
			return true
		})
	}
}

func (c *checker) checkLength(f *file, n ast.Node, name string) {
	lines := f.set.Position(n.End()).Line - f.set.Position(n.Pos()).Line + 1
	if lines > maxFunctionLines {
		c.report(f, n.Pos(), "function-length", "%s has %d lines, more than %d", name, lines, maxFunctionLines)
	}
}

// checkNesting reports the first statement of a function that is too deep.
func (c *checker) checkNesting(f *file, function *ast.FuncDecl) {
	if function.Body == nil {
		return
	}
	d := &depth{}
	d.walk(function.Body, 0)
	if d.deepest > maxNesting {
		c.report(f, d.at, "nesting", "%s is nested %d deep, more than %d", function.Name.Name, d.deepest, maxNesting)
	}
}

// depth finds the deepest control structure. An else-if is as deep as its if, a function literal as deep as where it stands.
type depth struct {
	deepest int
	at      token.Pos
}

func (d *depth) walk(n ast.Node, level int) {
	ast.Inspect(n, func(child ast.Node) bool {
		switch child := child.(type) {
		case *ast.IfStmt:
			d.ifChain(child, level)
			return false
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			if child == n {
				return true
			}
			d.enter(child, level+1)
			d.walk(child, level+1)
			return false
		}
		return true
	})
}

func (d *depth) ifChain(statement *ast.IfStmt, level int) {
	d.enter(statement, level+1)
	for _, part := range []ast.Node{statement.Init, statement.Cond, statement.Body} {
		if part != nil {
			d.walk(part, level+1)
		}
	}
	switch other := statement.Else.(type) {
	case *ast.IfStmt:
		d.ifChain(other, level)
	case *ast.BlockStmt:
		d.walk(other, level+1)
	}
}

func (d *depth) enter(n ast.Node, level int) {
	if level > d.deepest {
		d.deepest, d.at = level, n.Pos()
	}
}
