// Package faultnet puts a TCP proxy with faults on command between two programs under test.
//
//	proxy := faultnet.Start(t, server.Addr())
//	dial(proxy.Addr())
//	proxy.Hold(faultnet.ToServer)   // bytes wait, the connection stays open
//	proxy.Cut()                     // RST on both sides of every connection
//
// It promises that a fault is in force when the method that asked for it returns, that bytes are never reordered or altered,
// and that nothing of it runs after the test. It works on whole TCP connections: loss and reordering of packets, which TCP
// hides from programs anyway, are not its business.
package faultnet
