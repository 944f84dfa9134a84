package attack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/bench/sock"
	"weir/bench/target"
	"weir/bench/victim"
)

// storm runs an attack given as a spec and checks what holds for all of them: it ends, and leaves nothing open.
func storm(t *testing.T, spec string, to target.Target) Result {
	t.Helper()
	k, o, err := ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	o.Nice = 0 // on a busy machine it would starve
	check := victim.Descriptors(t)
	r, err := Run(t.Context(), k, o, to, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	check()
	if r.Took > o.Duration+15*time.Second {
		t.Errorf("%s: took %v of %v", spec, r.Took, o.Duration)
	}
	if got := r.Established + r.Refused + r.TimedOut + r.Local; got > r.Attempts {
		t.Errorf("%s: %d attempts came to %d ends", spec, r.Attempts, got)
	}
	return r
}

// often is storm, again and a few times at most until is says that it was one: a busy machine spoils one whose time is short,
// and not all of them.
func often(t *testing.T, spec string, to target.Target, is func(Result) bool) (r Result) {
	t.Helper()
	for range 8 {
		if r = storm(t, spec, to); is(r) {
			break
		}
	}
	return r
}

var mute = func(c *net.TCPConn) { io.Copy(io.Discard, c) }

func TestConnectionFloodHoldsWhatTheServerDoesNotShed(t *testing.T) {
	r := often(t, "connection-flood?conns=50&total=200&sources=7&duration=300ms&loops=2", victim.Serve(t, target.Line, mute), func(r Result) bool { return r.Open == 50 })
	if r.Established != 50 || r.Open != 50 || r.Attempts != 50 || r.Ended() != 0 || r.Connect.Count != 50 {
		t.Errorf("%+v", r)
	}
}

func TestConnectionFloodEndsWithItsTotal(t *testing.T) {
	to := victim.Serve(t, target.Line, mute)
	for _, spec := range []string{
		"connection-flood?conns=20&total=300&churn=true&duration=1m",
		"connection-flood?conns=20&total=300&hold=1ms&duration=1m",
	} {
		if r := storm(t, spec, to); r.Attempts != 300 || r.Established != 300 || r.Open != 0 || r.Took > 50*time.Second {
			t.Errorf("%s: %+v", spec, r)
		}
	}
}

func TestConnectionFloodTellsResetsFromCloses(t *testing.T) {
	r := storm(t, "connection-flood?conns=20&total=200&duration=1m", victim.Serve(t, target.Line, func(c *net.TCPConn) { c.SetLinger(0) }))
	if r.Established != 200 || r.Resets != 200 || r.Closes != 0 || r.Age.Count != 200 {
		t.Errorf("resets: %+v", r)
	}
	r = storm(t, "connection-flood?conns=20&total=200&duration=1m", victim.Serve(t, target.Line, func(c *net.TCPConn) { c.Write([]byte("no\n")) }))
	if r.Established != 200 || r.Closes != 200 || r.Resets != 0 || r.Answered != 200 {
		t.Errorf("closes: %+v", r)
	}
	nobody := target.Target{Scheme: target.Line, Addr: victim.Nobody(t)}
	if r = storm(t, "connection-flood?conns=20&total=200&duration=1m", nobody); r.Refused != 200 || r.Established != 0 {
		t.Errorf("refusals: %+v", r)
	}
}

func TestConnectionFloodKeepsItsRate(t *testing.T) {
	r := often(t, "connection-flood?conns=500&total=500&rate=200&duration=500ms", victim.Serve(t, target.Line, mute), func(r Result) bool { return r.Attempts >= 80 && r.Attempts <= 101 })
	if r.Attempts < 80 || r.Attempts > 101 {
		t.Errorf("%d connections in half a second at 200 a second", r.Attempts)
	}
}

func TestFrameFloodEndsWithItsCount(t *testing.T) {
	hello := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	for _, to := range []target.Target{victim.Frames(t), victim.Lines(t), hello} {
		// The last replies have a fifth of a second.
		r := often(t, "frame-flood?conns=8&count=5000&duration=1m&loops=2", to, func(r Result) bool { return r.Replies == 5000 })
		if r.Units != 5000 || r.Replies != 5000 || r.Bad != 0 || r.Took > 50*time.Second {
			t.Errorf("%s: %+v", to, r)
		}
	}
}

func TestFrameFloodKeepsItsRateAndItsTime(t *testing.T) {
	r := often(t, "frame-flood?conns=8&rate=1000&duration=500ms", victim.Frames(t), func(r Result) bool { return r.Units >= 350 && r.Units <= 501 })
	if r.Units < 350 || r.Units > 501 {
		t.Errorf("%d frames in half a second at 1,000 a second", r.Units)
	}
	// A server that never reads: the flood must end with its time all the same.
	r = often(t, "frame-flood?conns=4&size=10000&duration=200ms", victim.Serve(t, target.Frames, func(c *net.TCPConn) { time.Sleep(300 * time.Millisecond) }), func(r Result) bool { return r.Established == 4 })
	if r.Established != 4 || r.Replies != 0 {
		t.Errorf("%+v", r)
	}
}

func TestFrameFloodComesBackUpToItsTotal(t *testing.T) {
	refuse := victim.Serve(t, target.HTTP, func(c *net.TCPConn) {
		c.Read(make([]byte, 1000))
		io.WriteString(c, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		c.CloseWrite()
		io.Copy(io.Discard, c)
	})
	r := storm(t, "frame-flood?conns=5&total=40&duration=1m", refuse)
	if r.Attempts != 40 || r.Bad != 40 || r.Ended() != 40 || r.Answered != 40 {
		t.Errorf("%+v", r)
	}
}

func TestSlowlorisFindsTheDeadline(t *testing.T) {
	const deadline = 300 * time.Millisecond
	to := victim.Serve(t, target.HTTP, func(c *net.TCPConn) {
		c.SetReadDeadline(time.Now().Add(deadline))
		io.Copy(io.Discard, c)
	})
	r := often(t, "slowloris?conns=50&interval=50ms&duration=1m&sources=5", to, func(r Result) bool { return r.Units >= 50*3 })
	if r.Attempts != 50 || r.Ended() != 50 || r.Age.Count != 50 {
		t.Fatalf("%+v", r)
	}
	if r.Age.Min < deadline/2 || r.Age.Max > deadline+20*time.Second {
		t.Errorf("ages %+v, the deadline is %v", r.Age, deadline)
	}
	if r.Units < 50*3 || r.Bytes != r.Units {
		t.Errorf("%d drips, %d bytes", r.Units, r.Bytes)
	}
}

func TestSlowlorisStaysWhileItIsLetAndEndsWithItsTime(t *testing.T) {
	for _, s := range []target.Scheme{target.HTTP, target.Frames, target.Line} {
		r := often(t, "slowloris?conns=30&interval=20ms&size=3&duration=200ms", victim.Serve(t, s, mute), func(r Result) bool { return r.Open == 30 && r.Units >= 30*4 })
		if r.Open != 30 || r.Ended() != 0 || r.Bytes != 3*r.Units || r.Units < 30*4 {
			t.Errorf("%s: %+v", s, r)
		}
	}
}

func TestRoomCutsAnAttackShortAndSaysSo(t *testing.T) {
	to := victim.Serve(t, target.Line, mute)
	back := []string{"reset-churn", "close-storm"} // they make room for the next
	for _, k := range All() {
		o := k.Options()
		o.Conns, o.Total, o.Duration, o.Sources = 30, 30, 200*time.Millisecond, 1
		to.TLS = strings.HasPrefix(k.Name, "tls-")
		var r Result
		var err error
		for range 8 { // a busy machine may not get as far in the time
			if r, err = Run(t.Context(), k, o, to, sock.RoomFor(10), nil); r.Shortened != "" || err != nil {
				break
			}
		}
		if err != nil || r.Established > 10 && !slices.Contains(back, k.Name) || r.Open > 10 || !strings.Contains(r.Shortened, "10 connections") {
			t.Errorf("%s: %d established, %q, %v", k.Name, r.Established, r.Shortened, err)
		}
	}
}

func TestAttacksEndWithTheirContext(t *testing.T) {
	to := victim.Serve(t, target.Line, mute)
	for _, k := range All() {
		o := k.Options()
		o.Conns, o.Duration, o.Nice = 20, time.Minute, 0
		to.TLS = strings.HasPrefix(k.Name, "tls-")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		if _, err := Run(ctx, k, o, to, nil, nil); err != nil || time.Since(start) > 30*time.Second {
			t.Errorf("%s: %v after %v", k.Name, err, time.Since(start))
		}
		cancel()
	}
}

func TestAttacksRefuseWhateverIsNotLoopback(t *testing.T) {
	for _, k := range All() {
		for _, a := range []string{"192.0.2.1:80", "0.0.0.0:80", "[::ffff:127.0.0.1]:80", "[2001:db8::1]:80"} {
			o := k.Options()
			o.Duration = time.Second
			to := target.Target{Scheme: target.Line, TLS: strings.HasPrefix(k.Name, "tls-"), Addr: netip.MustParseAddrPort(a)}
			var counts Counts
			_, err := Run(t.Context(), k, o, to, nil, &counts)
			if err == nil || counts.Live().Attempts > 0 {
				t.Errorf("%s on %s: %v, %+v", k.Name, a, err, counts.Live())
			}
			if to.Addr.Addr().Is4() && !errors.Is(err, target.ErrNotLoopback) {
				t.Errorf("%s on %s: %v", k.Name, a, err)
			}
		}
	}
}

func TestSpecs(t *testing.T) {
	k, o, err := ParseSpec("slowloris?conns=5&interval=2s&first=127.0.9.1")
	if err != nil || k.Name != "slowloris" || o.Conns != 5 || o.Interval != 2*time.Second || o.First != "127.0.9.1" {
		t.Errorf("%+v, %v", o, err)
	}
	for _, s := range []string{"", "nothing", "slowloris?what=1", "slowloris?conns=many", "slowloris?interval=5", "slowloris?%zz", "slowloris?victim=10.0.0.1", "connection-flood?size=1"} {
		if _, _, err := ParseSpec(s); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", s, err)
		}
	}
	// Each option can be read back as it is written.
	for _, k := range All() {
		a, b := k.Options(), Options{}
		for _, p := range k.Table() {
			if err := k.Set(&b, p.Name, p.Get(a)); err != nil {
				t.Errorf("%s %s: %v", k.Name, p.Name, err)
			}
		}
		if a != b {
			t.Errorf("%s: %+v read back as %+v", k.Name, a, b)
		}
	}
}

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	to := target.Target{Scheme: target.Line, Addr: netip.MustParseAddrPort("127.0.0.1:1")}
	for _, s := range []string{"conns=0", "conns=2000000", "total=-1", "count=0", "rate=-1", "rate=NaN", "size=-1",
		"duration=0s", "duration=11m", "sources=0", "sources=2000000", "first=10.0.0.1", "first=::1", "first=x", "loops=0", "nice=20", "per-net=255"} {
		k, o, err := ParseSpec("frame-flood?" + s)
		if err == nil {
			err = k.Check(o, to)
		}
		if err == nil {
			t.Errorf("%s passed", s)
		}
	}
	for _, s := range []string{"slowloris?interval=0s", "connection-flood?hold=-1s", "connection-flood?hold=11m", "silent?pipeline=-1", "silent?pipeline=2000000", "slowloris?size=0", "slow-body?size=0", "slow-read?sip=0", "slow-read?sip=100000", "slow-read?pipeline=0", "zero-window?pipeline=0",
		"spray?pipeline=0", "pipeline-flood?pipeline=0", "pipeline-flood?pipeline=1000&size=1000000", "upload-flood?size=0"} {
		if k, o, err := ParseSpec(s); err != nil || k.Check(o, to) == nil {
			t.Errorf("%s passed", s)
		}
	}
}

func TestSharesAddUp(t *testing.T) {
	o := Options{Conns: 10, Total: 101, Count: 7, Rate: 9, Loops: 3}
	sources := make([]netip.Addr, 8)
	var sum Options
	var from int
	for i := range o.Loops {
		s, mine := share(o, sources, i)
		sum.Conns, sum.Total, sum.Count, sum.Rate, from = sum.Conns+s.Conns, sum.Total+s.Total, sum.Count+s.Count, sum.Rate+s.Rate, from+len(mine)
	}
	if sum.Conns != 10 || sum.Total != 101 || sum.Count != 7 || sum.Rate != 9 || from != 8 {
		t.Errorf("%+v, %d sources", sum, from)
	}
}
