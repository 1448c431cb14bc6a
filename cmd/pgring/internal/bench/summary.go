package bench

import (
	"slices"
)

// Spread is the middle and the ends of some figures.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spread of at least one figure.
func spread(figures []float64) Spread {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// Contender is what one way to the data showed in one cell.
type Contender struct {
	Name string `json:"name"`
	// Unsupported says that it cannot serve the cell; then there are no figures.
	Unsupported bool `json:"unsupported,omitempty"`
	// Error says why it has no figures, or too few.
	Error string `json:"error,omitempty"`
	// Samples has one entry per round.
	Samples []Sample `json:"samples,omitempty"`
	// TPS, LatencyMS and CPUMicros are of the samples; nil without them, and CPUMicros also without a proxy.
	TPS       *Spread `json:"tps,omitempty"`
	LatencyMS *Spread `json:"latency_ms,omitempty"`
	CPUMicros *Spread `json:"cpu_us,omitempty"`
	// ServerMicros and AppliedTPS are there where a table is filled on a server that syncs.
	ServerMicros *Spread `json:"server_cpu_us,omitempty"`
	AppliedTPS   *Spread `json:"applied_tps,omitempty"`
}

// Ratio is pgring's figures divided by another contender's, round by round.
type Ratio struct {
	To        string  `json:"to"`
	TPS       Spread  `json:"tps"`
	LatencyMS Spread  `json:"latency_ms"`
	CPUMicros *Spread `json:"cpu_us,omitempty"` // nil when the other is no proxy
	// ServerMicros is the other way round, the other's figures divided by pgring's: how much pgring takes off the server.
	ServerMicros *Spread `json:"server_cpu_saved,omitempty"`
	AppliedTPS   *Spread `json:"applied_tps,omitempty"`
}

// Result is one cell of the matrix.
type Result struct {
	Cell
	Contenders []Contender `json:"contenders"`
	Ratios     []Ratio     `json:"ratios"` // of pgring to those that have figures
}

func tps(s Sample) float64     { return s.TPS }
func latency(s Sample) float64 { return s.LatencyMS }
func cpu(s Sample) float64     { return s.CPUMicros }
func server(s Sample) float64  { return s.ServerMicros }
func applied(s Sample) float64 { return s.AppliedTPS }

// summarize makes a cell's row of the report.
func summarize(cell Cell, contenders []contender, found []series) Result {
	r := Result{Cell: cell, Ratios: []Ratio{}}
	for i, c := range contenders {
		r.Contenders = append(r.Contenders, describe(c, cell, found[i]))
	}
	ours := r.of(PgRing).Samples
	for _, other := range r.Contenders {
		if other.Name != PgRing && complete(ours, other.Samples) {
			r.Ratios = append(r.Ratios, divide(ours, other))
		}
	}
	return r
}

func describe(c contender, cell Cell, s series) Contender {
	d := Contender{Name: c.name, Unsupported: !c.can(cell), Samples: s.samples}
	if s.fault != nil {
		d.Error = s.fault.Error()
	}
	if len(s.samples) == 0 {
		return d
	}
	d.TPS, d.LatencyMS = each(s.samples, tps), each(s.samples, latency)
	if c.process != nil {
		d.CPUMicros = each(s.samples, cpu)
	}
	if workloadOf(cell).durable() {
		d.ServerMicros, d.AppliedTPS = each(s.samples, server), each(s.samples, applied)
	}
	return d
}

func each(samples []Sample, figure func(Sample) float64) *Spread {
	var figures []float64
	for _, s := range samples {
		figures = append(figures, figure(s))
	}
	all := spread(figures)
	return &all
}

// complete reports whether there is a pair in every round.
func complete(ours, theirs []Sample) bool { return len(ours) > 0 && len(ours) == len(theirs) }

// divide compares what was measured side by side: it is the ratios that have a median, not the figures.
func divide(ours []Sample, other Contender) Ratio {
	r := Ratio{To: other.Name, TPS: paired(ours, other.Samples, tps), LatencyMS: paired(ours, other.Samples, latency)}
	if other.CPUMicros != nil {
		ratio := paired(ours, other.Samples, cpu)
		r.CPUMicros = &ratio
	}
	if other.ServerMicros != nil {
		saved, ratio := paired(other.Samples, ours, server), paired(ours, other.Samples, applied)
		r.ServerMicros, r.AppliedTPS = &saved, &ratio
	}
	return r
}

func paired(ours, theirs []Sample, figure func(Sample) float64) Spread {
	var ratios []float64
	for i := range ours {
		if below := figure(theirs[i]); below > 0 {
			ratios = append(ratios, figure(ours[i])/below)
		}
	}
	if len(ratios) == 0 {
		return Spread{}
	}
	return spread(ratios)
}

// of is the contender of that name, empty when it did not take part.
func (r Result) of(name string) Contender {
	for _, c := range r.Contenders {
		if c.Name == name {
			return c
		}
	}
	return Contender{}
}

// to is the ratio to a contender; ok is false when there is none.
func (r Result) to(name string) (ratio Ratio, ok bool) {
	for _, ratio := range r.Ratios {
		if ratio.To == name {
			return ratio, true
		}
	}
	return Ratio{}, false
}
