package relay

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"weir/engine"
)

// connectPacket is an MQTT CONNECT of a version with a client name.
func connectPacket(level byte, name string) string {
	protocol, properties := "\x00\x04MQTT", ""
	switch level {
	case 3:
		protocol = "\x00\x06MQIsdp"
	case 5:
		properties = "\x00"
	}
	body := protocol + string([]byte{level, 2, 0, 60}) + properties + string([]byte{byte(len(name) >> 8), byte(len(name))}) + name
	return string([]byte{0x10, byte(len(body)&127 | 128), byte(len(body) >> 7)}) + body
}

func packets(t *testing.T, cfg Config) *front {
	t.Helper()
	p := open(t, cfg)
	return relayTo(t, HTTPConfig{}, Config{To: []string{"unix:/none"}}, func(ec *engine.Config) { ec.Listeners[0].Service = Packets(p, 0) })
}

// vacant is an address at which nobody listens, and nobody will: a socket holds it that takes no connections.
func vacant(t *testing.T) string {
	t.Helper()
	return bound(t, func(int) error { return nil })
}

// all sends text, byte by byte when drips, and returns all that comes, and whether the end was in order.
func (f *front) all(t *testing.T, text string, drips bool) (got string, inOrder bool) {
	t.Helper()
	c := f.dial(t)
	if !drips {
		io.WriteString(c, text)
	} else {
		for i := range text {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				break
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	b, err := io.ReadAll(c)
	return string(b), err == nil
}

func TestNoBrokerIsSaidInMQTT(t *testing.T) {
	name := strings.Repeat("n", 200) // two bytes of length are then the shortest
	for _, c := range []struct {
		why string
		cfg Config
	}{
		{"nobody listens", Config{To: []string{vacant(t)}}},
		{"nor anywhere else", Config{To: []string{vacant(t), "unix:/none/s", vacant(t), vacant(t)}}},
		{"it takes nothing", Config{To: []string{takesNoMore(t)}, ConnectTimeout: 100 * time.Millisecond}},
	} {
		f := packets(t, c.cfg)
		for level, want := range map[byte]string{3: unavailable, 4: unavailable, 0x84: unavailable, 5: unavailableV5} {
			for _, drips := range []bool{false, true} {
				if got, inOrder := f.all(t, connectPacket(level, name), drips); got != want || !inOrder && !drips {
					t.Errorf("%s, version %#x: got %x, in order %v, want %x", c.why, level, got, inOrder, want)
				}
			}
		}
		for why, text := range map[string]string{
			"PINGREQ": "\xc0\x00", "HTTP": "GET / HTTP/1.1\r\n\r\n", "version 6": connectPacket(6, name), "PUBLISH": "\x30\x03\x00\x01a",
			"a length that is longer than it has to be": "\x10\x80\x00",
		} {
			if got, _ := f.all(t, text, false); got != "" {
				t.Errorf("%s, %s: got %x", c.why, why, got)
			}
		}
		if got := f.say(t, connectPacket(4, name)[:8]); got != "" {
			t.Errorf("%s, half of it: got %x", c.why, got)
		}
	}
}

// TestBrokersAreTriedUntilOneIsThere: it gets the CONNECT once, in whole, and what it does then is its own affair.
func TestBrokersAreTriedUntilOneIsThere(t *testing.T) {
	connect := connectPacket(4, strings.Repeat("n", 10_000))
	broker := serveBehind(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := r.Discard(len(connect)); err != nil {
			return
		}
		io.WriteString(c, "\x20\x02\x00\x00")
		io.Copy(c, r)
	})
	f := packets(t, Config{To: []string{vacant(t), vacant(t), broker.ln.Addr().String()}})
	for range 3 {
		c := f.dial(t)
		io.WriteString(c, connect+"\xc0\x00")
		b := make([]byte, 6)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "\x20\x02\x00\x00\xc0\x00" {
			t.Errorf("got %x, %v", b, err)
		}
		c.Close()
	}
	for _, got := range broker.recorded() {
		if got != connect+"\xc0\x00" {
			t.Errorf("it has %d bytes, not %d", len(got), len(connect)+2)
		}
	}
	dies := serveBehind(t, func(c net.Conn, r *bufio.Reader) {
		r.Discard(len(connect))
		c.(*net.TCPConn).SetLinger(0)
	})
	f = packets(t, Config{To: []string{dies.ln.Addr().String()}})
	if got, inOrder := f.all(t, connect, false); got != "" || inOrder {
		t.Errorf("a broker that has CONNECT and goes: got %x, in order %v", got, inOrder)
	}
}

// TestASilentClientCostsNoBroker: those that have not said CONNECT have no connection behind.
func TestASilentClientCostsNoBroker(t *testing.T) {
	broker := serveBehind(t, func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	f := packets(t, Config{To: []string{broker.ln.Addr().String()}})
	silent := f.dial(t)
	io.WriteString(silent, connectPacket(4, strings.Repeat("n", 200))[:9])
	other := f.dial(t)
	io.WriteString(other, connectPacket(5, strings.Repeat("n", 200)))
	eventually(t, "one is there", func() bool { return len(broker.recorded()) == 1 && f.snapshot(t).Upstreams > 0 })
	if n := f.snapshot(t).Upstreams; n != 1 {
		t.Errorf("%d connections to the broker", n)
	}
}
