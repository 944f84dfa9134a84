package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/scheme"
)

func TestParseListen(t *testing.T) {
	for _, c := range []struct{ text, scheme, network, address, name, why string }{
		{"http://127.0.0.1:8080", "http", "tcp", "127.0.0.1:8080", "http://127.0.0.1:8080", "IPv4"},
		{"frames://[::1]:7000", "frames", "tcp", "[::1]:7000", "frames://[::1]:7000", "IPv6"},
		{"line://:7001", "line", "tcp", ":7001", "line://:7001", "all addresses"},
		{"http://localhost:0", "http", "tcp", "127.0.0.1:0", "http://localhost:0", "the one name that needs no look-up"},
		{"http://0.0.0.0:80/", "http", "tcp", "0.0.0.0:80", "http://0.0.0.0:80", "a slash that browsers add"},
		{"http://[::]:80?name=web-1.a_b", "http", "tcp", "[::]:80", "web-1.a_b", "a name"},
		{"http://unix:/run/weir.sock", "http", "unix", "/run/weir.sock", "http://unix:/run/weir.sock", "a unix socket"},
		{"https://:8443", "https", "tcp", ":8443", "https://:8443", "TLS"},
		{"frames+tls://[::1]:7443", "frames+tls", "tcp", "[::1]:7443", "frames+tls://[::1]:7443", "TLS below frames"},
		{"line+tls://unix:/run/weir.sock?name=s", "line+tls", "unix", "/run/weir.sock", "s", "TLS on a unix socket"},
		{"tcp://:6379?to=127.0.0.1:6380", "tcp", "tcp", ":6379", "tcp://:6379", "a relay"},
		{"line://unix:/run/a b.sock?name=x", "line", "unix", "/run/a b.sock", "x", "a path may hold a space"},
	} {
		l, wrong := parseListen("-listen", c.text, defaultLimits())
		if wrong != nil {
			t.Errorf("%s: %v: %s", c.text, wrong, c.why)
			continue
		}
		if l.scheme.Name != c.scheme || l.network != c.network || l.address != c.address || l.name != c.name {
			t.Errorf("%s: got %s %s %s %s: %s", c.text, l.scheme.Name, l.network, l.address, l.name, c.why)
		}
	}
}

func TestParametersOverrideThisListenerOnly(t *testing.T) {
	base := defaultLimits()
	l, wrong := parseListen("-listen", "frames://:7000?source-conns=10&max-frame=64KiB&idle-timeout=5s&max-conns=100&defer-accept=1s&source-byte-rate=10MiB&lifetime=0", base)
	if wrong != nil {
		t.Fatal(wrong)
	}
	got := l.limits
	if got.SourceConns != 10 || got.maxFrame != 64<<10 || got.IdleTimeout != 5*time.Second || got.MaxConns != 100 ||
		got.deferAccept != time.Second || got.SourceByteRate != 10<<20 || got.Lifetime != 0 {
		t.Errorf("%+v", got)
	}
	if got.FrameTimeout != base.FrameTimeout || !reflect.DeepEqual(base, defaultLimits()) {
		t.Error("other limits changed")
	}
}

