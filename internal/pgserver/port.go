package pgserver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// Ports are taken below 32768, where Linux starts to hand out ports by itself. While a server is down no outgoing
// connection can then take its port, and a client that dials it meanwhile cannot, as it can above, connect to itself.
const (
	firstPort = 20000
	lastPort  = 32000
)

// Port is a TCP port on 127.0.0.1 that no other user of this package takes, in this program or another, until Release.
type Port struct {
	// Number is the port itself.
	Number int

	release sync.Once
	lock    *fileLock
}

// ReservePort finds a port on which nobody listens.
func ReservePort() (*Port, error) {
	dir := filepath.Join("/tmp", fmt.Sprintf("pgring-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	for range 1000 {
		number := firstPort + rand.IntN(lastPort-firstPort)
		lock, err := tryLockFile(filepath.Join(dir, strconv.Itoa(number)))
		if err != nil {
			return nil, fmt.Errorf("reserve a port: %w", err)
		}
		if lock == nil {
			continue
		}
		if port := (&Port{Number: number, lock: lock}); port.free() {
			return port, nil
		} else {
			port.Release()
		}
	}
	return nil, errors.New("reserve a port: none free")
}

func (p *Port) free() bool {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p.Number)))
	return err == nil && listener.Close() == nil
}

// Release gives the port back. It may be called twice.
func (p *Port) Release() {
	p.release.Do(func() { _ = p.lock.remove() }) // a file that stays behind unlocked reserves nothing
}
