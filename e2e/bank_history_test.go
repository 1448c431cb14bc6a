package e2e

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"
)

// never is the time of an answer that did not come, or that left open what happened.
const never = math.MaxInt64

// balance is what a client has seen of an account.
type balance struct {
	known bool
	is    int64
}

// event is one transfer, or a look at an account, as a client knows it. Times are nanoseconds since the bank opened.
type event struct {
	number     int64    // of the transfer; 0: a look at the first account
	accounts   [2]int64 // from, to
	amount     int64
	after      [2]balance
	call, told int64
}

func (b *bank) now() int64 { return time.Since(b.begun).Nanoseconds() }

// look reads an account, on its own.
func (b *bank) look(ctx context.Context, conn *pgx.Conn) {
	e := event{accounts: [2]int64{b.accounts[rand.IntN(len(b.accounts))]}, call: b.now()}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if conn.QueryRow(ctx, "SELECT balance FROM customers WHERE id = $1", e.accounts[0]).Scan(&e.after[0].is) != nil {
		return
	}
	e.after[0].known, e.told = true, b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.history = append(b.history, e)
}

// change is one thing that happens to one account; a look changes nothing.
type change struct{ account, by int64 }

// account is the model of one account: a change takes place at one moment between its call and its answer, and who has seen the
// balance has seen the sum of all changes until then.
func account() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			var parts [][]porcupine.Operation
			place := map[int64]int{}
			for _, o := range history {
				id := o.Input.(change).account
				if _, known := place[id]; !known {
					place[id] = len(parts)
					parts = append(parts, nil)
				}
				parts[place[id]] = append(parts[place[id]], o)
			}
			return parts
		},
		Init: func() any { return int64(bankSavings) },
		Step: func(state, input, output any) (bool, any) {
			after, seen := state.(int64)+input.(change).by, output.(balance)
			return !seen.known || seen.is == after, after
		},
	}
}

// checkHistory checks that every account is linearizable: that what all clients have seen of it, and when, is what one account
// would have shown that took one change after another. Each shard's part of a saga is a change of its own, and so is what undoes
// it; the books say which parts there were.
func (b *bank) checkHistory(t *testing.T) {
	t.Helper()
	books, undone := b.books(t)
	var history []porcupine.Operation
	add := func(account, by, call, told int64, seen balance) {
		history = append(history, porcupine.Operation{Input: change{account, by}, Call: call, Output: seen, Return: min(told, b.now())})
	}
	looks, undos := 0, 0
	for _, e := range b.history {
		if e.number == 0 {
			looks++
			add(e.accounts[0], 0, e.call, e.told, e.after[0])
			continue
		}
		for i, id := range e.accounts {
			by := e.amount * int64(2*i-1)
			entry := [2]int64{id, e.number}
			if !books[entry] {
				continue // rolled back: nobody can have seen it
			}
			add(id, by, e.call, e.told, e.after[i])
			if undone[entry] {
				undos++
				add(id, -by, e.call, e.told, balance{})
			}
		}
	}
	if result := porcupine.CheckOperationsTimeout(account(), history, patience); result != porcupine.Ok {
		t.Errorf("the accounts' history is %s", result)
	}
	// The check would notice one wrong balance.
	for i := range history {
		if seen := history[i].Output.(balance); seen.known {
			history[i].Output = balance{known: true, is: seen.is + 1}
			break
		}
	}
	if porcupine.CheckOperationsTimeout(account(), history, patience) == porcupine.Ok {
		t.Error("a history with a wrong balance is taken for a right one")
	}
	t.Logf("%d changes and looks of %d accounts are linearizable; %d looks, %d changes undone", len(history), len(b.accounts), looks, undos)
}

// books are the entries of all accounts with their transfers' numbers, and those that were undone.
func (b *bank) books(t *testing.T) (all, undone map[[2]int64]bool) {
	t.Helper()
	all, undone = map[[2]int64]bool{}, map[[2]int64]bool{}
	for _, s := range b.servers {
		rows, err := s.ConnectAs(t, "postgres", database).Query(t.Context(), "SELECT customer_id, id, item IS NULL FROM orders")
		must(t, err)
		var entry [2]int64
		var gone bool
		_, err = pgx.ForEachRow(rows, []any{&entry[0], &entry[1], &gone}, func() error {
			all[entry] = true
			if gone {
				undone[entry] = true
			}
			return nil
		})
		must(t, err)
	}
	return all, undone
}
