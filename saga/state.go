package saga

// State is how far a saga has come. The column of that name on its home is a cache; what holds is what the barrier rows say.
//
//	open ─home COMMIT▶ RUNNING ─all DONE▶ COMMITTED
//	                     ├─only retriable VOID▶ FORWARDING ▶ COMMITTED
//	                     └─any VOID▶ COMPENSATING ─all undone▶ COMPENSATED
//	       COMPENSATING | FORWARDING ─permanent error, wrong row count▶ STUCK ─RETRY▶ back │ ABANDON▶ ABANDONED
type State string

// The states, as people read them.
const (
	Running      State = "RUNNING"      // some step is not known to be done
	Forwarding   State = "FORWARDING"   // the retriable steps that are missing are being run
	Compensating State = "COMPENSATING" // the steps that are done are being undone
	Stuck        State = "STUCK"        // that does not succeed; an operator must retry, skip a step, or abandon it
	Committed    State = "COMMITTED"    // all steps are done, for ever
	Compensated  State = "COMPENSATED"  // nothing of it remains
	Abandoned    State = "ABANDONED"    // an operator has given it up; some of it may remain
	None         State = "NONE"         // nothing was ever committed under that id, or it ended so long ago that its rows are gone
)

// Settled reports whether the state is the last one.
func (s State) Settled() bool {
	switch s {
	case Committed, Compensated, Abandoned, None:
		return true
	case Running, Forwarding, Compensating, Stuck:
		return false
	}
	return false
}
