package kafkaserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/pgring/pgring/internal/pgserver"
)

// Who may log in to a secure listener, by SCRAM-SHA-512.
const (
	User     = "pgring"
	Password = "the broker's password"
)

// secureSettings are those of one more listener, with its port and its file of certificates.
const secureSettings = `
listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d,SECURE://127.0.0.1:%[3]d
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location=%[4]s
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
`

// StartSecure starts a broker that has a second listener for clients, which wants TLS and a login: that of User.
func StartSecure(ctx context.Context) (*Server, error) {
	secure, err := pgserver.ReservePort()
	if err != nil {
		return nil, err
	}
	s, err := (&Server{secure: secure}).begin(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.addUser(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// secured adds the listener to the settings.
func (s *Server) secured(text string) (string, error) {
	chain, err := pgserver.NewChain()
	if err != nil {
		return "", fmt.Errorf("make the broker's certificate: %w", err)
	}
	keystore := filepath.Join(s.dir, "broker.pem")
	if err := errors.Join(os.WriteFile(keystore, append(chain.Key, chain.Cert...), 0o600), os.WriteFile(s.CAFile(), chain.CA, 0o644)); err != nil {
		return "", err
	}
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "listeners=") && !strings.HasPrefix(line, "listener.security.protocol.map=") {
			kept.WriteString(line)
		}
	}
	return kept.String() + fmt.Sprintf(secureSettings, s.client.Number, s.quorum.Number, s.secure.Number, keystore), nil
}

// addUser has the broker know who may log in, which is told to it by the other listener.
func (s *Server) addUser(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Addr()))
	if err != nil {
		return err
	}
	defer client.Close()
	altered, err := kadm.NewClient(client).AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: User, Password: Password, Mechanism: kadm.ScramSha512, Iterations: 4096}})
	for _, a := range altered {
		err = errors.Join(err, a.Err)
	}
	if err != nil {
		return fmt.Errorf("add a user to the broker: %w", err)
	}
	return nil
}

// SecureAddr is where clients connect to with TLS and a login.
func (s *Server) SecureAddr() string {
	return net.JoinHostPort(host, strconv.Itoa(s.secure.Number))
}

// CAFile is the certificate authority to verify a secure broker with.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "ca.pem") }
