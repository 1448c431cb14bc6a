package router

import (
	"strings"

	"github.com/pgring/pgring/ring"
	"github.com/pgring/pgring/topology"
)

// Step is one line of EXPLAIN ROUTE.
type Step struct {
	Step    int
	Kind    string // plan kind, "local" or "refused"
	Table   string
	Key     string
	Shard   ring.ShardID
	SQLSent string
	Reason  string // "orders.user_id = 42 → slot 812 → s2"
}

// String returns the name of the plan kind.
func (k Kind) String() string {
	switch k {
	case One:
		return "one"
	case Home:
		return "home"
	case Reference:
		return "reference"
	case Gather:
		return "gather"
	case Pull:
		return "pull"
	case Broadcast:
		return "broadcast"
	case Split:
		return "split"
	case Staged:
		return "staged"
	case KindUnset:
	}
	return "unset"
}

// explainRoute analyses EXPLAIN ROUTE statement.
func (a *analysis) explainRoute(text []byte) (*Statement, bool, error) {
	inner, err := a.router.parse(a.snap, a.env, text)
	if err != nil {
		return nil, false, err
	}
	a.st.Verb, a.st.Access = ExplainRoute, Read
	a.st.Inner, a.st.InnerText = inner, string(text)
	a.st.Params = inner.Params
	a.local()
	a.finish()
	a.st.text = string(text)
	explained := *inner
	explained.text = string(text)
	a.st.Inner = &explained
	return a.st, false, nil
}

// Explain says what Plan would do, step by step: one step for each text and
// shard, or one that says why the statement is refused. Values may be nil when
// the plan needs none.
func (s *Statement) Explain(snap *topology.Snapshot, v Values) ([]Step, error) {
	if s.Verb == Generate {
		return []Step{{Step: 1, Kind: "local", Reason: "the proxy makes the values"}}, nil
	}
	plan, err := s.Plan(snap, v)
	if err != nil {
		refusal, ok := err.(*Refusal)
		if !ok {
			return nil, err
		}
		reason := refusal.Message
		if refusal.Detail != "" {
			reason += ": " + refusal.Detail
		}
		return []Step{{Step: 1, Kind: "refused", Table: s.tableNames(), Reason: reason}}, nil
	}
	return s.steps(snap, v, &plan), nil
}

// steps says what a plan of the statement does.
func (s *Statement) steps(snap *topology.Snapshot, v Values, plan *Plan) []Step {
	keys, reason := s.why(snap, v, plan)
	step := Step{Kind: plan.Kind.String(), Table: s.tableNames(), Key: keys, SQLSent: plan.SQL, Reason: reason}
	if plan.Kind == Pull && s.pull.combined {
		step.Kind = "combine"
	}
	if step.SQLSent == "" {
		step.SQLSent = s.text
	}
	return plan.steps(step)
}

// steps repeats a step for each shard of the plan.
func (p *Plan) steps(step Step) []Step {
	var steps []Step
	add := func(shard ring.ShardID, sent string) {
		next := step
		next.Step, next.Shard = len(steps)+1, shard
		if sent != "" {
			next.SQLSent = sent
		}
		steps = append(steps, next)
	}
	switch {
	case p.Kind == Staged:
		for i := range p.Stages.Queries {
			add("", p.Stages.Queries[i].SQL)
		}
		add("", p.Stages.text)
	case p.Kind == Pull:
		for _, part := range p.Parts {
			add(part.Shard, part.SQL)
		}
		add(p.Shard, p.SQL)
	case len(p.Parts) > 0:
		for _, part := range p.Parts {
			add(part.Shard, part.SQL)
		}
	case len(p.Shards) > 0:
		for _, shard := range p.Shards {
			add(shard, "")
		}
	default:
		add(p.Shard, "")
	}
	return steps
}

// tableNames lists the statement's relations for people.
func (s *Statement) tableNames() string {
	names := make([]string, 0, len(s.Tables))
	for _, t := range s.Tables {
		if t.Schema == "" || t.Schema == "public" {
			names = append(names, t.Table)
		} else {
			names = append(names, t.String())
		}
	}
	return strings.Join(names, ", ")
}
