package pgwire

import (
	"fmt"
	"strconv"
	"strings"
)

// Error is an ErrorResponse or NoticeResponse (PostgreSQL manual, "Error and Notice Message Fields").
type Error struct {
	Severity string // ERROR, FATAL, PANIC; for notices WARNING, NOTICE, …; empty means ERROR
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
	Position int    // 1-based character offset into the statement; 0 means none
	Where    string // context
	Rest     string // fields that a server gave besides, such as constraint, table and column, as they were sent
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (SQLSTATE %s)", e.Message, e.Code)
}

// AppendError appends e as an ErrorResponse.
func AppendError(b []byte, e *Error) []byte { return appendFields(b, ErrorResponse, e, "ERROR") }

// AppendNotice appends e as a NoticeResponse.
func AppendNotice(b []byte, e *Error) []byte { return appendFields(b, NoticeResponse, e, "NOTICE") }

func appendFields(b []byte, typ byte, e *Error, severity string) []byte {
	if e.Severity != "" {
		severity = e.Severity
	}
	b, at := Begin(b, typ)
	b = appendField(b, 'S', severity)
	b = appendField(b, 'V', severity)
	b = appendField(b, 'C', e.Code)
	b = appendField(b, 'M', e.Message)
	b = appendField(b, 'D', e.Detail)
	b = appendField(b, 'H', e.Hint)
	b = appendField(b, 'W', e.Where)
	if e.Position > 0 {
		b = appendField(b, 'P', strconv.Itoa(e.Position))
	}
	return End(append(append(b, e.Rest...), 0), at)
}

func appendField(b []byte, field byte, value string) []byte {
	if value == "" {
		return b
	}
	value, _, _ = strings.Cut(value, "\x00") // a client's bytes that are quoted must not end the field early and begin others
	b = append(append(b, field), value...)
	return append(b, 0)
}

// ParseError decodes an ErrorResponse or NoticeResponse frame. A malformed one gives what could be read.
func ParseError(frame []byte) *Error {
	e := &Error{}
	body := BodyOf(frame)
	for {
		field := body.Byte()
		if field == 0 || !body.OK() {
			return e
		}
		value := string(body.Text())
		switch field {
		case 'S':
			if e.Severity == "" {
				e.Severity = value
			}
		case 'V':
			e.Severity = value
		case 'C':
			e.Code = value
		case 'M':
			e.Message = value
		case 'D':
			e.Detail = value
		case 'H':
			e.Hint = value
		case 'W':
			e.Where = value
		case 'P':
			e.Position, _ = strconv.Atoi(value)
		default:
			if body.OK() {
				e.Rest += string(field) + value + "\x00"
			}
		}
	}
}
