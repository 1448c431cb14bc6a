// Package codecheck is the project's own linter: it reads every Go file of the repository and names what breaks the rules
// that review should not have to look for: the arrows between packages (ARCHITECTURE.md), budgets of size and nesting, doc
// comments, package state, contexts, and habits that make tests unreliable.
//
// It parses without type checking, so it needs no build, runs in a second, and works on code that does not compile yet. The
// price is that it judges by names; where it could be wrong it stays silent. Its test is what runs it.
package codecheck
