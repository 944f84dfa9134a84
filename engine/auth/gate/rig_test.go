package gate

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"weir/engine"
	"weir/engine/auth/accounts"
	"weir/engine/service"
	"weir/guard"
	"weir/internal/lab"
)

const (
	password = "correct horse"
	token    = accounts.TokenPrefix + "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
	expired  = accounts.TokenPrefix + "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"
)

// people are alice, who may read and write, bob, who may nothing, and carol, who is disabled; all with
// the same password. Alice has a token that reads.
func people(t testing.TB, iterations int) *accounts.Set {
	t.Helper()
	c, err := scram.SHA256.NewClient("x", password, "")
	must(t, err)
	salt := []byte("0123456789abcdef")
	cred, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	must(t, err)
	b64 := base64.StdEncoding.EncodeToString
	v := fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(cred.StoredKey), b64(cred.ServerKey))
	s, err := accounts.Parse(fmt.Appendf(nil, "weir-accounts 1 decoy=%s\nuser alice scopes=read,write verifier=%s\n"+
		"token alice t scopes=read created=2026-01-01T00:00:00Z expires=- hash=%x\n"+
		"token alice old scopes=read created=2026-01-01T00:00:00Z expires=2026-01-02T00:00:00Z hash=%x\n"+
		"user bob scopes=- verifier=%s\nuser carol scopes=read verifier=%s disabled\n",
		b64(make([]byte, 32)), v, sha256.Sum256([]byte(token)), sha256.Sum256([]byte(expired)), v, v))
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var authority = sync.OnceValue(lab.NewAuthority)

// rig is a server with one listener.
type rig struct {
	*engine.Engine
	addr   string
	mu     sync.Mutex
	events []engine.Event
	set    atomic.Pointer[accounts.Set]
}

// serve serves s without limits per source.
func serve(t testing.TB, r *rig, s service.Service, secure bool, change func(*engine.Config)) {
	t.Helper()
	l := engine.DefaultLimits()
	l.SourceConns, l.SourceConnRate, l.SourceUnproven, l.SourceFrameRate, l.SourceHandshakeRate = 0, 0, 0, 0, 0
	// A busy machine is no slow client.
	l.HandshakeTimeout, l.FirstFrameTimeout, l.AuthTimeout, l.FrameTimeout, l.MinRateGrace = time.Minute, time.Minute, time.Minute, time.Minute, time.Minute
	cfg := engine.Config{
		Loops: 1, Workers: 4, DrainTimeout: time.Second, Guard: guard.DefaultConfig(),
		Listeners: []engine.Listener{{Name: "test", Network: "tcp", Address: "127.0.0.1:0", Service: s, MaxIn: 1 << 20, Limits: l}},
		Events:    func(e engine.Event) { r.mu.Lock(); r.events = append(r.events, e); r.mu.Unlock() },
	}
	cfg.Guard.MaxConns = 2000
	if secure {
		server := &tls.Config{Certificates: []tls.Certificate{authority().Issue("weir.test")}, ClientCAs: authority().Pool, ClientAuth: tls.VerifyClientCertIfGiven}
		cfg.Listeners[0].TLS = func() *tls.Config { return server }
	}
	if change != nil {
		change(&cfg)
	}
	e, err := engine.New(cfg)
	must(t, err)
	must(t, e.Start())
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		e.Stop(ctx)
	})
	r.Engine, r.addr = e, e.Addrs()[0].String()
}

// Snapshot is one to which the loop has answered, however busy the machine is.
func (r *rig) Snapshot() (s engine.Snapshot) {
	for range 100 {
		s = r.Engine.Snapshot()
		if !slices.ContainsFunc(s.Loops, func(l engine.LoopSnapshot) bool { return l.Stale }) {
			break
		}
	}
	return s
}

// told counts the events of a reason about an account.
func (r *rig) told(why guard.Reason, account string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Reason == why && e.Account == account {
			n++
		}
	}
	return n
}

func clientTLS() *tls.Config { return &tls.Config{RootCAs: authority().Pool, ServerName: "weir.test"} }

func dial(t testing.TB, r *rig) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}
