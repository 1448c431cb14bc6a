// Package client asks the console of a running proxy, for the commands that are typed in a shell.
//
// It speaks the simple query protocol and passes results through as text. Its errors read as psql's: severity and message, then
// DETAIL and HINT on lines of their own. It never asks for a password: PGPASSWORD or ~/.pgpass has it, or the configuration.
package client
