package ring

import (
	"testing"
	"time"
)

func TestSleeps(t *testing.T) {
	time.Sleep(time.Second)
	elsewhere = 4
	t.Skip("not today")
	t.Run("inner", func(sub *testing.T) { sub.SkipNow() })
}

func BenchmarkSkips(b *testing.B) { b.Skipf("%d", 1) }
