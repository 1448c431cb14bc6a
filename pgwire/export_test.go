package pgwire

import (
	"crypto/tls"
	"testing"
)

// TestIdentity is a server's certificate for the tests outside the package, which need real servers and clients.
type TestIdentity struct {
	Server *tls.Config
	File   string
}

// NewTestIdentity makes a certificate for localhost.
func NewTestIdentity(t testing.TB) TestIdentity {
	id := ecdsaIdentity(t)
	return TestIdentity{id.server, id.file}
}
