package relay

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestNobodyKeepsTheLoopBusyWhileItConnects: a client whose request waits until a server has been connected to
// may send more, or end, and costs nothing until then.
func TestNobodyKeepsTheLoopBusyWhileItConnects(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for why, then := range map[string]func(c net.Conn){
		"sends more":             func(c net.Conn) { io.WriteString(c, get) },
		"sends much more":        func(c net.Conn) { io.WriteString(c, strings.Repeat(get, 5000)) },
		"ends":                   func(c net.Conn) { c.(*net.TCPConn).CloseWrite() },
		"sends more, then ends":  func(c net.Conn) { io.WriteString(c, get); c.(*net.TCPConn).CloseWrite() },
		"goes away":              func(c net.Conn) { c.Close() },
		"sends more and goes so": func(c net.Conn) { io.WriteString(c, get); c.(*net.TCPConn).SetLinger(0); c.Close() },
	} {
		f := relayTo(t, HTTPConfig{}, Config{To: []string{takesNoMore(t)}, ConnectTimeout: 5 * time.Second}, nil)
		c := f.dial(t)
		io.WriteString(c, get)
		time.Sleep(50 * time.Millisecond)
		then(c)
		time.Sleep(50 * time.Millisecond)
		before := f.snapshot(t).Loops[0].Wakes
		time.Sleep(100 * time.Millisecond)
		if n := f.snapshot(t).Loops[0].Wakes - before; n > 10 {
			t.Errorf("%s: %d wakes in 100 ms", why, n)
		}
	}
}
