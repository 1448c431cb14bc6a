package pgserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	caName   = "pgring-ca.crt"
	certName = "pgring-server.crt"
	keyName  = "pgring-server.key"
)

// prepareTLS writes certificates unless the data directory has them from an earlier start.
func (s *Server) prepareTLS() error {
	if s.cfg.TLS == TLSOff {
		return nil
	}
	s.CAFile = filepath.Join(s.DataDir, caName)
	if _, err := os.Stat(s.CAFile); err == nil {
		return nil
	}
	chain, err := NewChain()
	if err != nil {
		return fmt.Errorf("make TLS certificates: %w", err)
	}
	// The authority's file is the last one: where it exists, all do.
	for _, file := range []struct {
		name string
		text []byte
	}{{keyName, chain.Key}, {certName, chain.Cert}, {caName, chain.CA}} {
		if err := s.writeFile(file.name, string(file.text)); err != nil {
			return err
		}
	}
	return nil
}

// Chain is a certificate authority and a certificate that it has signed for servers on localhost, in PEM.
type Chain struct{ CA, Cert, Key []byte }

// NewChain makes both anew.
func NewChain() (Chain, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Chain{}, err
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Chain{}, err
	}
	ca := certificate("pgring test authority", 1)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	server := certificate("localhost", 2)
	server.KeyUsage, server.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.ParseIP(host), net.IPv6loopback}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return Chain{}, err
	}
	serverDER, err := x509.CreateCertificate(rand.Reader, server, ca, serverKey.Public(), caKey)
	if err != nil {
		return Chain{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		return Chain{}, err
	}
	return Chain{
		CA:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: serverDER}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

func certificate(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
	}
}
