package proxy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgring/pgring/pgwire"
	"github.com/pgring/pgring/router"
)

// localPrefix begins the names of the settings that are pgring's own. No shard ever hears of them.
const localPrefix = "pgring."

// ownSettings are the values of pgring's own settings.
type ownSettings struct {
	mode       CommitMode    // cross_shard
	derive     bool          // compensation is auto: writes without a directive are undone by rules
	key        string        // saga_key: makes repeats of a transaction known
	timeout    time.Duration // saga_commit_timeout
	direct     bool          // async is off: every write is synchronous
	stale      bool          // read_your_writes is off: reads do not wait for the session's own asynchronous writes
	plain      bool          // idempotency is off: no repeat of a write is looked for
	requestKey string        // idempotency_key: the request that the next write is
	compensate string        // directive for the next statement that writes; by SET LOCAL only
}

// own are pgring's own settings of a session: an immutable value, as state is.
type own struct {
	now     ownSettings
	lasting ownSettings // without SET LOCAL
}

// ownDefaults are what a session of the user begins with.
func ownDefaults(c *CrossShard) *own {
	values := ownSettings{mode: c.Transactions, timeout: c.CommitTimeout, derive: c.Derive}
	if values.mode == CommitUnset {
		values.mode = CommitReject
	}
	if values.timeout == 0 {
		values.timeout = defaultCommitTimeout
	}
	return &own{now: values, lasting: values}
}

// committed is what is left at the end of a transaction.
func (o *own) committed() *own {
	if o.now == o.lasting {
		return o
	}
	return &own{now: o.lasting, lasting: o.lasting}
}

// with returns the settings with one of them changed.
func (o *own) with(name, value string, local bool) (*own, error) {
	next := *o
	if err := next.now.set(name, value, local); err != nil {
		return nil, err
	}
	if !local {
		if err := next.lasting.set(name, value, false); err != nil { // the others may be SET LOCAL
			return nil, err
		}
	}
	return &next, nil
}

// reset returns the settings with one of them, or with all of them (""), as base has them.
func (o *own) reset(name string, base *own, local bool) (*own, error) {
	if name == "" {
		return base.committed(), nil
	}
	value, ok := base.lasting.show(name)
	if !ok {
		return nil, errUnknownSetting(localPrefix + name)
	}
	if name == "compensate" {
		local = true // which is over with its statement anyway
	}
	return o.with(name, value, local)
}

