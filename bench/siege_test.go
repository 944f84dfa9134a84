package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"os"
	"slices"
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
	o.Nice = 0 // on a busy machine it would starve
	return Strike{Kind: k, Options: o, Target: to}
}

// often runs a siege, again and a few times at most until is says that it was one: a busy machine spoils one, and not all of them.
func often(t *testing.T, make func() Siege, is func(Outcome) bool) (o Outcome) {
	t.Helper()
	for range 8 {
		s, err := make(), error(nil)
		if o, err = s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if is(o) {
			break
		}
	}
	return o
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
	o := often(t, func() Siege {
		phases = nil
		return Siege{
			Good: load.Config{Target: to, Sources: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Rate: 200, Conns: 4, Timeout: 20 * time.Second},
			Phases: Usual(500*time.Millisecond, time.Second, 500*time.Millisecond,
				[]Strike{strike(t, "frame-flood?conns=4&rate=500", to), strike(t, "slowloris?conns=20&interval=100ms", to)}),
			Sheds: watch.NewCounter(page, "weir_shed_total", "reason"), PIDs: []int{os.Getpid()},
			Watch: func(p Progress) {
				if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
					phases = append(phases, p.Phase)
				}
			},
		}
	}, func(o Outcome) bool { // it has remarks of a machine that is busy
		return len(o.Remarks) == 0 && o.Attacks[1].Open == 20 && o.Attacks[0].Took <= 2*time.Second && strings.HasPrefix(strings.Join(phases, " "), "before during")
	})
	for i, want := range []int64{100, 200, 100} {
		if p := o.Good.Phases[i]; p.OK != want || p.Errors != 0 {
			t.Errorf("%s: %+v", p.Name, p)
		}
	}
	if got := strings.Join(phases, " "); !strings.HasPrefix(got, "before during") {
		t.Errorf("phases watched: %s", got)
	}
	if len(o.Attacks) != 2 || o.Attacks[0].Bad == 0 || o.Attacks[1].Open != 20 || o.Attacks[0].Took > 2*time.Second || o.Attacks[1].Phase != During {
		t.Errorf("attacks: %+v", o.Attacks)
	}
	if len(o.Server) != 3 || len(o.Server[0].Sheds) != 0 || o.Server[1].Sheds["source"] == 0 || o.Server[1].CPU == 0 {
		t.Fatalf("server: %+v", o.Server)
	}
	if len(o.Costs) != 1 || o.Costs[0].Phase != During || o.Costs[0].CountedBy != "server" || o.Costs[0].Refused != o.Server[1].Sheds["source"] || o.Costs[0].AttackerCPU == 0 {
		t.Errorf("cost: %+v", o.Costs)
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
	o := often(t, func() Siege {
		attacked.Store(0)
		return Siege{
			Good:      load.Config{Target: to, Rate: 100, Conns: 4, Timeout: patient},
			Newcomers: &load.Config{Target: to, Rate: 20, Timeout: patient, Sources: []netip.Addr{netip.MustParseAddr("127.9.0.1"), netip.MustParseAddr("127.9.1.1")}},
			Phases:    Usual(time.Second, time.Second, 0, []Strike{strike(t, "tls-hello?conns=2&rate=20&sources=1", to)}),
			Watch:     func(p Progress) { watched.Store(watched.Load() || p.Newcomers.OK > 0) },
		}
	}, func(o Outcome) bool { // who comes late, in the second phase, is turned away
		return o.Newcomers.Phases[0].OK == 20 && o.Newcomers.Phases[1].Failed["handshake"] >= 10 && watched.Load()
	})
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
		Good:   load.Config{Target: to, Rate: 100},
		Phases: Usual(100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond, []Strike{strike(t, "connection-flood?conns=5&total=5", to)}),
		Sheds:  watch.NewCounter(gone, "weir_shed_total", "reason"), PIDs: []int{1 << 30},
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
		"no phases":              {Good: good},
		"no time":                {Good: good, Phases: Usual(0, 0, 0, flood)},
		"negative":               {Good: good, Phases: Usual(-1, 1, 0, flood)},
		"too long":               {Good: good, Phases: Usual(0, MaxSiege, 1, flood)},
		"too long by overflow":   {Good: good, Phases: Usual(math.MaxInt64, 2, math.MaxInt64, flood)},
		"no attack":              {Good: good, Phases: Usual(0, time.Second, 0, nil)},
		"no good client":         {Phases: Usual(0, time.Second, 0, flood)},
		"no name":                {Good: good, Phases: []Phase{{For: time.Second, Strikes: flood}}},
		"one name twice":         {Good: good, Phases: []Phase{{"a", time.Second, flood}, {"a", time.Second, flood}}},
		"phases without number":  {Good: good, Phases: phases(MaxPhases+1, flood)},
		"attacks without number": {Good: good, Phases: phases(2, slices.Repeat(flood, MaxStrikes/2+1))},
		"bad options":            {Good: good, Phases: Usual(0, time.Second, 0, []Strike{strike(t, "slowloris?size=0", to)})},
		"attack on elsewhere":    {Good: good, Phases: Usual(0, time.Second, 0, []Strike{strike(t, "slowloris", away)})},
		"newcomers, elsewhere":   {Good: good, Newcomers: &load.Config{Target: away}, Phases: Usual(0, time.Second, 0, flood)},
		"bad TLS version":        {Good: load.Config{Target: secret, TLS: tunnel.Options{Version: "2"}}, Phases: Usual(0, time.Second, 0, flood)},
		"good client, elsewhere": {Good: load.Config{Target: away}, Phases: Usual(0, time.Second, 0, flood)},
	} {
		if _, err := s.Run(t.Context()); err == nil || errors.Is(err, ErrNothing) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// phases returns n of a second each.
func phases(n int, strikes []Strike) (out []Phase) {
	for i := range n {
		out = append(out, Phase{fmt.Sprint("p", i), time.Second, strikes})
	}
	return out
}

// Four phases: quiet, two attacks one after the other, and then both mixed with a second of a kind. Each attack has ended
// before the next begins, and is told apart from it everywhere.
func TestSiegeOfFourPhases(t *testing.T) {
	var shed atomic.Int64
	to := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/metrics":
			fmt.Fprintf(w, "weir_shed_total{reason=\"source\"} %d\n", shed.Load())
		case strings.HasPrefix(r.RemoteAddr, "127.0.2."):
			shed.Add(1)
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			io.WriteString(w, "hello")
		}
	}))
	check := victim.Descriptors(t)
	page := to
	page.Path = "/metrics"
	flood, slow := strike(t, "frame-flood?conns=2&rate=200&first=127.0.2.1", to), strike(t, "slowloris?conns=10&interval=100ms", to)
	var watched []Progress
	s := Siege{
		Good:      load.Config{Target: to, Sources: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Rate: 100, Timeout: 20 * time.Second},
		Newcomers: &load.Config{Target: to, Rate: 20, Timeout: 20 * time.Second},
		Phases: []Phase{
			{"calm", 1200 * time.Millisecond, nil}, {"flood", 800 * time.Millisecond, []Strike{flood}},
			{"slow", 800 * time.Millisecond, []Strike{slow}}, {"mixed", 800 * time.Millisecond, []Strike{slow, flood, slow}},
		},
		Sheds: watch.NewCounter(page, "weir_shed_total", "reason"), PIDs: []int{os.Getpid()},
		Watch: func(p Progress) { watched = append(watched, p) },
	}
	o, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, p := range o.Good.Phases {
		names = append(names, p.Name)
		if want := int64(s.Phases[i].For.Seconds() * 100); p.OK != want || o.Newcomers.Phases[i].Name != p.Name || o.Newcomers.Phases[i].OK != want/5 {
			t.Errorf("%s: %+v, %+v", p.Name, p, o.Newcomers.Phases[i])
		}
	}
	if got := strings.Join(names, " "); got != "calm flood slow mixed" {
		t.Errorf("phases %s", got)
	}
	var struck []string
	for _, a := range o.Attacks {
		struck = append(struck, a.Phase+":"+a.Name)
		if a.Took > 20*time.Second || a.Established == 0 {
			t.Errorf("%s: %+v", a.Phase, a.Result)
		}
	}
	if got := strings.Join(struck, " "); got != "flood:frame-flood slow:slowloris mixed:slowloris mixed:frame-flood mixed:slowloris" {
		t.Errorf("attacks %s", got)
	}
	if len(o.Server) != 4 || len(o.Server[0].Sheds)+len(o.Server[2].Sheds) != 0 || o.Server[1].Sheds["source"] == 0 || o.Server[3].Sheds["source"] == 0 {
		t.Errorf("server: %+v", o.Server)
	}
	if len(o.Costs) != 2 || o.Costs[0].Phase != "flood" || o.Costs[0].Refused != o.Server[1].Sheds["source"] || o.Costs[1].Phase != "mixed" {
		t.Errorf("costs: %+v", o.Costs)
	}
	if t.Failed() {
		t.Logf("remarks: %q", o.Remarks) // a machine that is busy enough has some
	}
	last := watched[len(watched)-1]
	if last.Phase != "mixed" || last.Number != 4 || last.Of != 4 || len(last.Attacks) != 3 || last.Attacks[2].Name != "slowloris#2" || last.Sheds == nil || last.Sheds.Total == 0 {
		t.Errorf("watched last: %+v", last)
	}
	check()
}

