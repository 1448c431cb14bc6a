//go:build race

package proxy_test

// relayAllocations is how many allocations a relayed statement may cost: under the race detector a sync.Pool loses what it is given now
// and then.
const relayAllocations = 8
