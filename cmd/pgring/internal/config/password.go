package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// The numbers of PostgreSQL's own verifiers (src/include/common/scram-common.h).
const (
	scramPrefix     = "SCRAM-SHA-256$"
	scramIterations = 4096
	scramSaltBytes  = 16
	scramKeyBytes   = 32
)

// HashPassword returns the SCRAM-SHA-256 verifier of a plain password with a fresh salt, in the form of PostgreSQL's
// pg_authid: SCRAM-SHA-256$4096:salt$storedkey:serverkey. Both PostgreSQL and auth.users[].password accept it.
func HashPassword(plain string) (string, error) {
	if plain == "" {
		return "", errors.New("hash password: it is empty")
	}
	salt := make([]byte, scramSaltBytes)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("hash password: draw a salt: %w", err)
	}
	return hashWithSalt(plain, salt)
}

func hashWithSalt(plain string, salt []byte) (string, error) {
	client, err := scram.SHA256.NewClient("", plain, "")
	if err != nil {
		// As PostgreSQL does: a password that SASLprep prohibits is used byte for byte.
		client, err = scram.SHA256.NewClientUnprepped("", plain, "")
	}
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: scramIterations})
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s%d:%s$%s:%s", scramPrefix, scramIterations, b64(salt), b64(keys.StoredKey), b64(keys.ServerKey)), nil
}

// IsVerifier tells whether a password is written as a SCRAM verifier rather than in plain.
func IsVerifier(text string) bool { return strings.HasPrefix(text, scramPrefix) }

// ParseVerifier reads what HashPassword or PostgreSQL wrote. Its errors never quote the text.
func ParseVerifier(text string) (scram.StoredCredentials, error) {
	bad := errors.New("the SCRAM verifier is not SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>")
	rest, ok := strings.CutPrefix(text, scramPrefix)
	if !ok {
		return scram.StoredCredentials{}, bad
	}
	factors, keys, _ := strings.Cut(rest, "$")
	iterations, salt64, _ := strings.Cut(factors, ":")
	stored64, server64, _ := strings.Cut(keys, ":")
	n, err1 := strconv.Atoi(iterations)
	salt, err2 := base64.StdEncoding.DecodeString(salt64)
	stored, err3 := base64.StdEncoding.DecodeString(stored64)
	server, err4 := base64.StdEncoding.DecodeString(server64)
	if errors.Join(err1, err2, err3, err4) != nil || n < 1 || len(salt) == 0 || len(stored) != scramKeyBytes || len(server) != scramKeyBytes {
		return scram.StoredCredentials{}, bad
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(salt), Iters: n},
		StoredKey:  stored,
		ServerKey:  server,
	}, nil
}
