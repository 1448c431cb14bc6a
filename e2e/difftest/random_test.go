package difftest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The random test runs for PGRING_DIFFTEST_TIME, or for a short time, and begins with PGRING_SEED, or a seed of its own that it
// prints. Each statement has a seed that makes it anew.
const (
	timeVariable = "PGRING_DIFFTEST_TIME"
	seedVariable = "PGRING_SEED"
	shortTime    = 8 * time.Second
	shrinkTime   = 20 * time.Second
	mostWrong    = 10 // then the test ends
)

func TestRandomStatementsAnswerAsPostgres(t *testing.T) {
	seed, limit := rand.Uint64(), shortTime
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	if text := os.Getenv(timeVariable); text != "" {
		var err error
		limit, err = time.ParseDuration(text)
		must(t, err)
	}
	l := start(t)
	l.hasty = true
	l.plainStore.must(t, "ALTER ROLE "+login+" IN DATABASE plain SET statement_timeout = '500ms'")
	l.plain.renew(t)
	t.Logf("%s=%d", seedVariable, seed)
	tally := newTally()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline) && tally.wrongs < mostWrong; seed++ {
		before := tally.statements
		l.tryRandom(t, seed, tally)
		if tally.statements/5000 > before/5000 {
			t.Log(tally)
		}
	}
	t.Log(tally)
	if tally.statements == 0 || tally.verdicts[equal] == 0 {
		t.Error("no statement was answered")
	}
}

// tryRandom makes the attempt of a seed, runs it, and tells the smallest form of it that is wrong.
func (l *lab) tryRandom(t *testing.T, seed uint64, tally *tally) {
	a := newAttempt(seed)
	j := l.run(a)
	tally.add(a, j)
	if j.verdict != wrong {
		return
	}
	before := strings.Join(a.texts(), ";\n")
	j = l.shrink(a, shrinkTime)
	t.Errorf("%s=%d, %s: wrong: %s\n%s\nof\n%s", seedVariable, seed, a.mode, strings.Join(a.texts(), ";\n"), strings.TrimSpace(j.reason), before)
}

// newAttempt makes the statements of a seed.
func newAttempt(seed uint64) *attempt {
	g := newGenerator(seed)
	a := &attempt{mode: mode(1 + g.IntN(3))}
	if g.chance(50) {
		a.bindSeed = g.Uint64() | 1
	}
	if g.chance(12) && a.around(g) {
		return a
	}
	count := 1
	if g.chance(6) {
		count, a.begun = 2+g.IntN(3), g.chance(80)
	}
	for range count {
		if g.chance(25) {
			a.steps, a.wholes = append(a.steps, g.write()), append(a.wholes, nil)
			continue
		}
		q := g.read()
		a.steps, a.wholes = append(a.steps, q.tree), append(a.wholes, q.whole)
	}
	a.explain = count == 1 && g.chance(15)
	return a
}

// around puts a query into a statement: COPY, a cursor, or a new table. The answers to these say nothing of an order or of types, so
// the query must have neither a LIMIT without one nor floats that are rounded.
func (a *attempt) around(g *generator) bool {
	q := g.read()
	if q.whole != nil || q.locks || rounding.MatchString(q.tree.String()) {
		return false
	}
	var steps []*tree
	var between generated
	switch g.IntN(6) {
	case 0, 1:
		a.bindSeed = 0 // COPY takes no parameters
		steps = []*tree{of("", "COPY (%s) TO STDOUT%s", q.tree, pick(g, "", " CSV HEADER", " (FORMAT csv, FORCE_QUOTE *)", " (HEADER)"))}
	case 2, 3:
		a.begun = true
		steps = []*tree{of("", "DECLARE c%s CURSOR FOR %s", pick(g, "", " SCROLL", " NO SCROLL"), q.tree), of("", pick(g, "FETCH ALL FROM c", "FETCH 100000 FROM c"))}
		if g.chance(30) {
			between = g.read()
			steps = append(steps[:1:1], between.tree, steps[1])
		}
	case 4:
		a.bindSeed = 0
		steps = []*tree{of("", "PREPARE q AS %s", q.tree), of("", "EXECUTE q"), of("", "EXECUTE q")}
	default:
		steps = []*tree{of("", "CREATE TEMP TABLE made AS %s", q.tree), of("", "SELECT * FROM made")}
	}
	a.steps, a.wholes = steps, make([]*tree, len(steps))
	if between.whole != nil {
		a.wholes[1] = between.whole
	}
	return true
}

// texts are the statements as they are sent.
func (a *attempt) texts() []string {
	var texts []string
	for _, s := range a.session().steps {
		text := s.text
		for i, p := range s.params {
			text += fmt.Sprintf(" -- $%d = %s (%d)", i+1, p.data, p.oid)
		}
		texts = append(texts, text)
	}
	return texts
}

// tally counts what became of random statements.
type tally struct {
	statements, wrongs int
	verdicts           map[verdict]int
	errors             int            // answers that were the same error
	refusals           map[string]int // by message
}

func newTally() *tally { return &tally{verdicts: map[verdict]int{}, refusals: map[string]int{}} }

func (t *tally) add(a *attempt, j judgement) {
	t.statements += len(a.steps)
	t.verdicts[j.verdict] += len(a.steps)
	if j.code != "" {
		t.errors++
	}
	switch j.verdict {
	case wrong:
		t.wrongs++
	case refused:
		t.refusals[j.reason]++
	}
}

func (t *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d random statements: %d equal (%d of them errors), %d refused, %d free, %d wrong", t.statements, t.verdicts[equal], t.errors, t.verdicts[refused], t.verdicts[loose], t.verdicts[wrong])
	return b.String()
}
