package attack

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
)

// logins is what a server was told.
type logins struct {
	mu     sync.Mutex
	names  map[string]int
	proofs map[string]bool
	from   map[string]int
	wrong  string
}

func (l *logins) note(c net.Conn, name, proof, wrong string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names == nil {
		l.names, l.proofs, l.from = map[string]int{}, map[string]bool{}, map[string]int{}
	}
	host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	l.names[name]++
	l.proofs[proof] = true
	l.from[host]++
	if wrong != "" {
		l.wrong = wrong
	}
}

// scram is a server that asks for a proof, and answers it as it is told to.
func (l *logins) scram(s target.Scheme, last string) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		hear := func() string {
			if s == target.Line {
				line, _ := in.ReadString('\n')
				return strings.TrimSuffix(line, "\n")
			}
			var head [4]byte
			if _, err := io.ReadFull(in, head[:]); err != nil {
				return ""
			}
			b := make([]byte, min(binary.BigEndian.Uint32(head[:]), 4096))
			io.ReadFull(in, b)
			return string(b)
		}
		say := func(text string) {
			if s == target.Line {
				io.WriteString(c, text+"\r\n")
				return
			}
			c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
		}
		first, ok := strings.CutPrefix(hear(), "AUTH SCRAM-SHA-256 ")
		b, err := base64.StdEncoding.DecodeString(first)
		name, nonce, found := strings.Cut(strings.TrimPrefix(string(b), "n,,n="), ",r=")
		if !ok || err != nil || !found {
			l.note(c, "", "", first)
			return
		}
		say("+ " + base64.StdEncoding.EncodeToString([]byte("r="+nonce+"SERVER,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=600000")))
		final, ok := strings.CutPrefix(hear(), "+ ")
		b, err = base64.StdEncoding.DecodeString(final)
		proof, found := strings.CutPrefix(string(b), "c=biws,r="+nonce+"SERVER,p=")
		raw, wrong := base64.StdEncoding.DecodeString(proof)
		if !ok || err != nil || !found || wrong != nil || len(raw) != 32 {
			l.note(c, name, "", string(b))
			return
		}
		l.note(c, name, proof, "")
		if last != "" {
			say(last)
		}
	}
}

func TestAuthFloodGuessesByScram(t *testing.T) {
	for _, s := range []target.Scheme{target.Frames, target.Line} {
		for _, secret := range []bool{false, true} {
			var l logins
			handle := l.scram(s, "ERR not authenticated")
			to := victim.Serve(t, s, func(c *net.TCPConn) { handle(c) })
			if secret {
				to = victim.ServeTLS(t, s, victim.Config(t), func(c *tls.Conn) { handle(c) })
			}
			r := storm(t, "auth-flood?conns=20&count=300&accounts=10&user=alice&sources=7&duration=1m&loops=2", to)
			l.mu.Lock()
			// Two loops have 150 logins each, and go through the names each by itself.
			if r.Units != 300 || r.Bad != 300 || r.Replies+r.Odd != 0 || r.Open != 20 && r.Open != 0 || r.Took > 50*time.Second ||
				l.wrong != "" || len(l.names) != 10 || l.names["alice"] != 30 || l.names["guess-7"] != 30 || len(l.proofs) != 300 || len(l.from) != 7 {
				t.Errorf("%s: %q, %v from %v: %+v", to, l.wrong, l.names, l.from, r)
			}
			l.mu.Unlock()
		}
	}
}

