// Package kafkaserver runs a real Kafka broker as a child process, for tests: one that is its own controller, on free loopback ports, with
// its data in a temporary directory.
//
// One that was started by StartSecure has a second listener with TLS and a login.
//
// It promises that a started broker answers, that it is gone when Close returns, and that it dies with the process that started it. What a
// topic has is still there after Kill9 and Restart. It takes a second or two of one core to start, and a quarter of a gigabyte.
//
// The broker's jars are fetched by scripts/kafka.sh (make kafka), once for all working trees.
package kafkaserver