// set changes one setting; name is without the prefix.
func (v *ownSettings) set(name, value string, local bool) error {
	word := strings.ToLower(value)
	switch name {
	case "cross_shard":
		for m := CommitReject; m <= CommitTwoPhase; m++ {
			if word == m.String() {
				v.mode = m
				return nil
			}
		}
		return errSettingValue(name, value, "Available values: reject, saga, 2pc.")
	case "compensation":
		if word != "require" && word != "auto" {
			return errSettingValue(name, value, "Available values: require, auto.")
		}
		v.derive = word == "auto"
	case "idempotency":
		if word != "on" && word != "off" {
			return errSettingValue(name, value, "Available values: on, off.")
		}
		v.plain = word == "off"
	case "idempotency_key":
		if value != "" {
			if err := router.CheckRequestKey(value); err != nil {
				return err
			}
		}
		v.requestKey = value
	case "async", "read_your_writes":
		if word != "on" && word != "off" {
			return errSettingValue(name, value, "Available values: on, off.")
		}
		if name == "async" {
			v.direct = word == "off"
		} else {
			v.stale = word == "off"
		}
	case "saga_key":
		if !local && value != "" {
			return &pgwire.Error{Code: codeInvalidParameter, Message: "parameter \"pgring.saga_key\" can only be set for one transaction",
				Hint: "Use SET LOCAL pgring.saga_key = '…' inside a transaction block."}
		}
		if len(value) > maxSagaKey {
			return errSettingValue(name, value, fmt.Sprintf("A key has at most %d bytes.", maxSagaKey))
		}
		v.key = value
	case "saga_commit_timeout":
		timeout, ok := parseTimeout(value)
		if !ok {
			return errSettingValue(name, value, "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"; it must be above 0.")
		}
		v.timeout = timeout
	case "compensate":
		if !local {
			return &pgwire.Error{Code: codeInvalidParameter, Message: "parameter \"pgring.compensate\" can only be set for the next statement",
				Hint: "Use SET LOCAL pgring.compensate = '…' inside a transaction block."}
		}
		v.compensate = value
	case "last_saga_id":
		return &pgwire.Error{Code: "55P02", Message: "parameter \"pgring.last_saga_id\" cannot be changed"}
	default:
		return errUnknownSetting(localPrefix + name)
	}
	return nil
}

// maxSagaKey bounds pgring.saga_key in bytes, well below what an index entry holds.
const maxSagaKey = 512

// show returns a setting's value as SHOW has it.
func (v *ownSettings) show(name string) (string, bool) {
	switch name {
	case "cross_shard":
		return v.mode.String(), true
	case "compensation":
		if v.derive {
			return "auto", true
		}
		return "require", true
	case "idempotency":
		return onOrOff(!v.plain), true
	case "idempotency_key":
		return v.requestKey, true
	case "async":
		return onOrOff(!v.direct), true
	case "read_your_writes":
		return onOrOff(!v.stale), true
	case "saga_key":
		return v.key, true
	case "saga_commit_timeout":
		return showTimeout(v.timeout), true
	case "compensate":
		return v.compensate, true
	}
	return "", false
}

func onOrOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// parseTimeout reads a time as PostgreSQL's settings have it: a number with a unit, milliseconds without one.
func parseTimeout(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	end := strings.LastIndexAny(text, "0123456789.") + 1
	number, err := strconv.ParseFloat(text[:end], 64)
	if err != nil {
		return 0, false
	}
	units := map[string]time.Duration{"us": time.Microsecond, "": time.Millisecond, "ms": time.Millisecond, "s": time.Second,
		"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	unit, ok := units[strings.TrimSpace(text[end:])]
	product := number * float64(unit)
	if !ok || !(product >= float64(time.Microsecond)) || product > float64(365*24*time.Hour) {
		return 0, false
	}
	return time.Duration(product), true
}

// showTimeout writes a time in the largest unit that gives a whole number.
func showTimeout(d time.Duration) string {
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(d.Microseconds(), 10) + "us"
}

func errUnknownSetting(name string) error {
	return &pgwire.Error{Code: "42704", Message: "unrecognized configuration parameter \"" + name + "\""}
}

func errSettingValue(name, value, hint string) error {
	return &pgwire.Error{Code: codeInvalidParameter, Message: fmt.Sprintf("invalid value for parameter %q: %q", localPrefix+name, value), Hint: hint}
}

// isOwn reports whether a statement sets one of pgring's own settings.
func isOwn(stmt *router.Statement) bool {
	return len(stmt.Settings) > 0 && strings.HasPrefix(stmt.Settings[0].Name, localPrefix)
}

// setOwn carries out SET, RESET or SELECT set_config(…) of one of pgring's own settings.
func (c *session) setOwn(stmt *router.Statement, set router.Setting, tag string) error {
	name := strings.TrimPrefix(set.Name, localPrefix)
	local := set.Local || stmt.Verb == router.SetLocal
	var next *own
	var err error
	if set.Default {
		next, err = c.state.own.reset(name, c.baseline.own, local)
	} else {
		next, err = c.state.own.with(name, set.Text, local)
	}
	if err != nil {
		return c.reject(err)
	}
	switch {
	case local && !c.tx.active:
	default:
		c.state.own = next
	}
	if !stmt.Query {
		return c.replyTag(tag)
	}
	value, _ := next.now.show(name)
	return c.replyValue("set_config", value, "SELECT 1")
}

// showOwn answers SHOW of one of pgring's own settings.
func (c *session) showOwn(name string) error {
	if name == "last_saga_id" {
		return c.replyValue(localPrefix+name, c.lastSaga, "SHOW")
	}
	value, ok := c.state.own.now.show(name)
	if !ok {
		return c.reject(errUnknownSetting(localPrefix + name))
	}
	return c.replyValue(localPrefix+name, value, "SHOW")
}

// replyValue answers with one row of one text; in the extended protocol Describe has told of the column.
func (c *session) replyValue(column, value, tag string) error {
	b := c.out[:0]
	if !c.unit.open {
		b = pgwire.AppendRowDescription(b, TextFields(column))
	}
	b = pgwire.AppendDataRow(b, [][]byte{[]byte(value)})
	c.out = pgwire.AppendText(b, pgwire.CommandComplete, tag)
	return c.reply(c.out)
}

// ownFields describes the row that a statement about pgring's own settings answers with; nil: it has none.
func ownFields(stmt *router.Statement) []pgwire.Field {
	switch {
	case stmt.Verb == router.CallOwn:
		return TextFields(stmt.Call.Column)
	case stmt.Verb == router.ShowLocal:
		return TextFields(localPrefix + stmt.Name)
	case isQuery(stmt) && isOwn(stmt):
		return TextFields("set_config")
	}
	return nil
}

// splitOwn takes pgring's own settings out of a client's start-up parameters.
func splitOwn(params []pgwire.Param, base *own) ([]pgwire.Param, *own, error) {
	var rest []pgwire.Param
	for i, p := range params {
		name, ours := strings.CutPrefix(strings.ToLower(p.Name), localPrefix)
		if !ours {
			if rest != nil {
				rest = append(rest, p)
			}
			continue
		}
		if rest == nil {
			rest = append(make([]pgwire.Param, 0, len(params)), params[:i]...)
		}
		next, err := base.with(name, p.Value, false)
		if err != nil {
			return nil, nil, err
		}
		base = next
	}
	if rest == nil {
		rest = params
	}
	return rest, base, nil
}
