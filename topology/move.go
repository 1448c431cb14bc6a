package topology

import (
	"fmt"
	"slices"
	"time"

	"github.com/pgring/pgring/ring"
)

// MoveState is how far a move has come. Each is recorded in the control database before what it stands for is done.
//
//	planned ▶ preparing ▶ copying ▶ catching up ▶ verifying ▶ freezing ▶ switched ▶ reversible ▶ cleaning ▶ guarding ▶ done
//	   │          │          │        │ ▲            │            │
//	   │          │          │        │ └────────────┴────────────┘ (a cut-over that is given up)
//	   ▼          └──────────┴────────┴──────────────┴─────▶ cancelling ▶ cancelled
//	cancelled
//
// A reversible move that is reverted changes source and target and goes on from catching up, without a way back of its own.
type MoveState uint8

// The states of rebalance/DESIGN.md. The zero value means unset and is never stored.
const (
	MoveUnset      MoveState = iota
	MovePlanned              // nothing is done yet
	MovePreparing            // the slots are hidden on the target; guards and publication are being made
	MoveCopying              // rows are copied from one snapshot
	MoveCatchingUp           // what has changed since is applied
	MoveVerifying            // both sides are compared at one point of the stream
	MoveFreezing             // proxies hold writes back; the source is closed, and the target gets the last changes
	MoveSwitched             // the map says the target: from here there is only forward
	MoveReversible           // the target serves; what changes there is brought to the source, which could take the slots back
	MoveCleaning             // the target serves; rows on the source are deleted
	MoveGuarding             // all is done, but the source is guarded against proxies that have not been heard of since
	MoveDone
	MoveCancelling // what was done is being undone
	MoveCancelled
)

// String gives the word that the control database and the console use.
func (s MoveState) String() string {
	names := []string{"unset", "planned", "preparing", "copying", "catching_up", "verifying", "freezing", "switched",
		"reversible", "cleaning", "guarding", "done", "cancelling", "cancelled"}
	if int(s) < len(names) {
		return names[s]
	}
	return names[0]
}

// ParseMoveState is the inverse of [MoveState.String]; an unknown word gives MoveUnset.
func ParseMoveState(text string) MoveState {
	for s := MovePlanned; s <= MoveCancelled; s++ {
		if s.String() == text {
			return s
		}
	}
	return MoveUnset
}

// Finished reports whether nothing is left to be done.
func (s MoveState) Finished() bool { return s == MoveDone || s == MoveCancelled }

// Closed reports whether proxies hold writes to the move's slots back.
func (s MoveState) Closed() bool { return s == MoveFreezing || s == MoveSwitched }

// Copies reports whether rows are copied, or are going to be.
func (s MoveState) Copies() bool { return s >= MovePlanned && s <= MoveCopying }

// CanCancel reports whether the move can still be undone: the map has not been switched. Of a reverted one it is the reverting that
// is.
func (s MoveState) CanCancel() bool { return s >= MovePlanned && s <= MoveFreezing }

// Move is one online transfer of slots of a colocation group from one shard to another. Immutable once published.
type Move struct {
	ID       int64
	Group    string
	From, To ring.ShardID
	Slots    *ring.SlotSet // or single keys, or slots without the keys in them that are pinned
	State    MoveState
	Term     int64  // of the controller that drives it: what an earlier one still does is refused
	Switched int64  // the epoch at which the map said the target; 0 before
	Problem  string // why it stopped, for people; empty while it goes on
	Paused   bool   // an operator has stopped it
	Reverted bool   // an operator has sent the slots back: From and To have changed places since

	// Until is when a move ceases to be reversible by itself; zero before it has been.
	Until time.Time
}

// what names what the move takes along, for people.
func (m *Move) what() string {
	with, _ := m.Slots.Keys()
	switch {
	case len(with) == 0:
		return fmt.Sprintf("%d slots", m.Slots.Len())
	case m.Slots.Len() == 0 && len(with) == 1:
		return fmt.Sprintf("key %s", with[0])
	case m.Slots.Len() == 0:
		return fmt.Sprintf("%d keys", len(with))
	}
	return fmt.Sprintf("%d slots and %d keys", m.Slots.Len(), len(with))
}

