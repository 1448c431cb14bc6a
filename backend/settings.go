package backend

import (
	"hash/fnv"
	"slices"
	"strings"
)

// Names of the settings that decide who the session is. They are replayed apart from the others: what is set under a role needs
// that role's rights to be set, not the rights of the next one.
const (
	settingRole          = "role"
	settingAuthorization = "session_authorization"
)

// Setting is one run-time parameter of a session and the statement that gives it its value.
type Setting struct {
	Name string // lower case, as in pg_settings; role and session_authorization too
	SQL  string // one statement without a final semicolon, for example SET search_path TO shop; rows it returns are dropped
}

// Settings are a session's parameters as far as they differ from those of a fresh log-in. They are immutable; nil means none.
type Settings struct {
	list []Setting // sorted by name, each name once
	text string    // the list in one string: equal text, equal settings
	hash uint64    // of text

	meaning string // text, but for settings that do not change what a statement means
	shared  string // and but for applications' own
}

// meaningless are settings that many clients have values of their own for, and that change nothing of what statements mean.
var meaningless = map[string]bool{"application_name": true, "statement_timeout": true, "lock_timeout": true, "idle_in_transaction_session_timeout": true,
	"idle_session_timeout": true, "client_connection_check_interval": true, "synchronous_commit": true}

// NewSettings returns the settings of a list; of several with one name the last counts.
func NewSettings(list []Setting) *Settings {
	if len(list) == 0 {
		return nil
	}
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	unique := sorted[:0]
	for i, s := range sorted {
		if i+1 == len(sorted) || sorted[i+1].Name != s.Name {
			unique = append(unique, s)
		}
	}
	var text, meaning, shared strings.Builder
	for _, s := range unique {
		all := s.Name + "\x00" + s.SQL + "\x00"
		text.WriteString(all)
		if !meaningless[s.Name] {
			meaning.WriteString(all)
		}
		if IsRead(s.Name) {
			shared.WriteString(all)
		}
	}
	hash := fnv.New64a()
	hash.Write([]byte(text.String()))
	return &Settings{list: unique, text: text.String(), hash: hash.Sum64(), meaning: meaning.String(), shared: shared.String()}
}

// IsRead reports whether PostgreSQL may read a setting when it prepares a statement: not one of a few, nor an application's own, such as
// shop.tenant.
func IsRead(name string) bool { return !meaningless[name] && !strings.Contains(name, ".") }

// With returns the settings with one more, or another value of it. Session_authorization takes the role away, as in PostgreSQL.
func (s *Settings) With(name, sql string) *Settings {
	if name == settingAuthorization {
		s = s.Without(settingRole)
	}
	if old, ok := s.Lookup(name); ok && old == sql {
		return s
	}
	return NewSettings(append(s.List(), Setting{Name: name, SQL: sql}))
}

// Without returns the settings without one. Session_authorization takes the role away, as in PostgreSQL.
func (s *Settings) Without(name string) *Settings {
	gone := func(other Setting) bool {
		return other.Name == name || other.Name == settingRole && name == settingAuthorization
	}
	if !slices.ContainsFunc(s.View(), gone) {
		return s
	}
	return NewSettings(slices.DeleteFunc(s.List(), gone))
}

// View returns the settings sorted by name, for reading only.
func (s *Settings) View() []Setting {
	if s == nil {
		return nil
	}
	return s.list
}

// List returns the settings sorted by name; the slice belongs to the caller.
func (s *Settings) List() []Setting {
	if s == nil {
		return nil
	}
	return slices.Clone(s.list)
}

// Meaning is all settings that may change what a statement means, in one string.
func (s *Settings) Meaning() string {
	if s == nil {
		return ""
	}
	return s.meaning
}

// CommonMeaning is Meaning without applications' own settings, such as shop.tenant, which PostgreSQL reads when a statement runs, unless a function
// that reads them is called immutable.
func (s *Settings) CommonMeaning() string {
	if s == nil {
		return ""
	}
	return s.shared
}

// Len returns how many settings there are.
func (s *Settings) Len() int {
	if s == nil {
		return 0
	}
	return len(s.list)
}

// Lookup returns the statement that sets a parameter.
func (s *Settings) Lookup(name string) (sql string, ok bool) {
	if s == nil {
		return "", false
	}
	i, ok := slices.BinarySearchFunc(s.list, name, func(e Setting, name string) int { return strings.Compare(e.Name, name) })
	if !ok {
		return "", false
	}
	return s.list[i].SQL, true
}

// Equal reports whether both set the same parameters by the same statements. It is cheap: pointers first, then a hash.
func (s *Settings) Equal(o *Settings) bool {
	if s == o {
		return true
	}
	if s == nil || o == nil {
		return false
	}
	return s.hash == o.hash && s.text == o.text
}
