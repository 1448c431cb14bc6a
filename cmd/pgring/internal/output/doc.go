// Package output writes query results for people and for programs: as an aligned table, as JSON or as CSV.
//
// It promises that a terminal is never sent a control character that a value holds, and that JSON and CSV keep every value as it
// is. It does not bound a result: what is written is in memory already.
package output
