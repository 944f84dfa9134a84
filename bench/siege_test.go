package bench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/bench/attack"
	"weir/bench/load"
	"weir/bench/target"
	"weir/bench/tunnel"
	"weir/bench/victim"
	"weir/bench/watch"
)

func strike(t *testing.T, spec string, to target.Target) Strike {
	t.Helper()
	k, o, err := attack.ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	return Strike{Kind: k, Options: o, Target: to}
}

// The server refuses whoever does not come from 127.0.0.1, and counts it: a guard in small.
func TestSiegeTellsThePhasesApart(t *testing.T) {
	var shed atomic.Int64
	to := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			fmt.Fprintf(w, "weir_shed_total{reason=\"source\"} %d\n", shed.Load())
			return
		}
		if !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") {
			shed.Add(1)
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		io.WriteString(w, "hello")
	}))
	check := victim.Descriptors(t)
	page := to
	page.Path = "/metrics"
	var phases []string
	s := Siege{
		Good:    load.Config{Target: to, Sources: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Rate: 200, Conns: 4},
		Strikes: []Strike{strike(t, "frame-flood?conns=4&rate=500", to), strike(t, "slowloris?conns=20&interval=100ms", to)},
		Before:  500 * time.Millisecond, During: time.Second, After: 500 * time.Millisecond,
		Sheds: watch.NewCounter(page, "weir_shed_total", "reason"), PIDs: []int{os.Getpid()},
		Watch: func(p Progress) {
			if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
				phases = append(phases, p.Phase)
			}
		},
	}
	o, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{100, 200, 100} {
		if p := o.Good.Phases[i]; p.OK != want || p.Errors != 0 {
			t.Errorf("%s: %+v", p.Name, p)
		}
	}
	if got := strings.Join(phases, " "); !strings.HasPrefix(got, "before during") {
		t.Errorf("phases watched: %s", got)
	}
	if len(o.Attacks) != 2 || o.Attacks[0].Bad == 0 || o.Attacks[1].Open != 20 || o.Attacks[0].Took > 2*time.Second {
		t.Errorf("attacks: %+v", o.Attacks)
	}
	if len(o.Server) != 3 || len(o.Server[0].Sheds) != 0 || o.Server[1].Sheds["source"] == 0 || o.Server[1].CPU == 0 {
		t.Fatalf("server: %+v", o.Server)
	}
	if o.Cost == nil || o.Cost.CountedBy != "server" || o.Cost.Refused != o.Server[1].Sheds["source"] || o.Cost.AttackerCPU == 0 {
		t.Errorf("cost: %+v", o.Cost)
	}
	if len(o.Remarks) != 0 {
		t.Errorf("remarks: %q", o.Remarks)
	}
	check()
}

// The server takes nobody in while the attack lasts: who is in does not notice, who comes does.
func TestSiegeTellsNewcomersApart(t *testing.T) {
	var attacked atomic.Int64
	cfg := victim.Config(t)
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		switch from := h.Conn.RemoteAddr().String(); {
		case strings.HasPrefix(from, "127.0.1."):
			attacked.Add(1)
			return nil, errors.New("an attacker")
		case strings.HasPrefix(from, "127.9.") && attacked.Load() > 0:
			return nil, errors.New("busy")
		}
		return nil, nil
	}
	to := victim.ServeTLS(t, target.Line, cfg, func(c *tls.Conn) { victim.EchoLines(c) })
	check := victim.Descriptors(t)
	const patient = 20 * time.Second // nothing is to time out, however busy the machine is
	var watched atomic.Bool
	s := Siege{
		Good:      load.Config{Target: to, Rate: 100, Conns: 4, Timeout: patient},
		Newcomers: &load.Config{Target: to, Rate: 20, Timeout: patient, Sources: []netip.Addr{netip.MustParseAddr("127.9.0.1"), netip.MustParseAddr("127.9.1.1")}},
		Strikes:   []Strike{strike(t, "tls-hello?conns=2&rate=20&sources=1", to)},
		Before:    time.Second, During: time.Second,
		Watch: func(p Progress) { watched.Store(watched.Load() || p.Newcomers.OK > 0) },
	}
	o, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o.Newcomers == nil || o.Newcomers.TLS == nil || o.Good.TLS == nil {
		t.Fatalf("%+v", o)
	}
	good, come, shakes := o.Good.Phases, o.Newcomers.Phases, o.Newcomers.TLS.Phases
	if good[0].OK != 100 || good[1].OK != 100 || o.Good.TLS.OK != 4 {
		t.Errorf("good client: %+v", o.Good)
	}
	if come[0].OK != 20 || come[1].Failed["handshake"] < 10 || shakes[0].OK != 20 || shakes[1].Failed["handshake"] != come[1].Failed["handshake"] {
		t.Errorf("newcomers: %+v, %+v", come, shakes)
	}
	if o.Attacks[0].Alerts == 0 || !watched.Load() {
		t.Errorf("attack: %+v; newcomers watched: %v", o.Attacks[0], watched.Load())
	}
	check()
}

func TestSiegeFailsWhenTheGoodClientGetsNothing(t *testing.T) {
	to := victim.HTTP(t, http.NotFoundHandler())
	gone := to
	gone.Path = "/gone"
	s := Siege{
		Good:    load.Config{Target: to, Rate: 100},
		Strikes: []Strike{strike(t, "connection-flood?conns=5&total=5", to)},
		Before:  100 * time.Millisecond, During: 100 * time.Millisecond, After: 100 * time.Millisecond,
		Sheds: watch.NewCounter(gone, "weir_shed_total", "reason"), PIDs: []int{1 << 30},
	}
	o, err := s.Run(t.Context())
	if !errors.Is(err, ErrNothing) || len(o.Attacks) != 1 {
		t.Errorf("%v, %+v", err, o)
	}
	if len(o.Remarks) == 0 || len(o.Server) != 3 || o.Server[1].Sheds != nil {
		t.Errorf("a server that tells nothing: %q, %+v", o.Remarks, o.Server)
	}
}

func TestSiegesThatMakeNoSenseAreRefused(t *testing.T) {
	to := target.Target{Scheme: target.HTTP, Addr: netip.MustParseAddrPort("127.0.0.1:1"), Host: "127.0.0.1:1", Path: "/"}
	away := to
	away.Addr = netip.MustParseAddrPort("192.0.2.1:1")
	secret := to
	secret.TLS = true
	good := load.Config{Target: to}
	flood := []Strike{strike(t, "connection-flood", to)}
	for name, s := range map[string]Siege{
		"no time":                {Good: good, Strikes: flood},
		"negative":               {Good: good, Strikes: flood, During: 1, Before: -1},
		"too long":               {Good: good, Strikes: flood, During: MaxSiege, After: 1},
		"no attack":              {Good: good, During: time.Second},
		"no good client":         {Strikes: flood, During: time.Second},
		"bad options":            {Good: good, Strikes: []Strike{strike(t, "slowloris?size=0", to)}, During: time.Second},
		"attack on elsewhere":    {Good: good, Strikes: []Strike{strike(t, "slowloris", away)}, During: time.Second},
		"newcomers, elsewhere":   {Good: good, Newcomers: &load.Config{Target: away}, Strikes: flood, During: time.Second},
		"bad TLS version":        {Good: load.Config{Target: secret, TLS: tunnel.Options{Version: "2"}}, Strikes: flood, During: time.Second},
		"good client, elsewhere": {Good: load.Config{Target: away}, Strikes: flood, During: time.Second},
	} {
		if _, err := s.Run(t.Context()); err == nil || errors.Is(err, ErrNothing) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
