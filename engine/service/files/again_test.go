package files

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"weir/codec"
	"weir/engine"
	"weir/engine/service"
)

// held stands in front of a service and keeps each head until another connection's was decoded.
type held struct{ service.Service }

func (h held) ForLoop() service.Opener { return &heldOpener{opener: h.Service.ForLoop()} }

type heldOpener struct {
	opener service.Opener
	first  *heldSession
}

func (o *heldOpener) Open(c service.Conn) service.Session {
	return &heldSession{Session: o.opener.Open(c), o: o}
}

type heldSession struct {
	service.Session
	o    *heldOpener
	c    service.Conn
	free bool
}

func (s *heldSession) Serve(c service.Conn, u codec.Unit) int {
	if u.Kind == codec.Frame && !s.free {
		if s.o.first == nil {
			s.o.first, s.c = s, c
			s.free = true
			c.Hold()
			return 0
		}
		s.o.first.c.Resume()
		s.free = true
	}
	return s.Session.Serve(c, u)
}

// TestAHeadThatWaitedIsStillItsOwn has a GET wait in front of the service while a PUT of another
// connection is decoded: each is answered as what it is.
func TestAHeadThatWaitedIsStillItsOwn(t *testing.T) {
	r := uploads(t, Uploads{}, map[string]string{"a": "the file"}, func(c *engine.Config) {
		c.Listeners[0].Service = held{c.Listeners[0].Service}
	})
	waits, other := r.dial(), r.dial()
	io.WriteString(waits, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	time.Sleep(50 * time.Millisecond)
	io.WriteString(other, "PUT /made HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	for _, tt := range []struct {
		c    net.Conn
		code int
	}{{waits, 200}, {other, 201}} {
		resp, err := http.ReadResponse(bufio.NewReader(tt.c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != tt.code || tt.code == 200 && string(body) != "the file" {
			t.Errorf("%d %q, want %d", resp.StatusCode, body, tt.code)
		}
	}
	if b, err := os.ReadFile(r.path("made")); string(b) != "abc" {
		t.Errorf("%q, %v", b, err)
	}
}
