package backend_test

import (
	"testing"

	"github.com/pgring/pgring/internal/pgtest"
)

func BenchmarkAcquireRelease(b *testing.B) {
	pools := run(b, config(pgtest.Start(b, 1)[0]))
	acquire(b, pools).Release()
	b.ReportAllocs()
	for b.Loop() {
		c, err := pools.Acquire(b.Context(), "s1", "app")
		if err != nil {
			b.Fatal(err)
		}
		c.Release()
	}
}

// BenchmarkAcquireReleaseContended has many more sessions than connections, so that most hand-overs are direct.
func BenchmarkAcquireReleaseContended(b *testing.B) {
	pools := run(b, config(pgtest.Start(b, 1)[0]))
	b.SetParallelism(100)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c, err := pools.Acquire(b.Context(), "s1", "app")
			if err != nil {
				b.Error(err)
				return
			}
			c.Release()
		}
	})
}
