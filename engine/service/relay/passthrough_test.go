package relay

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/codec"
	"weir/engine/service"
)

func TestRouteByName(t *testing.T) {
	to := func(a string) []string { return []string{a} }
	r, err := OpenRoutes(RouteConfig{Config: Config{To: to("unix:/default")}, Routes: []Route{
		{"a.example.org", to("unix:/a")}, {"*.Example.org.", to("unix:/star")}, {"*.deep.example.org", to("unix:/deep")}, {"B.example.", to("unix:/b")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, want := range map[string]string{
		"a.example.org": "/a", "b.example": "/b", "x.example.org": "/star", "y.x.example.org": "/star", "x.deep.example.org": "/deep", "deep.example.org": "/star",
		"example.org": "/default", "notexample.org": "/default", "x.b.example": "/default", "x.a.example.org": "/star", "": "/default", "org": "/default",
	} {
		i, ask := r.find([]byte(name))
		if i < 0 || ask || (*r.fixed[i].pool.servers.Load())[0].to.Path != want {
			t.Errorf("%s goes to %d, %v; want %s", name, i, ask, want)
		}
	}
	if got := fmt.Sprint(r.Status()); got != "[{a.example.org unix:/a true true 0} {*.example.org unix:/star true true 0} {*.deep.example.org unix:/deep true true 0} {b.example unix:/b true true 0} { unix:/default true true 0}]" {
		t.Error(got)
	}
	for _, c := range []struct {
		cfg  RouteConfig
		want string
	}{
		{RouteConfig{}, "no servers to relay to"},
		{RouteConfig{Routes: []Route{{"a.example", nil}}}, "no servers to relay to"},
		{RouteConfig{Routes: []Route{{"a.example", to("unix:/a")}, {"A.example.", to("unix:/b")}}}, "the name a.example has two routes"},
		{RouteConfig{Routes: []Route{{"*", to("unix:/a")}}}, "must be a host name"},
		{RouteConfig{SNI: SNI{Names: []string{"a..example"}, Port: 443}}, "must be a host name"},
	} {
		if _, err := OpenRoutes(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.cfg, err, c.want)
		}
	}
}

func TestRouteName(t *testing.T) {
	for text, want := range map[string]string{
		"a": "a", "A.Example.ORG.": "a.example.org", "*.example.org": "*.example.org", "_x.a-b.xn--p1ai": "_x.a-b.xn--p1ai", "1.example": "1.example",
		"": "", ".": "", "*": "", "*.": "", "**.a": "", "a.*.b": "", "*a.b": "", "a..b": "", ".a": "", "a b": "", "1.2.3.4": "", "::1": "", "bücher.example": "",
		"-a.example": "", "a.example:1": "", strings.Repeat("a", 64): "", strings.Repeat("a.", 127) + "a": "",
	} {
		got, err := RouteName(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{"a.example=b:1": "a.example b:1", "b:1": " b:1", "unix:/a=b": " unix:/a=b", "*.a=unix:/x=y": "*.a unix:/x=y"} {
		if name, to, err := ParseRoute(text); name+" "+to != want || err != nil {
			t.Errorf("%s: %q %q %v", text, name, to, err)
		}
	}
}

func TestAddressesForEverybody(t *testing.T) {
	for text, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "172.32.0.1": true, "100.128.0.1": true, "2606:4700::1111": true, "2a00:1450::1": true,
		"0.0.0.0": false, "10.1.2.3": false, "127.0.0.1": false, "127.9.9.9": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"100.64.0.1": false, "198.18.0.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "::": false, "::1": false, "::ffff:10.0.0.1": false,
		"::ffff:1.1.1.1": true, "64:ff9b::a00:1": false, "2002:a00:1::": false, "2001::1": false, "fe80::1": false, "fec0::1": false, "fc00::1": false, "fd12::1": false, "ff02::1": false, "::7f00:1": false,
	} {
		d := onDemand{}
		if got := d.takes(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
		if d.cfg.SNI.Private = true; !d.takes(netip.MustParseAddr(text)) {
			t.Errorf("%s is not taken though all may be", text)
		}
	}
}

// TestNamesThatAreLookedUp has a name that is found, one that moves into our own network (DNS
// rebinding), one that was there from the beginning, and more than there are places for.
func TestNamesThatAreLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		answers := map[string]string{"a.example": "1.1.1.1", "x.b.example": "1.1.1.2", "inside.b.example": "10.0.0.1", "us.b.example": "1.1.1.9"}
		asked := 0
		set := func(name, a string) { mu.Lock(); answers[name] = a; mu.Unlock() }
		r, err := OpenRoutes(RouteConfig{Config: Config{Lookup: func(_ context.Context, name string) ([]netip.Addr, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			if a := answers[name]; a != "" {
				return []netip.Addr{netip.MustParseAddr(a)}, nil
			}
			return nil, errors.New("no such name")
		}}, SNI: SNI{Names: []string{"a.example", "*.b.example"}, Port: 443, Self: func(a netip.AddrPort) bool { return a.String() == "1.1.1.9:443" }}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		servers := func(p *Pool) (list []string) {
			for _, s := range *p.servers.Load() {
				list = append(list, s.to.Addr.String())
			}
			return list
		}
		for name, want := range map[string]bool{"a.example": true, "x.a.example": false, "x.b.example": true, "y.x.b.example": true, "b.example": false, "c.example": false, "": false} {
			if i, ask := r.find([]byte(name)); i != -1 || ask != want {
				t.Errorf("%q: %d, %v", name, i, ask)
			}
		}
		if p, known := r.sni.known("a.example"); !known || !slices.Equal(servers(p), []string{"1.1.1.1:443"}) {
			t.Errorf("a name of its own: %v", known)
		}
		look := func(name string) *Pool {
			if p, known := r.sni.known(name); known {
				return p
			}
			if !r.sni.mayLook() {
				t.Fatal("no place to look up")
			}
			return r.sni.look(name)
		}
		p := look("x.b.example")
		if p == nil || !slices.Equal(servers(p), []string{"1.1.1.2:443"}) || look("x.b.example") != p {
			t.Fatal("not found, or not remembered")
		}
		set("x.b.example", "169.254.169.254")
		time.Sleep(31*time.Second + 500*time.Millisecond) // between two look-ups, here and below
		if !slices.Equal(servers(p), []string{"1.1.1.2:443"}) {
			t.Errorf("rebound to %v", servers(p))
		}
		set("x.b.example", "1.1.1.3")
		time.Sleep(30 * time.Second)
		if !slices.Equal(servers(p), []string{"1.1.1.3:443"}) {
			t.Errorf("moved to %v", servers(p))
		}
		mu.Lock()
		before := asked
		mu.Unlock()
		for range 3 {
			if look("inside.b.example") != nil || look("us.b.example") != nil || look("nobody.b.example") != nil {
				t.Error("not to be reached")
			}
		}
		if mu.Lock(); asked-before != 3 {
			t.Errorf("%d look-ups for names that are missing", asked-before)
		}
		mu.Unlock()
		for i := range mostMissing + 10 {
			look(fmt.Sprintf("no%d.b.example", i))
		}
		s := (*p.servers.Load())[0]
		s.open.Add(1)
		for i := range mostNames + 10 {
			set(fmt.Sprintf("n%d.b.example", i), "1.0.0.1")
			if look(fmt.Sprintf("n%d.b.example", i)) == nil {
				t.Fatalf("no place for %d", i)
			}
			time.Sleep(time.Millisecond)
		}
		if len(r.sni.pools) != mostNames || len(r.sni.missing) > mostMissing || r.sni.pools["x.b.example"] == nil || r.sni.pools["n0.b.example"] != nil {
			t.Errorf("%d pools, %d missing", len(r.sni.pools), len(r.sni.missing))
		}
		if got := fmt.Sprint(r.Status()); got != "[{a.example sni true true 0} {*.b.example sni true true 1}]" {
			t.Error(got)
		}
		r.sni.mayLook()
		r.sni.mayLook()
		if r.sni.mayLook() {
			t.Error("a third look-up")
		}
	})
}

// stub is a connection that notes what a session does.
type stub struct {
	service.Conn
	said   string
	failed service.Ending
	dialed service.Target
}

func (c *stub) WriteString(s string)                 { c.said += s }
func (c *stub) Standing() service.Standing           { return service.Standing{BytesOut: uint64(len(c.said))} }
func (c *stub) Fail(why service.Ending, last string) { c.failed, c.said = why, c.said+last }
func (c *stub) Dial(t service.Target, _ service.UpstreamHandler) (service.Upstream, service.Ending) {
	c.dialed = t
	return struct{ service.Upstream }{}, service.EndNone
}

// helloFor is what crypto/tls sends first.
func helloFor(t testing.TB, name string) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
		client.Close()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(server, head); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5+int(binary.BigEndian.Uint16(head[3:])))
	copy(b, head)
	if _, err := io.ReadFull(server, b[5:]); err != nil {
		t.Fatal(err)
	}
	return b
}

// inRecords cuts a hello into records of n bytes.
func inRecords(hello []byte, n int) (b []byte) {
	for m := hello[5:]; len(m) > 0; m = m[min(n, len(m)):] {
		b = append(append(b, 22, 3, 1, 0, byte(min(n, len(m)))), m[:min(n, len(m))]...)
	}
	return b
}

// feedHello gives a session b in the pieces that end at each of cuts, and returns what it did.
func feedHello(o service.Opener, b []byte, cuts ...int) (c *stub) {
	c = &stub{}
	s := o.Open(c)
	defer s.Closed()
	for _, end := range append(cuts, len(b)) {
		switch u := s.Decode(b[:end]); u.Kind {
		case codec.Frame:
			if u.N != 0 || s.Serve(c, u) != 0 || s.Partial() || s.Stage() != service.Between {
				c.said = "not as it came"
			}
			return c
		case codec.Bad:
			c.said = u.Fault.Label() + " "
			s.Fault(c, u.Fault)
			return c
		}
		if end < len(b) && (c.dialed != service.Target{} || s.Lacks() > len(b)-end || s.Partial() != (end > 0)) {
			c.said = "wrong while it is not there in whole"
			return c
		}
	}
	return c
}

func TestEverySplitOfAHello(t *testing.T) {
	r, err := OpenRoutes(RouteConfig{Routes: []Route{{"a.example", []string{"unix:/a"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o := Passthrough(r).ForLoop()
	for _, form := range [][]byte{helloFor(t, "A.example"), inRecords(helloFor(t, "a.example"), 7), inRecords(helloFor(t, "a.example"), 1)} {
		for i := range form {
			if c := feedHello(o, form, i); c.dialed.Path != "/a" || c.said != "" || c.failed != service.EndNone {
				t.Fatalf("cut at %d of %d: %+v", i, len(form), c)
			}
		}
		if c := feedHello(o, form, slices.Collect(func(yield func(int) bool) {
			for i := range form {
				yield(i)
			}
		})...); c.dialed.Path != "/a" {
			t.Errorf("byte by byte: %+v", c)
		}
	}
	for _, c := range []struct {
		in     []byte
		said   string
		failed service.Ending
		why    string
	}{
		{helloFor(t, "b.example"), "\x15\x03\x01\x00\x02\x02\x70", service.EndNoRoute, "another name"},
		{helloFor(t, "127.0.0.1"), "\x15\x03\x01\x00\x02\x02\x70", service.EndNoRoute, "no name"},
		{[]byte("GET / HTTP/1.1\r\n"), "not-tls \x15\x03\x01\x00\x02\x02\x0a", service.EndNone, "plain HTTP"},
		{[]byte("\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00"), "bad-client-hello \x15\x03\x01\x00\x02\x02\x32", service.EndNone, "not a hello"},
		{[]byte("\x16\x03\x01\x20\x00\x01\xff\xff\xff"), "client-hello-too-large \x15\x03\x01\x00\x02\x02\x32", service.EndNone, "16 MiB"},
	} {
		if got := feedHello(o, c.in); got.said != c.said || got.failed != c.failed || !reflect.ValueOf(got.dialed).IsZero() {
			t.Errorf("%s: %q, %s", c.why, got.said, got.failed)
		}
	}
	if n := len(o.(*passOpener).spare); n != 1 {
		t.Errorf("%d decoders for one client at a time", n)
	}
}

func TestNoServerForANameIsInternalError(t *testing.T) {
	r, err := OpenRoutes(RouteConfig{Config: Config{Lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, nil }}, Routes: []Route{{"a.example", []string{"b.example:1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if c := feedHello(Passthrough(r).ForLoop(), helloFor(t, "a.example")); c.said != "\x15\x03\x01\x00\x02\x02\x50" || c.failed != service.EndNoUpstream {
		t.Errorf("%q, %s", c.said, c.failed)
	}
}
