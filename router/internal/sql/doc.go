// Package sql reads PostgreSQL's SQL at the level of tokens: a scanner that
// agrees with PostgreSQL's lexer, a splitter of several statements, and a
// normaliser that replaces literals by typed marks so that statements which
// differ only in their literals share one plan.
//
// It knows no grammar: where a decision needs one, the router parses. It
// assumes standard_conforming_strings = on and an encoding whose multi-byte
// characters contain no ASCII bytes (every server encoding of PostgreSQL).
// Nothing here allocates beyond growing the caller's buffers.
package sql
