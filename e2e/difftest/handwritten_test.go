package difftest

import (
	"fmt"
	"os"
	"testing"
)

// answeredFloor is the share of the handwritten statements that must be answered, in percent. It only rises.
const answeredFloor = 97

// outcome is what became of one handwritten statement, in all modes.
type outcome struct {
	file, text string
	line       int
	judgement
}

func TestHandwrittenStatementsAnswerAsPostgres(t *testing.T) {
	cases := readCases(t)
	l := start(t)
	var outcomes []outcome
	for i, c := range cases {
		if c.file == "ddl" && c.only == 0 {
			c.only = mode(i%3 + 1) // DDL is slow, and differs little from mode to mode
		}
		outcomes = append(outcomes, l.runModes(c)...)
	}
	count := map[verdict]int{}
	for _, o := range outcomes {
		count[o.verdict]++
		switch o.verdict {
		case wrong:
			t.Errorf("%s.sql:%d: wrong: %s\n%s", o.file, o.line, o.text, o.reason)
		case loose:
			t.Errorf("%s.sql:%d: %s; say --within or --free: %s", o.file, o.line, o.reason, o.text)
		}
	}
	answered := 100 * float64(count[equal]) / float64(len(outcomes))
	t.Logf("%d statements: %d equal, %d refused, %d wrong; %.1f %% answered", len(outcomes), count[equal], count[refused], count[wrong], answered)
	if os.Getenv(casesVariable) != "" {
		return // of one file the rest says nothing
	}
	if answered < answeredFloor {
		t.Errorf("%.1f %% are answered, %d %% must be", answered, answeredFloor)
	}
	checkRefusals(t, outcomes)
}

// runModes runs a case in each way that fits it. The worst verdict counts.
func (l *lab) runModes(c testCase) []outcome {
	outcomes := make([]outcome, len(c.steps))
	for i, s := range c.steps {
		outcomes[i] = outcome{file: c.file, line: s.line, text: s.text, judgement: judgement{verdict: equal}}
	}
	for _, m := range []mode{simple, extended, prepared} {
		if c.only != 0 && c.only != m || m == simple && c.hasParams() {
			continue
		}
		for i, j := range l.runCase(c, m) {
			if o := &outcomes[i]; severity(j.verdict) > severity(o.verdict) {
				o.judgement = judgement{verdict: j.verdict, reason: j.reason}
				if j.verdict == wrong {
					o.reason = fmt.Sprintf("[%s] %s", m, j.reason)
				}
			}
		}
	}
	return outcomes
}

func severity(v verdict) int { return map[verdict]int{equal: 0, refused: 1, loose: 2, wrong: 3}[v] }

func (c *testCase) hasParams() bool {
	for _, s := range c.steps {
		if s.params != nil {
			return true
		}
	}
	return false
}
