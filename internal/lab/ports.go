package lab

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports are handed out of blocks. They lie below the range out of which the kernel gives connections
// their ports (ip_local_port_range): a flood takes a thousand of those a second.
const (
	firstPort = 10_000
	blockSize = 100
	blocks    = 220
)

// ports are this process's. A block is its own for as long as it runs: a listener in the abstract
// namespace of Unix sockets says so to the tests of other packages, which run beside it, and ends with
// the process.
var ports struct {
	sync.Mutex
	held []net.Listener
	next int
	left int
}

// FreePorts returns n addresses of 127.0.0.1 that nothing listens on. No two calls return the same one,
// not in other processes either.
func FreePorts(t testing.TB, n int) []string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	var out []string
	for len(out) < n {
		if ports.left == 0 && !claimPorts() {
			t.Fatalf("all %d ports from %d on are taken by tests", blocks*blockSize, firstPort)
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports.next))
		ports.next++
		ports.left--
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			out = append(out, addr)
		}
	}
	return out
}

// claimPorts takes a block that no process has.
func claimPorts() bool {
	start := rand.IntN(blocks)
	for i := range blocks {
		block := (start + i) % blocks
		l, err := net.Listen("unix", fmt.Sprintf("@weir-test-ports-%d", block))
		if err != nil {
			continue
		}
		ports.held = append(ports.held, l)
		ports.next, ports.left = firstPort+block*blockSize, blockSize
		return true
	}
	return false
}