// hiddenOn says on which shard rows of the move's slots are not those that count; empty when there are none.
func (m *Move) hiddenOn() ring.ShardID {
	switch m.State {
	case MovePreparing, MoveCopying, MoveCatchingUp, MoveVerifying, MoveFreezing, MoveCancelling:
		return m.To
	case MoveSwitched, MoveReversible, MoveCleaning:
		return m.From
	case MoveUnset, MovePlanned, MoveGuarding, MoveDone, MoveCancelled:
	}
	return ""
}

// Touches reports whether a statement on that slot of a group, or on all of its slots, concerns the move.
func (m *Move) Touches(group string, slot ring.Slot, all bool) bool {
	return m.Group == group && (all || m.Slots.Has(slot))
}

// Hidden gives the slots of a group that exist on a shard, or may, without being the ones that count: a statement on several
// shards must leave them out there. Nil means none. All sets of one snapshot belong together.
func (s *Snapshot) Hidden(group string, shard ring.ShardID) *ring.SlotSet {
	var hidden *ring.SlotSet
	for _, m := range s.Moves {
		if m.Group == group && m.hiddenOn() == shard {
			hidden = hidden.Union(m.Slots)
		}
	}
	return hidden
}

// Guarded gives the slots that the guard a finished move left on its source must refuse: those that the source has not got back.
func (s *Snapshot) Guarded(m *Move) *ring.SlotSet {
	g := s.Group(m.Group)
	if g == nil {
		return nil
	}
	placed, ok := g.Placement.(*ring.Map)
	if !ok {
		return nil
	}
	return m.Slots.Without(placed.Part(m.From))
}

// Busy reports whether a move is under way, other than one that is over but for its guards: those of one group, or of any if that
// is empty.
func (s *Snapshot) Busy(group string) bool {
	return slices.ContainsFunc(s.Moves, func(m *Move) bool { return (group == "" || m.Group == group) && m.State != MoveGuarding })
}

// Moving reports whether a move of the group is under way whose rows are on two shards, or may be.
func (s *Snapshot) Moving(group string) bool {
	return slices.ContainsFunc(s.Moves, func(m *Move) bool { return m.Group == group && m.hiddenOn() != "" })
}

// Reversible lists the moves that can be reverted.
func (s *Snapshot) Reversible() []*Move {
	var moves []*Move
	for _, m := range s.Moves {
		if m.State == MoveReversible {
			moves = append(moves, m)
		}
	}
	return moves
}

// moving are the moves of a group that are not finished.
func (f *facts) moving(group string) bool {
	return slices.ContainsFunc(f.moves, func(m Move) bool { return m.Group == group && !m.State.Finished() && m.State != MoveGuarding })
}

func (f *facts) move(id int64) (Move, bool) {
	i := slices.IndexFunc(f.moves, func(m Move) bool { return m.ID == id })
	if i < 0 {
		return Move{}, false
	}
	return f.moves[i], true
}

func (f *facts) setMove(m Move) {
	for i := range f.moves {
		if f.moves[i].ID == m.ID {
			f.moves[i] = m
			return
		}
	}
	f.moves = append(f.moves, m)
}

func (m Move) sameAs(o Move) bool {
	return m.ID == o.ID && m.State == o.State && m.Term == o.Term && m.Switched == o.Switched && m.Problem == o.Problem &&
		m.Paused == o.Paused && m.Reverted == o.Reverted && m.Until.Equal(o.Until)
}

// published are the unfinished moves as the snapshot shows them, by id.
func (f *facts) published() []*Move {
	var moves []*Move
	for i := range f.moves {
		if m := f.moves[i]; !m.State.Finished() {
			moves = append(moves, &m)
		}
	}
	return moves
}