// Stopped in its second phase, a siege tells of two and strikes no more.
func TestASiegeThatEndsEarlyTellsOfWhatBegan(t *testing.T) {
	to := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	check := victim.Descriptors(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := Siege{
		Good: load.Config{Target: to, Rate: 50, Timeout: 20 * time.Second}, Newcomers: &load.Config{Target: to, Rate: 20, Timeout: 20 * time.Second},
		Phases: []Phase{{"calm", 300 * time.Millisecond, nil}, {"slow", time.Minute, []Strike{strike(t, "silent?conns=3", to)}}, {"slower", time.Minute, []Strike{strike(t, "silent", to)}}},
		PIDs:   []int{os.Getpid()},
		Watch: func(p Progress) {
			if p.Number == 2 && p.Attacks[0].Attempts == 3 {
				cancel()
			}
		},
	}
	start := time.Now()
	o, err := s.Run(ctx)
	if !errors.Is(err, context.Canceled) || time.Since(start) > 45*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if len(o.Good.Phases) != 2 || len(o.Newcomers.Phases) != 2 || len(o.Attacks) != 1 || o.Attacks[0].Attempts != 3 || len(o.Server) != 2 || len(o.Remarks) != 0 {
		t.Errorf("%+v", o)
	}
	check()
}
