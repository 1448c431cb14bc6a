package ring

import (
	"context"
	"sync"
	"sync/atomic"

	"example.com/m/topology"
)

func Undocumented() { topology.Documented() }

// This one starts with another word.
func Documented() {}

// Fragment of a comment without an end
func Fragment() {}

type Bare struct{}

func (Bare) Undocumented() {}

func (Bare) String() string { return "" }

var (
	One = 1
)

var lock sync.Mutex

var count atomic.Int64

var cache = make(map[string]int)

var limit = 10

var table = map[string]int{"a": 1}

var elsewhere = 3

var sentinel = &sync.Once{}

func init() {
	limit = 20
}

func change() {
	limit++
	table["b"] = 2
	delete(table, "a")
	for limit = range 3 {
	}
	_ = &limit
	{
		limit := 1 // another variable
		limit++
		_ = limit
	}
	topology.Limit = 3
	_ = context.Background()
	_ = context.TODO()
}

// TODO: later
// FIXME(#12): with an issue it is fine
func deep(rows [][]int) {
	for _, row := range rows { // 1
		if len(row) > 1 { // 2
			switch row[0] { // 3
			case 1:
				func() {
					for range row { // 4
						select { // 5
						default:
							if row[1] > 0 { // 6
								return
							}
						}
					}
				}()
			}
		} else if len(row) > 2 { // 2
			for { // 3
			}
		}
	}
}
