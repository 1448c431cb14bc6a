// Package golden compares what people read (plans, console output, errors, metrics) with files in testdata.
//
//	golden.Check(t, "show_pools", got) // testdata/show_pools.golden
//
// With PGRING_UPDATE=1 in the environment the files are written instead, to be read in the diff of the commit.
package golden