func TestListsOfAListenerReplaceTheOthers(t *testing.T) {
	base := defaultLimits()
	base.proxyFrom = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16")}[:1]
	for text, want := range map[string]string{
		"http://:1":                      "[10.0.0.0/8]",
		"http://:1?proxy-from=192.0.2.7": "[192.0.2.7/32]",
		"http://:1?proxy-from=192.0.2.0/24&proxy-from=::1":        "[192.0.2.0/24 ::1/128]",
		"http://:1?proxy-from=off":                                "[]",
		"http://:1?proxy-from=192.0.2.0/24&proxy-from=off":        "[]",
		"http://:1?proxy-from=192.0.2.0/24,::1":                   "[192.0.2.0/24 ::1/128]",
		"frames+tls://:1?proxy-from=off&proxy-from=2001:db8::/32": "[2001:db8::/32]",
	} {
		l, wrong := parseListen("-listen", text, base)
		if wrong != nil {
			t.Errorf("%s: %v", text, wrong)
		} else if got := fmt.Sprint(l.limits.proxyFrom); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	if got := mustResolve(t, "-to", "c:3", "-listen", "tcp://:1?to=a:1,b:2&to=unix:/d,tcp://:2,frames://:3?max-frame=1KiB").listeners; len(got) != 3 ||
		fmt.Sprint(got[0].limits.relay.to, got[1].limits.relay.to) != "[a:1 b:2 unix:/d] [c:3]" || !got[2].relays() {
		t.Errorf("lists with commas, in a list of listeners: %+v", got)
	}
	if got := fmt.Sprint(base.proxyFrom[:2]); got != "[10.0.0.0/8 10.1.0.0/16]" {
		t.Errorf("what all listeners share has changed: %s", got)
	}
}

func TestEveryLimitIsAParameter(t *testing.T) {
	protocol := map[string]string{"max-frame": "frames resp mqtt", "max-line": "line", "max-header": "http", "max-body": "http", "max-refusals": "http",
		"max-idle": "http", "upstream-idle": "http", "upstream-timeout": "http",
		"files": "http frames", "index": "http", "list": "http", "dotfiles": "http frames", "max-age": "http", "hsts": "http",
		"uploads": "http frames", "overwrite": "http frames", "max-upload": "http frames", "upload-quota": "http frames", "upload-floor": "http frames",
		"source-upload-rate": "http frames", "source-upload-burst": "http frames",
		"auth": "http frames line", "scope": "http frames line", "auth-timeout": "frames line", "sign": "frames", "auth-bind": "frames line", "auth-plain": "http frames line", "names": scheme.Passthrough, "sni-port": scheme.Passthrough, "sni-private": scheme.Passthrough}
	overTLS := map[string]bool{"hsts": true, "tls-min": true, "auth-bind": true, "tls-client-auth": true, "handshake-timeout": true, "source-handshake-rate": true, "source-handshake-burst": true}
	eachRow(func(r *row) {
		if r.limit == nil {
			return
		}
		value := r.numeral(r.max)
		switch r.kind {
		case word:
			value = r.words[0]
		case names:
			if value = "a.example:1"; r.name == "names" {
				value = "*.a.example"
			}
		case prefixes:
			value = "10.0.0.0/8"
		case toggle:
			value = "1"
		case text:
			if value = "x"; r.name == "health-path" {
				value = "/x"
			}
		}
		for _, of := range scheme.All {
			_, wrong := parseListen("-listen", of.Name+"://:1?"+r.name+"="+value, defaultLimits())
			fits := (protocol[r.name] == "" || slices.Contains(strings.Fields(protocol[r.name]), of.Protocol)) && (!overTLS[r.name] || of.Can(scheme.TLS)) && (r.name != "auth-plain" || !of.Can(scheme.TLS))
			if fits != (wrong == nil) {
				t.Errorf("%s at %s: %v", r.name, of.Name, wrong)
			}
		}
	})
}

func TestWrongListenIsOnePlainLine(t *testing.T) {
	for _, c := range []struct{ text, want, why string }{
		{"", `-listen "": must be SCHEME://HOST:PORT or SCHEME://unix:/PATH, with http, https, frames, frames+tls, line, line+tls, tcp, tcp+tls, resp, resp+tls, mqtt, mqtt+tls or tls-passthrough`, "empty"},
		{"127.0.0.1:80", "must be SCHEME://HOST:PORT", "no scheme"},
		{"http+tls://:443", "must be SCHEME://HOST:PORT", "one way to write it"},
		{"tls://:443", "must be SCHEME://HOST:PORT", "and what is spoken inside?"},
		{"HTTP://:80", "must be SCHEME://HOST:PORT", "one way to write it"},
		{"http://127.0.0.1", "must have HOST:PORT", "no port"},
		{"http://::1:80", "must have HOST:PORT, with an IPv6 address in brackets", "an ambiguous address"},
		{"http://:http", "the port must be a number", "names of ports are looked up in a file"},
		{"http://:65536", "the port must be a number, 0 (any free one) to 65535", "too large"},
		{"http://:080", "the port must be a number", "leading zeros"},
		{"http://:-1", "the port must be a number", "signs"},
		{"http://example.com:80", "the host must be an IPv4 address", "names may resolve to anything"},
		{"http://010.0.0.1:80", "the host must be an IPv4 address", "octal or decimal?"},
		{"http://[fe80::1%eth0]:80", "an address with a zone cannot be served", "zones"},
		{"http://[::ffff:127.0.0.1]:80", "write the address as IPv4: 127.0.0.1", "one way to write it"},
		{"http://user:pw@127.0.0.1:80", "must end after HOST:PORT", "user information"},
		{"http://:80/path", "must end after HOST:PORT", "paths are the service's business"},
		{"http://:80#x", "must end after HOST:PORT", "fragments"},
		{"http://unix:run.sock", "a unix socket needs an absolute path, such as http://unix:/run/weir.sock", "relative"},
		{"http://unix:/", "needs an absolute path", "no name"},
		{"http://unix:/run/\x1b[2J", `-listen http://unix:/run/\x1b[2J: a unix socket needs an absolute path`, "escapes"},
		{"http://unix:/" + strings.Repeat("x", 107), "at most 107 bytes", "longer than sun_path"},
		{"http://:80?idle-timeout=banana", "-listen http://:80: idle-timeout banana: must be a duration such as 75s, 0 (no limit) to 24h", "a wrong value"},
		{"http://:80?source-conns=-1", "-listen http://:80: source-conns -1: must be a whole number, 0 (no limit) to 16777216", "out of range"},
		{"http://:80?colour=red", "-listen http://:80: colour red: no such parameter", "unknown"},
		{"http://:80?loops=1", "loops 1: no such parameter", "a flag of the process"},
		{"http://:80?max-frame=1KiB", "max-frame 1KiB: is for frames://, frames+tls://, resp://, resp+tls://, mqtt:// and mqtt+tls:// only", "would do nothing"},
		{"https://:80?max-line=1KiB", "max-line 1KiB: is for line:// and line+tls:// only", "would do nothing"},
		{"http://:80?tls-min=1.3", "tls-min 1.3: is for https://, frames+tls://, line+tls://, tcp+tls://, resp+tls:// and mqtt+tls:// only", "would do nothing"},
		{"https://:80?tls-min=1.1", "tls-min 1.1: must be 1.2 or 1.3", "too old"},
		{"https://:80?tls-client-auth=maybe", "tls-client-auth maybe: must be off, optional or required", "no such word"},
		{"https://:80?cert=x", "cert x: no such parameter", "the name picks the certificate, not the listener"},
		{"line://:80?files=x", "files x: is for http://, https://, frames:// and frames+tls:// only", "would do nothing"},
		{"frames://:80?files=x&index=y", "index y: is for http:// and https:// only", "would do nothing"},
		{"http://:80?files=", `files "": must be the path of a directory`, "no directory"},
		{"http://:80?files=x&index=a/b", "index a/b: must be off or the plain name of a file", "a path"},
		{"http://:80?files=x&index=..", "index ..: must be off or the plain name of a file", "no name"},
		{"http://:80?files=x&list=maybe", "list maybe: must be true or false", "no toggle"},
		{"http://:80?proxy-from=10.0.0.0/33", "proxy-from 10.0.0.0/33: must be a network such as 10.0.0.0/8", "no network"},
		{"http://:80?proxy-from=", `proxy-from "": must be a network`, "nothing"},
		{"http://unix:/run/x.sock?proxy-from=10.0.0.0/8", "peers on a unix socket have no address", "would do nothing"},
		{"http://:80?idle-timeout=1s&idle-timeout=2s", "idle-timeout 2s: is given twice", "which one?"},
		{"http://:80?idle-timeout", `idle-timeout "": must be a duration`, "no value"},
		{"tls-passthrough+tls://:443?to=a:1", "must be SCHEME://HOST:PORT", "it is TLS already"},
		{"tls-passthrough://:443?to=a.example=b", "to a.example=b: must be HOST:PORT", "no port"},
		{"tls-passthrough://:443?to=1.2.3.4=b:1", "to 1.2.3.4=b:1: the name before = must be a host name", "nobody asks for an address"},
		{"tls-passthrough://:443?to=a.*.example=b:1", "the name before = must be a host name", "a star in the middle"},
		{"tls-passthrough://:443?to=*=b:1", "the name before = must be a host name", "that is to=b:1"},
		{"tls-passthrough://:443?to=sni&names=a:1", "names a:1: must be a host name", "a port"},
		{"tcp://:1?to=a:1&names=a.example", "names a.example: is for tls-passthrough:// only", "would do nothing"},
		{"http://:80?name=", `name "": must be 1 to 40 of a-z`, "empty name"},
		{"http://:80?name=a%0Ab", `name a\nb: must be 1 to 40 of a-z`, "forges a log line"},
		{"http://:80?a=%zz", "parameters must be written FLAG=VALUE with & between them", "bad escape"},
		{"http://:80?a=1;b=2", "parameters must be written FLAG=VALUE with & between them", "semicolons"},
	} {
		_, wrong := parseListen("-listen", c.text, defaultLimits())
		switch {
		case wrong == nil:
			t.Errorf("%q is taken: %s", c.text, c.why)
		case !strings.Contains(wrong.Error(), c.want):
			t.Errorf("%q: got %q, want %q: %s", c.text, wrong, c.want, c.why)
		case strings.ContainsAny(wrong.Error(), "\n\r\x1b") || len(wrong.Error()) > 400:
			t.Errorf("%q: not one plain line: %q", c.text, wrong)
		}
	}
}

func TestSomethingAnswersAtEveryScheme(t *testing.T) {
	for _, of := range scheme.All {
		url := of.Name + "://127.0.0.1:1"
		if of.Can(scheme.RelaysOnly) {
			url += "?to=127.0.0.1:2"
		}
		s := mustResolve(t, "-listen", url, "-tls-self-signed="+strconv.FormatBool(of.Can(scheme.TLS)))
		if l := wire(s, nil, nil, nil, nil, nil).Listeners[0]; l.Service == nil || l.MaxIn == 0 {
			t.Errorf("%s: nothing answers, or nothing may come in", of.Name)
		}
	}
}