func TestAuthFloodTellsHowItWasRefused(t *testing.T) {
	var l logins
	frames := func(last string) target.Target {
		handle := l.scram(target.Frames, last)
		return victim.Serve(t, target.Frames, func(c *net.TCPConn) { handle(c) })
	}
	for why, c := range map[string]struct {
		to   target.Target
		want func(Result) bool
	}{
		"let in":              {frames("OK dj0="), func(r Result) bool { return r.Replies == 50 && r.Units == 0 }},
		"cut without a word":  {frames(""), func(r Result) bool { return r.Closes == 50 && r.Units == 50 && r.Bad == 0 }},
		"reset":               {victim.Serve(t, target.Frames, func(c *net.TCPConn) { c.Read(make([]byte, 1)); c.SetLinger(0) }), func(r Result) bool { return r.Resets == 50 && r.Units == 50 }},
		"limited":             {victim.Serve(t, target.Line, func(c *net.TCPConn) { c.Read(make([]byte, 1000)); io.WriteString(c, "ERR too many\r\n") }), func(r Result) bool { return r.Bad == 50 && r.Units == 50 }},
		"a server that echos": {victim.Frames(t), func(r Result) bool { return r.Odd == 50 && r.Units == 0 }},
		"endless":             {victim.Serve(t, target.Line, func(c *net.TCPConn) { io.WriteString(c, strings.Repeat("x", 10_000)) }), func(r Result) bool { return r.Odd == 50 && r.Units == 0 }},
	} {
		if r := storm(t, "auth-flood?conns=10&total=50&duration=1m", c.to); r.Attempts != 50 || !c.want(r) || r.Took > 50*time.Second {
			t.Errorf("%s: %+v", why, r)
		}
	}
}

func TestAuthFloodGuessesByBasic(t *testing.T) {
	var mu sync.Mutex
	var passwords, names, from map[string]bool
	status := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		name, password, _ := r.BasicAuth()
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		names[name], passwords[password], from[host] = true, true, true
		w.WriteHeader(status)
	})
	for _, to := range []target.Target{victim.HTTP(t, h), victim.HTTPS(t, victim.Config(t), h)} {
		for _, answer := range []int{401, 429, 503, 200} {
			mu.Lock()
			status, passwords, names, from = answer, map[string]bool{}, map[string]bool{}, map[string]bool{}
			mu.Unlock()
			r := storm(t, "auth-flood?conns=10&count=400&accounts=5&sources=5&duration=1m", to)
			good := int64(0)
			if answer == 200 {
				good = 400
			}
			mu.Lock() // The connections are used again.
			if r.Replies != good || r.Bad != 400-good || r.Units != r.Bad || r.Attempts != 10 || r.Open != 10 || r.Took > 50*time.Second ||
				len(passwords) != 400 || len(names) != 5 || !names["guess-1"] || len(from) != 5 {
				t.Errorf("%s, %d: %d passwords for %v: %+v", to, answer, len(passwords), names, r)
			}
			mu.Unlock()
		}
	}
	cut := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(401)
	}))
	if r := storm(t, "auth-flood?conns=10&total=60&duration=1m", cut); r.Attempts != 60 || r.Bad != 60 || r.Units != 60 {
		t.Errorf("one login a connection: %+v", r)
	}
}

func TestAuthFloodKeepsItsRate(t *testing.T) {
	var l logins
	handle := l.scram(target.Line, "ERR no")
	web := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) }))
	for _, to := range []target.Target{web, victim.Serve(t, target.Line, func(c *net.TCPConn) { handle(c) })} {
		if r := often(t, "auth-flood?conns=20&rate=400&duration=500ms", to, func(r Result) bool { return r.Units >= 120 && r.Units <= 201 }); r.Units < 120 || r.Units > 201 {
			t.Errorf("%s: %d logins in half a second at 400 a second", to, r.Units)
		}
	}
}

func TestAuthFloodWantsNamesThatCanBe(t *testing.T) {
	to := victim.Serve(t, target.Line, mute)
	for _, spec := range []string{"user=a,b", "user=a%0ab", "user=a:b", "user=" + strings.Repeat("a", 129), "accounts=0", "accounts=1000001", "version=1.1"} {
		k, o, err := ParseSpec("auth-flood?" + spec)
		if err != nil {
			t.Fatal(err)
		}
		if to.TLS = strings.HasPrefix(spec, "version"); k.Check(o, to) == nil {
			t.Errorf("%.40s passed", spec)
		}
	}
}
