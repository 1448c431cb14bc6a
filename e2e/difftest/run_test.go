package difftest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// followsPrefix begins the reason of what comes after a statement that was not answered as on the other servers.
const followsPrefix = "follows a statement that was "

// runCase sends a case one way to all three and judges each step. A refusal ends the judging, for the servers then differ: the
// steps after it count as refused too, and run only because they may undo those before.
func (l *lab) runCase(c testCase, m mode) []judgement {
	judgements := make([]judgement, 0, len(c.steps)) // its elements do not move: last points at one
	writes := false
	var last *judgement // the first that is not equal
	for _, s := range c.steps {
		writes = writes || !onlyReads(s.text)
		j := l.runStep(s, m)
		if last != nil && last.verdict != equal {
			j = judgement{verdict: refused, reason: followsPrefix + last.verdict.String()}
		}
		judgements = append(judgements, j)
		if j.verdict == equal || last == nil || last.verdict == equal {
			last = &judgements[len(judgements)-1]
		}
	}
	if len(c.steps) > 1 || strings.HasPrefix(c.steps[0].text, "PREPARE") || l.through.conn.TxStatus() != 'I' || l.plain.conn.TxStatus() != 'I' {
		for _, client := range []*client{l.through, l.plain, l.mirror} {
			client.renew(l.t)
		}
	}
	if writes {
		l.judgeTables(last, len(c.steps) == 1)
	}
	return judgements
}

func (l *lab) runStep(s step, m mode) judgement {
	if s.explain {
		if j := l.judgeExplain(s.statement, m); j.verdict == wrong {
			return j
		}
	}
	if harmless(s.text) && l.through.conn.TxStatus() == 'I' {
		l.through.ask(m, s.statement) // what comes for the second time is prepared, see the configuration
	}
	want := l.plain.ask(m, s.statement)
	if l.hasty && want.code == "57014" {
		return judgement{verdict: loose, reason: "it takes long"}
	}
	mirrored := make(chan answer, 1)
	go func() { mirrored <- l.mirror.ask(m, s.statement) }()
	got, mirror := l.through.ask(m, s.statement), <-mirrored
	if defines.MatchString(s.text) && want.code == "" {
		for _, client := range []*client{l.through, l.plain, l.mirror} {
			if client.conn.TxStatus() != 'E' {
				client.learnTypes(l.t)
			}
		}
	}
	e := s.expect
	if s.within != "" && want.code == "" {
		e.within = []string{}
		all := l.plain.ask(m, statement{text: s.within, params: s.params})
		if l.hasty && all.code == "57014" {
			return judgement{verdict: loose, reason: "it takes long"}
		}
		if all.code != "" {
			return judgement{verdict: wrong, reason: "--within fails: " + all.message}
		}
		for _, row := range all.last().rows {
			e.within = append(e.within, rowKey(row))
		}
	}
	return judge(s.text, e, want, mirror, got)
}

// judgeExplain compares what EXPLAIN ends with; the plans are each server's own. What it has written, the statement after it shows.
func (l *lab) judgeExplain(s statement, m mode) judgement {
	s.text = "EXPLAIN (COSTS off) " + s.text
	want, mirror, got := l.plain.ask(m, s), l.mirror.ask(m, s), l.through.ask(m, s)
	if got.code != want.code {
		return judgeError(want, mirror, got)
	}
	if want.code == "" && got.last().tag != want.last().tag {
		return judgement{verdict: wrong, reason: fmt.Sprintf("the tag of EXPLAIN is %q, want %q", got.last().tag, want.last().tag)}
	}
	return judgement{verdict: equal}
}

// harmless reports whether a statement leaves nothing behind, so that it may run once more.
func harmless(text string) bool { return selecting.MatchString(text) && !acting.MatchString(text) }

var (
	selecting = regexp.MustCompile(`(?i)^\s*select\b`)
	acting    = regexp.MustCompile(`(?i)val\s*\(|next_id|uuid|advisory|set_config|notify|\binto\b|;|pg_sleep|rand`)
)

var defines = regexp.MustCompile(`(?i)^\s*(create|alter)\b`)

// judgeTables looks at what a case has left, and undoes it. What was refused must have left nothing.
func (l *lab) judgeTables(j *judgement, single bool) {
	diff := l.compareTables()
	switch {
	case j.verdict == equal && diff != "" && l.mirrorDiffers():
		*j = judgement{verdict: loose, reason: "two plain servers end with different rows"}
	case j.verdict == equal && diff != "":
		*j = judgement{verdict: wrong, reason: "the tables differ afterwards:\n" + diff}
	case j.verdict == refused && single && l.shardsChanged():
		*j = judgement{verdict: wrong, reason: "refused, but the shards have changed: " + j.reason + "\n" + diff}
	}
	l.restore()
}

// shardsChanged says that the last look saw other rows than the setup made.
func (l *lab) shardsChanged() bool {
	for _, s := range l.stores {
		for _, r := range s.relations {
			if !slices.Equal(s.rows[r.name], s.kept[r.name]) {
				return true
			}
		}
	}
	return false
}

var (
	reading = regexp.MustCompile(`(?i)^[\s(]*(select|values|table|with|fetch|show|begin|commit|rollback|savepoint|release|set|reset|prepare|deallocate|declare|close|explain)\b`)
	writing = regexp.MustCompile(`(?i)\b(insert|update|delete|merge|truncate|execute|nextval|twice)\b|;`)
)

// onlyReads says that a statement cannot have changed a table.
func onlyReads(text string) bool {
	return reading.MatchString(text) && !writing.MatchString(text) || isCopyOut(text) && !strings.Contains(text, "RETURNING")
}
