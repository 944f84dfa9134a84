package engine

import (
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"weir/codec"
	"weir/codec/line"
	"weir/engine/service"
	"weir/guard"
)

// prover serves nobody before the line "open sesame".
type prover struct{}

func (prover) Name() string            { return "prover" }
func (prover) ForLoop() service.Opener { return prover{} }
func (prover) Open(c service.Conn) service.Session {
	return &proving{}
}

type proving struct {
	line.Decoder
	asked, known bool
}

func (s *proving) Stage() service.Stage {
	switch {
	case s.asked && !s.known:
		return service.Proving
	case s.Partial():
		return service.InFrame
	}
	return service.Between
}

func (s *proving) Serve(c service.Conn, u codec.Unit) int {
	s.asked = true
	switch {
	case s.known:
		c.WriteString("served\n")
	case string(u.Data) == "open sesame":
		s.known = true
		c.Report(service.LoggedIn, "ali", "")
		c.WriteString("welcome\n")
	default:
		c.Report(service.AuthFailed, string(u.Data), "wrong word")
		c.WriteString("no\n")
	}
	return len(u.Data)
}

func (s *proving) Refuse(c service.Conn, r service.Refusal) { c.WriteString("refused\n") }
func (s *proving) Fault(service.Conn, codec.Fault)          {}
func (s *proving) Closed()                                  {}

// TestAuthTimeout: it runs from accept, whatever comes and however often, and not after.
func TestAuthTimeout(t *testing.T) {
	var mu sync.Mutex
	var told []Event
	e, addr := serve(t, prover{}, 100, func(c *Config) {
		unlimited(c)
		c.Listeners[0].AuthTimeout = time.Second
		c.Events = func(e Event) { mu.Lock(); told = append(told, e); mu.Unlock() }
	})
	tries := 0
	for _, c := range []struct {
		why, every string
	}{
		{"wrong words again and again", "x\n"},
		{"drips", "x"},
	} {
		inTime(t, 1800*time.Millisecond, func() time.Duration {
			tries++
			begun := time.Now() // before it is accepted
			conn := dial(t, addr)
			io.WriteString(conn, "first\n")
			go func() {
				for {
					time.Sleep(200 * time.Millisecond) // as often as events are told of
					if _, err := io.WriteString(conn, c.every); err != nil {
						return
					}
				}
			}()
			io.ReadAll(conn)
			d := time.Since(begun)
			if d < time.Second {
				t.Errorf("%s: cut after %v", c.why, d)
			}
			conn.Close()
			return d
		})
	}
	if n := snap(e).Shed[guard.ShedAuthTimeout]; n != uint64(tries) {
		t.Errorf("%d were cut for it, of %d", n, tries)
	}
	conn := dial(t, addr)
	io.WriteString(conn, "open sesame\n")
	time.Sleep(1500 * time.Millisecond)
	io.WriteString(conn, "x\n")
	got := make([]byte, len("welcome\nserved\n"))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "welcome\nserved\n" {
		t.Errorf("%q, %v", got, err)
	}
	s := snap(e)
	if s.Logins != 1 || s.Shed[guard.ShedAuthFailed] < 3 {
		t.Errorf("%d logins, %d failures", s.Logins, s.Shed[guard.ShedAuthFailed])
	}
	mu.Lock()
	defer mu.Unlock()
	ali, first := 0, 0
	for _, e := range told {
		if e.Source != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%+v", e)
		}
		switch {
		case e.Reason == guard.OK && e.Account == "ali" && e.Count == 1:
			ali++
		case e.Reason == guard.ShedAuthFailed && e.Account == "first" && e.Detail == "wrong word":
			first++
		}
	}
	if ali != 1 || first != tries {
		t.Errorf("told %+v", told)
	}
}
