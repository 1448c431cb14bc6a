package backend

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire"
)

// Settings that decide how the text of later statements is read. Statements that may depend on them go into a message of their
// own, since the server reads a message before it executes any of it.
const (
	settingEncoding = "client_encoding"
	settingStrings  = "standard_conforming_strings"
)

// cleanSlate gives a session the settings of a fresh log-in. RESET ALL leaves role and session authorization alone, and needs no
// rights to the settings that it resets.
const cleanSlate = "RESET ROLE;RESET SESSION AUTHORIZATION;RESET ALL"

// Adopt makes the server session's settings equal to s. Nothing is sent if they are. The connection must be idle. A
// *pgwire.Error means that the server refused one of the settings; after any error the connection is marked dirty.
// One trace of an earlier owner PostgreSQL does not let go: a customized parameter (shop.tenant) that it has set is empty then,
// not unknown.
func (c *Conn) Adopt(ctx context.Context, s *Settings) error {
	if c.known && c.settings.Equal(s) {
		return nil
	}
	err := c.run(ctx, c.adoption(s))
	if refused(err) && c.known && c.settings.Len() > 0 {
		// It may have been the undoing that was refused, which is not this owner's fault: settings that take a right which
		// the role no longer has can be reset only all at once.
		c.ForgetSettings()
		err = c.run(ctx, c.adoption(s))
	}
	if err != nil {
		c.ForgetSettings()
		c.MarkDirty("settings not adopted")
		return err
	}
	c.RecordSettings(s)
	return nil
}

// adoption returns the query messages that lead from the present settings to s.
func (c *Conn) adoption(s *Settings) []string {
	before := c.settings
	_, strange := before.Lookup(settingStrings)
	if !c.known || strange {
		messages := []string{cleanSlate}
		if _, ok := s.Lookup(settingEncoding); ok {
			messages = append(messages, strings.Join(set(nil, s, isEncoding), "\n;"))
		}
		if rest := set(nil, s, isNotEncoding); len(rest) > 0 {
			messages = append(messages, strings.Join(rest, "\n;"))
		}
		return messages
	}
	first := append(reset(before, s), set(before, s, isEncoding)...)
	rest := set(before, s, isNotEncoding)
	if len(first) == 0 || len(rest) == 0 || ascii(rest) {
		return []string{strings.Join(append(first, rest...), "\n;")}
	}
	return []string{strings.Join(first, "\n;"), strings.Join(rest, "\n;")}
}

// reset returns the statements that undo what after does not have: the role and the session's user first, so that the others
// are undone with the rights of the log-in.
func reset(before, after *Settings) []string {
	var statements []string
	if changesIdentity(before, after) {
		if _, ok := before.Lookup(settingRole); ok {
			statements = append(statements, "RESET ROLE")
		}
	}
	if changes(before, after, settingAuthorization) {
		statements = append(statements, "RESET SESSION AUTHORIZATION")
	}
	if before == nil {
		return statements
	}
	for _, old := range before.list {
		if old.Name == settingRole || old.Name == settingAuthorization {
			continue
		}
		if _, ok := after.Lookup(old.Name); !ok {
			statements = append(statements, "RESET "+quoteName(old.Name))
		}
	}
	return statements
}

// set returns the statements for the settings of after that differ and are wanted; the session's user and the role come last.
func set(before, after *Settings, wanted func(name string) bool) []string {
	if after == nil {
		return nil
	}
	var statements, user, role []string
	for _, s := range after.list {
		switch {
		case !wanted(s.Name):
		case s.Name == settingAuthorization:
			if changes(before, after, s.Name) {
				user = []string{s.SQL}
			}
		case s.Name == settingRole:
			if changesIdentity(before, after) {
				role = []string{s.SQL}
			}
		default:
			if changes(before, after, s.Name) {
				statements = append(statements, s.SQL)
			}
		}
	}
	return append(append(statements, user...), role...)
}

func changes(before, after *Settings, name string) bool {
	was, had := before.Lookup(name)
	is, has := after.Lookup(name)
	return had != has || was != is
}

// changesIdentity reports whether the role must be set anew: setting the session's user loses it.
func changesIdentity(before, after *Settings) bool {
	return changes(before, after, settingRole) || changes(before, after, settingAuthorization)
}

func isEncoding(name string) bool    { return name == settingEncoding }
func isNotEncoding(name string) bool { return name != settingEncoding }

func ascii(statements []string) bool {
	for _, s := range statements {
		for i := range len(s) {
			if s[i] >= 0x80 {
				return false
			}
		}
	}
	return true
}

// quoteName quotes a parameter's name; the parts of a customized one, such as shop.tenant, are quoted each.
func quoteName(name string) string {
	parts := strings.Split(strings.ReplaceAll(name, `"`, `""`), ".")
	return `"` + strings.Join(parts, `"."`) + `"`
}

// run executes simple queries, sent at once, and drops what they return. It reads all answers; the first error counts.
func (c *Conn) run(ctx context.Context, queries []string) error {
	stop := context.AfterFunc(ctx, func() { _ = c.wire.Net().SetDeadline(time.Unix(1, 0)) })
	err := c.converse(queries)
	if !stop() && err == nil {
		err = context.Cause(ctx) // the deadline is set, or being set
	}
	if err != nil {
		return fmt.Errorf("set session settings on %s: %w", c.Shard(), err)
	}
	return nil
}

func (c *Conn) converse(queries []string) error {
	var message []byte
	for _, query := range queries {
		message = pgwire.AppendText(message, pgwire.Query, query)
	}
	if err := c.wire.Write(message); err != nil {
		return err
	}
	if err := c.wire.Flush(); err != nil {
		return err
	}
	var failure error
	for range queries {
		refused, err := c.answer()
		if err != nil {
			return err
		}
		if failure == nil && refused != nil {
			failure = refused
		}
	}
	return failure
}

// maxErrorFrame bounds the memory for an error message.
const maxErrorFrame = 1 << 20

// answer reads one answer up to ReadyForQuery. A broken connection whose server has said why gives the server's error.
func (c *Conn) answer() (refused *pgwire.Error, err error) {
	for {
		typ, size, err := c.wire.Peek()
		if err != nil && refused != nil {
			return nil, refused
		}
		if err != nil {
			return nil, err
		}
		if typ != pgwire.ErrorResponse && typ != pgwire.ReadyForQuery {
			if err := c.wire.Discard(size); err != nil {
				return nil, err
			}
			continue
		}
		frame, err := c.wire.Frame(size, maxErrorFrame)
		if err != nil {
			return nil, err
		}
		if typ == pgwire.ErrorResponse {
			refused = pgwire.ParseError(frame)
			continue
		}
		body := pgwire.BodyOf(frame)
		c.status = body.Byte()
		return refused, nil
	}
}
