package router

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/router/internal/sql"
	"github.com/pgring/pgring/topology"
)

// Explained is a line of EXPLAIN's answer for a statement over several shards,
// or the place of the lines with which a shard explains what it is sent.
type Explained struct {
	Line  string
	Shard ring.ShardID // not empty: ask it for SQL
	SQL   string
	Check bool // what it answers is not shown, only its error
}

// explaining is an EXPLAIN whose statement may run on several shards. Each of
// them is asked for its own plan.
type explaining struct {
	inner    *Statement
	prefix   string // the client's EXPLAIN with its options
	executes bool
	format   string // lower case; empty: text
}

// explainSpread notes how to explain the statement where it needs several
// shards.
func (a *analysis) explainSpread(s *pg.ExplainStmt) {
	at := cutExplain(a.src.text, len(s.Options) > 0)
	inner, err := a.router.parse(a.snap, a.env, a.src.text[at:])
	if err != nil {
		return // the statement stays refused over several shards
	}
	named := *inner
	named.text = strings.TrimSpace(string(a.src.text[at:]))
	before := string(a.src.text[:len(a.src.text)-len(bytes.TrimLeft(a.src.text[at:], " \t\r\n\f\v"))]) // as the client wrote it: errors have positions
	a.st.explained = &explaining{
		inner: &named, prefix: before,
		executes: analyzes(s.Options), format: explainFormat(s.Options),
	}
}

// cutExplain returns where the statement behind EXPLAIN and its options begins.
func cutExplain(text []byte, options bool) int {
	c := cutter{sql.Scanner{Text: text}}
	tok := c.next() // EXPLAIN
	if !options {
		return tok.End
	}
	if tok = c.next(); tok.Kind == sql.Punct {
		c.list(tok.End)
		return c.Pos
	}
	for c.is(tok, "analyze") || c.is(tok, "analyse") || c.is(tok, "verbose") {
		tok = c.next()
	}
	return tok.Start
}

// explainFormat is the option FORMAT in lower case.
func explainFormat(options []*pg.Node) string {
	format := ""
	for _, n := range options {
		if d := n.GetDefElem(); d.GetDefname() == "format" {
			format = strings.ToLower(optionText(d.Arg))
		}
	}
	return format
}

// plan plans EXPLAIN over several shards: the kind and the reason of the
// statement's own plan, and what each shard makes of its part.
func (e *explaining) plan(snap *topology.Snapshot, v Values) (Plan, error) {
	plan, err := e.inner.Plan(snap, v)
	if err != nil {
		return Plan{}, err
	}
	if refusal := e.refusal(&plan); refusal != nil {
		return Plan{}, refusal
	}
	lines, err := e.lines(snap, v, &plan)
	if err != nil {
		return Plan{}, err
	}
	outer := Plan{Kind: Gather, Explained: lines, Merge: &Merge{Limit: -1}, At: plan.At, Also: plan.Also, AllSlots: plan.AllSlots}
	for _, line := range lines {
		if line.Shard != "" && !slices.Contains(outer.Shards, line.Shard) {
			outer.Shards = append(outer.Shards, line.Shard)
		}
	}
	return outer, nil
}

// refusal says why EXPLAIN cannot be answered for this plan.
func (e *explaining) refusal(plan *Plan) *Refusal {
	switch {
	case e.format != "" && e.format != "text":
		return &Refusal{Reason: Unsupported, Message: "EXPLAIN of a statement on several shards has no FORMAT " + strings.ToUpper(e.format),
			Detail: "Each shard has a plan of its own.", Hint: "Use FORMAT TEXT, or EXPLAIN ROUTE."}
	case e.executes && (plan.Kind != Gather || e.inner.Access != Read):
		return &Refusal{Reason: Unsupported, Message: "EXPLAIN ANALYZE of this statement on several shards is not supported",
			Detail: "It is more than a read whose answers each shard computes for itself.", Hint: "Use EXPLAIN without ANALYZE."}
	}
	return nil
}

// lines writes the answer, but for what the shards say.
func (e *explaining) lines(snap *topology.Snapshot, v Values, plan *Plan) ([]Explained, error) {
	steps := e.inner.steps(snap, v, plan)
	if err := e.leaveOut(steps, plan); err != nil {
		return nil, err
	}
	kind := strings.ToUpper(steps[0].Kind[:1]) + steps[0].Kind[1:]
	if plan.Kind == Pull {
		kind += " on " + string(plan.Shard)
	} else if n := len(steps); plan.Kind != Staged {
		kind += " on " + strconv.Itoa(n) + plural(n, " shard")
	}
	lines := []Explained{{Line: kind}, {Line: "  Reason: " + oneLine(steps[0].Reason)}}
	if shard := plan.checking(); shard != "" {
		lines = append(lines, Explained{Shard: shard, SQL: e.prefix + e.inner.text, Check: true})
	}
	same := !slices.ContainsFunc(steps, func(s Step) bool { return s.SQLSent != steps[0].SQLSent })
	if same {
		lines = append(lines, Explained{Line: "  Sent: " + oneLine(steps[0].SQLSent)})
	}
	for i := range steps {
		step := &steps[i]
		name := "Shard " + string(step.Shard)
		if step.Shard == "" {
			name = "Step " + strconv.Itoa(step.Step)
		}
		answers := plan.Kind == Pull && i == len(steps)-1 // from a table that does not exist yet
		if answers {
			name += " answers"
		}
		lines = append(lines, Explained{Line: "  ->  " + name})
		if !same {
			lines = append(lines, Explained{Line: "        Sent: " + oneLine(step.SQLSent)})
		}
		if step.Shard != "" && !answers && !plan.divided() {
			lines = append(lines, Explained{Shard: step.Shard, SQL: e.prefix + step.SQLSent})
		}
	}
	return lines, nil
}

// divided says whether the shards write rows given by VALUES: the plan of that says nothing, and has not all parameters.
func (p *Plan) divided() bool {
	return p.Kind == Split && len(p.Parts) > 0 && p.Parts[0].division != nil
}

// checking names a shard that is to look at the whole statement for errors,
// where what the shards explain is not all of it.
func (p *Plan) checking() ring.ShardID {
	switch {
	case p.Kind == Pull, p.Kind == Staged:
		return p.Shard
	case p.divided():
		return p.Parts[0].Shard
	}
	return ""
}

// leaveOut writes the texts of the shards that have rows to leave out.
func (e *explaining) leaveOut(steps []Step, plan *Plan) error {
	for i := range plan.Hidden {
		h := &plan.Hidden[i]
		for j := range steps {
			if steps[j].Shard != h.Shard {
				continue
			}
			text, err := e.inner.HiddenText(steps[j].SQLSent, h)
			if err != nil {
				return err
			}
			steps[j].SQLSent = text
		}
	}
	return nil
}

// slotBits is a set of slots in SQL (ring.SlotSet.InSQL): a bit for each.
var slotBits = regexp.MustCompile(`x[0-9a-f]{1000}[0-9a-f]+'`)

// ShortSlots leaves the bits of slot sets out of a text for people: moving slots make conditions of it.
func ShortSlots(text string) string { return slotBits.ReplaceAllLiteralString(text, "x…'") }

// longestSent bounds, in bytes, what a line of EXPLAIN shows of a statement.
const longestSent = 1000

// oneLine is a statement as EXPLAIN shows it.
func oneLine(text string) string {
	line := strings.Join(strings.FieldsFunc(ShortSlots(text), func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	if len(line) > longestSent {
		line = strings.ToValidUTF8(line[:longestSent], "") + " …"
	}
	return line
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
