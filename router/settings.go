package router

import (
	"regexp"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/router/internal/sql"
)

// ownPrefix begins the names of pgring's own settings.
const ownPrefix = "pgring."

// set analyses SET and RESET.
func (a *analysis) set(s *pg.VariableSetStmt) {
	name := foldCase(s.Name)
	verb := Set
	if s.IsLocal {
		verb = SetLocal
	}
	switch s.Kind {
	case pg.VariableSetKind_VAR_RESET_ALL:
		a.named(ResetAll, "")
		return
	case pg.VariableSetKind_VAR_RESET:
		a.named(Reset, name)
		return
	case pg.VariableSetKind_VAR_SET_MULTI:
		a.setTransaction(s, name)
		return
	case pg.VariableSetKind_VAR_SET_CURRENT:
		a.unsupported("SET … FROM CURRENT is not supported here", "", "Name the value.")
		return
	}
	if transactionSetting(name) {
		verb = SetTransaction
	}
	a.named(verb, name)
	set := Setting{Name: name, Local: verb != Set}
	if s.Kind == pg.VariableSetKind_VAR_SET_DEFAULT {
		set.Default = true
		set.Value = "DEFAULT"
	} else if !set.fill(s.Args) {
		a.unsupported("value of "+name+" is not understood", "It is not a list of constants.", "Write the value as a string.")
	}
	a.checkSetting(&set)
	a.st.Settings = []Setting{set}
}

// transactionSetting says whether a setting is one of the current transaction
// only.
func transactionSetting(name string) bool {
	return name == "transaction_isolation" || name == "transaction_read_only" || name == "transaction_deferrable"
}

// setTransaction analyses SET TRANSACTION, SET SESSION CHARACTERISTICS.
func (a *analysis) setTransaction(s *pg.VariableSetStmt, name string) {
	switch name {
	case "transaction":
		a.named(SetTransaction, "")
		a.st.Settings = transactionModes(s.Args, "")
	case "session characteristics":
		a.named(Set, "")
		a.st.Settings = transactionModes(s.Args, "default_")
	default:
		a.named(SetTransaction, "")
		a.unsupported("SET TRANSACTION SNAPSHOT is not supported", "A snapshot is known to one shard only.", "Leave it out.")
	}
}

// fill writes the values of SET into the setting.
func (set *Setting) fill(args []*pg.Node) bool {
	values := make([]string, 0, len(args))
	for _, n := range args {
		text, ok := intervalZone(n.GetTypeCast())
		if c := n.GetAConst(); c != nil {
			text, ok = constantText(c)
		}
		if !ok {
			return false
		}
		values = append(values, quoteLiteral(text))
		set.Text = text
	}
	if len(args) != 1 {
		set.Text = ""
	}
	set.Value = strings.Join(values, ", ")
	return len(args) > 0
}

// intervalZone returns the value that SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE gives to TimeZone, the only setting whose
// value may be typed; Sequelize begins each session with it. Hours and minutes mean the same with and without the fields behind
// them, so they need not be repeated.
func intervalZone(c *pg.TypeCast) (string, bool) {
	value := c.GetArg().GetAConst().GetSval().GetSval()
	if name, _, ok := lastWord(c.GetTypeName().GetNames()); !ok || name != "interval" || !zoneOffset.MatchString(value) {
		return "", false
	}
	return "INTERVAL '" + value + "'", true
}

var zoneOffset = regexp.MustCompile(`^[+-]?[0-9]{1,2}:[0-9]{2}$`)

// constantText returns the text of a constant that is not NULL.
func constantText(c *pg.A_Const) (string, bool) {
	switch v := c.Val.(type) {
	case *pg.A_Const_Sval:
		return v.Sval.Sval, true
	case *pg.A_Const_Ival:
		return strconv.FormatInt(int64(v.Ival.Ival), 10), true
	case *pg.A_Const_Fval:
		return v.Fval.Fval, true
	case *pg.A_Const_Boolval:
		if v.Boolval.Boolval {
			return "true", true
		}
		return "false", true
	}
	// Protocol buffers leave out the zero integer.
	return "0", c.Val == nil && !c.Isnull
}

// checkSetting refuses settings that would make the router read SQL otherwise
// than the server does.
func (a *analysis) checkSetting(set *Setting) {
	if set.Default {
		return
	}
	switch set.Name {
	case stringsSetting:
		if set.Param > 0 || !isOn(set.Text) {
			a.refuse(stringsRefusal())
		}
	case "client_encoding":
		if set.Param > 0 || !SafeEncoding(set.Text) {
			a.unsupported("client_encoding "+quoteIdent(set.Text)+" is not supported",
				"Its characters may contain bytes that mean something else in SQL.", "Use UTF8.")
		}
	}
}

// stringsSetting decides whether a backslash in a plain string constant means itself, as pgring takes it.
const stringsSetting = "standard_conforming_strings"

func stringsRefusal() *Refusal {
	return &Refusal{Reason: Unsupported, Message: stringsSetting + " cannot be turned off", Detail: "pgring reads string constants as the SQL standard has them.",
		Hint: "Write E'…' for strings with backslash escapes."}
}

// CheckParameter refuses a value that a setting gets at start-up, or has been given by a server, if pgring would then read SQL otherwise than
// the server does. The error is a *Refusal.
func CheckParameter(name, value string) error {
	if foldCase(name) == stringsSetting && !isOn(value) {
		return stringsRefusal()
	}
	return nil
}

// isOn says whether a text is a true boolean as PostgreSQL reads it.
func isOn(text string) bool {
	t := foldCase(strings.TrimSpace(text))
	return t != "" && (strings.HasPrefix("true", t) || strings.HasPrefix("yes", t) || t == "on" || t == "1")
}

// SettingsWith returns the statement's settings with the parameters of
// SELECT set_config filled in.
func (s *Statement) SettingsWith(v Values) []Setting {
	filled := make([]Setting, len(s.Settings))
	copy(filled, s.Settings)
	for i := range filled {
		set := &filled[i]
		if set.Param == 0 || v == nil {
			continue
		}
		if value, ok := v.Value(set.Param - 1); ok && !value.Null {
			set.Text = string(value.Data)
			set.Value = plainValue(set.Name, set.Text)
		} else {
			set.Default = true
		}
	}
	return filled
}

// foldCase lowers ASCII letters, as PostgreSQL compares names of settings.
func foldCase(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

func cutPrefix(name, prefix string) (string, bool) { return strings.CutPrefix(name, prefix) }

// plainValue returns what SET name TO needs for a value as SHOW and set_config
// have it. For settings that are lists of names the two differ: there SET takes
// each of its constants for one name.
func plainValue(name, text string) string {
	switch name {
	case "search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries":
	default:
		return quoteLiteral(text)
	}
	scanner := sql.Scanner{Text: []byte(text)}
	var parts []string
	for {
		switch tok := scanner.Next(); tok.Kind {
		case sql.EOF:
			if len(parts) == 0 {
				return "''" // no such schema: as good as none
			}
			return strings.Join(parts, ", ")
		case sql.Ident:
			parts = append(parts, quoteLiteral(foldCase(text[tok.Start:tok.End])))
		case sql.QuotedIdent:
			parts = append(parts, quoteLiteral(strings.ReplaceAll(text[tok.Start+1:tok.End-1], `""`, `"`)))
		case sql.Punct:
		default:
			return quoteLiteral(text) // PostgreSQL says what is wrong with it
		}
	}
}
