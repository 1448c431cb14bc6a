//go:build !race

package e2e

// raceDetector tells that the tests were built with -race.
const raceDetector = false
