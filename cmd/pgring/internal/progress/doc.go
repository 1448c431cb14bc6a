// Package progress shows how far moves of slots are, until they are over: bars on a terminal, lines elsewhere.
package progress
