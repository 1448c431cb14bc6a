//go:build !race

package proxy_test

// relayAllocations is how many allocations a relayed statement may cost.
const relayAllocations = 0
