package codecheck

import (
	"go/ast"
	"regexp"
	"slices"
)

// checkCalls finds contexts made out of nothing, skipped tests and sleeping tests.
func (c *checker) checkCalls(f *file) {
	contexts, clock, bubble := f.importName("context"), f.importName("time"), f.importName("testing/synctest")
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			// Inside a synctest bubble time.Sleep is how a test moves the fake clock.
			if selector, ok := n.Fun.(*ast.SelectorExpr); ok && isName(selector.X, bubble) {
				return false
			}
		case *ast.SelectorExpr:
			method := n.Sel.Name
			switch {
			case isName(n.X, contexts) && (method == "Background" || method == "TODO"):
				if !f.test && layerOf(f.dir) != "cmd" {
					c.report(f, n.Pos(), "context", "context.%s below cmd; take a context from the caller", method)
				}
			case f.test && isName(n.X, clock) && method == "Sleep":
				c.report(f, n.Pos(), "sleep", "time.Sleep in a test; wait for the condition, or use testing/synctest")
			case slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, method) && f.isTest(n.X):
				c.report(f, n.Pos(), "skip", "a skipped test checks nothing; provide what it needs")
			}
		}
		return true
	})
}

func isName(e ast.Expr, name string) bool {
	identifier, ok := e.(*ast.Ident)
	return ok && name != "" && identifier.Name == name && identifier.Obj == nil
}

// isTest reports whether an expression is a parameter of a type of package testing.
func (f *file) isTest(e ast.Expr) bool {
	identifier, ok := e.(*ast.Ident)
	if !ok || identifier.Obj == nil {
		return false
	}
	field, ok := identifier.Obj.Decl.(*ast.Field)
	if !ok {
		return false
	}
	kind := field.Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	selector, ok := kind.(*ast.SelectorExpr)
	return ok && isName(selector.X, f.importName("testing"))
}

// checkComments wants the number of an issue beside what is left for later.
func (c *checker) checkComments(f *file) {
	later := regexp.MustCompile(`(?:^|[^.\w])(TODO|FIXME)\b`)
	issue := regexp.MustCompile(`#[0-9]+`)
	for _, group := range f.tree.Comments {
		for _, comment := range group.List {
			if word := later.FindStringSubmatch(comment.Text); word != nil && !issue.MatchString(comment.Text) {
				c.report(f, comment.Pos(), "later", "%s without the number of an issue (#12)", word[1])
			}
		}
	}
}
