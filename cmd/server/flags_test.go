package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/engine"
	"weir/guard"
	"weir/guard/bucket"
	"weir/internal/say"
	"weir/internal/scheme"
)

// testMachine stands for the machine in tests, so that nothing depends on the real one.
var testMachine = machine{descriptors: 20000, memory: 8 << 30, cpus: 4}

// clean empties the environment of everything that begins with WEIR_.
func clean(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "WEIR_") {
			t.Setenv(name, value) // brings it back afterwards
			os.Unsetenv(name)
		}
	}
}

func mustResolve(t *testing.T, args ...string) *settings {
	t.Helper()
	g, err := parse(args)
	if err != nil {
		t.Fatalf("parse %v: %v", args, err)
	}
	s, err := resolve(g, testMachine)
	if err != nil {
		t.Fatalf("resolve %v: %v", args, err)
	}
	return s
}

func inFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "weir.conf")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// three are three different good values for a flag, none of them its default.
func three(r *row) [3]string {
	switch {
	case r.kind == toggle:
		return [3]string{"true", "true", "true"}
	case r.name == "profile":
		return [3]string{"bench", "bench", "bench"}
	case r.name == "log-level":
		return [3]string{"debug", "warn", "error"}
	case r.name == "sign":
		return [3]string{"off", "required", "off"}
	case r.name == "scope":
		return [3]string{"a", "/b=c", "PUT:/d=e"}
	case r.name == "log-to":
		return [3]string{"syslog", "journal", "file:/l"}
	case r.name == "tls-client-auth":
		return [3]string{"optional", "required", "off"}
	case r.kind == word:
		return [3]string{r.words[1], r.words[1], r.words[1]}
	case r.name == "to":
		return [3]string{"a.example:1", "192.0.2.1:2", "unix:/run/c"}
	case r.name == "acme-domain", r.name == "names", r.kind == files, r.kind == text && r.unit == "FILE", r.kind == text && r.unit == "DIRECTORY", r.name == "index":
		return [3]string{"a.example", "b.example", "c.example"}
	case r.name == "health-path":
		return [3]string{"/a", "/b?c", "/d"}
	case r.name == "alert-url":
		return [3]string{"https://a.example/x", "slack+https://b.example/y", "http://u:p@c.example/?z"}
	case r.name == "alert-rule":
		return [3]string{"a=shed:1/1s", "panics=off", "b=descriptors:50%/1m/1h"}
	case r.name == "check-accept":
		return [3]string{"R1", "R10", "R17"}
	case r.name == "acme-email":
		return [3]string{"a@a.example", "b@b.example", "c@c.example"}
	case r.name == "acme-directory":
		return [3]string{"https://a.example/a", "https://a.example/b", "https://a.example/c"}
	case r.name == "admin":
		return [3]string{"off", "[::1]:1", "127.0.0.1:2"}
	case r.kind == listURLs:
		return [3]string{"http://:1", "http://:2", "http://:3"}
	case r.kind == prefixes:
		return [3]string{"10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"}
	case r.name == "source-table":
		return [3]string{"8", "16", "32"}
	case r.name == "max-conns":
		return [3]string{"5", "6", "7"}
	case r.kind == duration && r.min == 0:
		return [3]string{"1s", "2s", "3s"}
	case r.name == "v4-prefix", r.name == "v6-prefix":
		return [3]string{r.numeral(r.min), r.numeral(r.min + 1), r.numeral(r.min + 2)}
	}
	return [3]string{r.numeral(max(r.min, 1)), r.numeral(max(r.min, 1) * 2), r.numeral(max(r.min, 1) * 4)}
}

// beside are flags that another one cannot be without: those that it does nothing without, and what those need.
func beside(name string) []string {
	switch name {
	case "cert":
		return []string{"-listen=https://:1", "-key=k"}
	case "key":
		return []string{"-listen=https://:1", "-cert=c"}
	case "acme-domain", "tls-self-signed":
		return []string{"-listen=https://:1"}
	case "tls-client-auth":
		return []string{"-listen=https://:1", "-tls-self-signed", "-tls-client-ca=ca"}
	case "source-upload-burst":
		return []string{"-uploads=.", "-max-upload=1"}
	case "auth":
		return []string{"-users=u"}
	case "scope":
		return []string{"-listen=http://127.0.0.1:1", "-users=u", "-auth=required"}
	case "auth-bind":
		return []string{"-listen=frames+tls://:1", "-tls-self-signed", "-users=u", "-auth=required"}
	case "names", "sni-port", "sni-private":
		args := []string{"-listen=tls-passthrough://:1", "-to=sni"}
		if name != "names" {
			args = append(args, "-names=a.example")
		}
		return args
	case "hsts":
		return []string{"-listen=https://:1", "-tls-self-signed", "-files=."}
	case "health-path":
		return []string{"-listen=http://:1", "-to=a.example:1", "-health=http"}
	case "max-line":
		return []string{"-listen=line://:1"}
	}
	n := lacksOf(name)
	switch {
	case n == nil:
		return nil
	case n.flag == "listen": // TLS
		return []string{"-listen=https://:1", "-tls-self-signed"}
	case n.flag == "auth":
		return []string{"-users=u", "-auth=required"}
	case n.flag == "acme-domain":
		return []string{"-listen=https://:1", "-acme-domain=a.example"}
	case strings.HasSuffix(n.flag, "-rate"):
		return []string{"-" + n.flag + "=1"}
	case n.flag == "to-tls":
		return []string{"-to=a.example:1", "-to-tls"}
	case n.flag == "health":
		return []string{"-to=a.example:1", "-health=tcp"}
	}
	return []string{"-" + n.flag + "=" + map[string]string{
		"files": ".", "uploads": ".", "to": "a.example:1", "proxy-from": "10.0.0.0/8",
		"alert-url": "https://a.example", "log-to": "file:/l",
	}[n.flag]}
}

func TestEveryFlagInEveryPlace(t *testing.T) {
	clean(t)
	base := mustResolve(t)
	eachRow(func(r *row) {
		if r.name == "config" {
			return
		}
		t.Run(r.name, func(t *testing.T) {
			v := three(r)
			force := func(s *settings) []string { return r.written(r.field(s)) }
			with := func(args ...string) []string { return append(args, beside(r.name)...) }
			if slices.Equal(force(base), v[:1]) {
				t.Fatalf("%s is the default already", v[0])
			}
			line := []string{"-" + r.name + "=" + v[0]}
			file := "-config=" + inFile(t, "# a comment\n\n"+r.name+"\t "+v[2]+" # another\n")

			if got := force(mustResolve(t, with(line...)...)); !slices.Equal(got, v[:1]) {
				t.Errorf("command line: got %v, want %s", got, v[0])
			}
			if got := force(mustResolve(t, with(file)...)); !slices.Equal(got, v[2:]) {
				t.Errorf("file: got %v, want %s", got, v[2])
			}
			t.Setenv(envName(r.name), v[1])
			if got := force(mustResolve(t, with()...)); !slices.Equal(got, v[1:2]) {
				t.Errorf("environment: got %v, want %s", got, v[1])
			}
			if got := force(mustResolve(t, with(file)...)); !slices.Equal(got, v[1:2]) {
				t.Errorf("environment over file: got %v, want %s", got, v[1])
			}
			if got := force(mustResolve(t, with(append(line, file)...)...)); !slices.Equal(got, v[:1]) {
				t.Errorf("command line over both: got %v, want %s", got, v[0])
			}
			t.Setenv(envName(r.name), "")
			if got := force(mustResolve(t)); !slices.Equal(got, force(base)) {
				t.Errorf("an empty variable: got %v, want the default %v", got, force(base))
			}
		})
	})
}

// A flag that matters only with something else must be refused without it, and taken with it: the test above does the
// latter. What is automatic is not there to tell: -print-config names what it has become.
func TestWhatDoesNothingIsRefused(t *testing.T) {
	clean(t)
	needless := map[string]bool{}
	eachRow(func(r *row) {
		n := lacksOf(r.name)
		if r.when != nil && n == nil && r.auto == "" {
			t.Errorf("%s matters only sometimes, and lacks names nothing that it does nothing without", r.name)
		}
		if n == nil && (r.needs == 0 || r.fits(mustScheme("http")) || r.fits(mustScheme("frames"))) {
			needless[r.name] = true
			return
		}
		args := []string{"-" + r.name + "=" + three(r)[0]}
		if n != nil && strings.HasSuffix(n.flag, "-rate") {
			args = append(args, "-"+n.flag+"=0")
		}
		if r.name == "auth" { // required is never for nothing
			args = []string{"-auth=optional", "-users=u", "-listen=frames://:1"}
		}
		g, err := parse(args)
		if err == nil {
			_, err = resolve(g, testMachine)
		}
		if err == nil || !strings.HasPrefix(err.Error(), "-"+r.name) {
			t.Errorf("%s: %v", args, err)
		}
	})
	for _, name := range []string{"sign", "to-tls", "log-keep", "scope", "names", "max-line"} {
		if needless[name] {
			t.Errorf("%s is not looked at", name)
		}
	}
	for i := range lacks {
		for _, name := range lacks[i].rows {
			if r := rowNamed(name); r == nil || lacksOf(name) != &lacks[i] || lacks[i].at == nil && lacks[i].of == nil {
				t.Errorf("%s: is a flag, once, with a question", name)
			}
		}
	}
}

func mustScheme(name string) scheme.Scheme {
	s, _ := scheme.Named(name)
	return s
}

func TestListsReplaceAndRepeat(t *testing.T) {
	clean(t)
	t.Setenv("WEIR_LISTEN", "http://:1, frames://:2 line://:3")
	if got := mustResolve(t).listen; !slices.Equal(got, []string{"http://:1", "frames://:2", "line://:3"}) {
		t.Errorf("environment: %v", got)
	}
	if got := mustResolve(t, "-listen", "http://:4", "-listen", "http://:5").listen; !slices.Equal(got, []string{"http://:4", "http://:5"}) {
		t.Errorf("the command line replaces: %v", got)
	}
	os.Unsetenv("WEIR_LISTEN")
	file := inFile(t, "listen http://:6\nlisten http://:7\nexempt 10.1.2.3/8,::ffff:192.0.2.1\ncheck\n")
	s := mustResolve(t, "-config", file)
	if !slices.Equal(s.listen, []string{"http://:6", "http://:7"}) || !s.check {
		t.Errorf("file: %v %v", s.listen, s.check)
	}
	if got := s.engine.Guard.Exempt; len(got) != 2 || got[0].String() != "10.0.0.0/8" || got[1].String() != "192.0.2.1/32" {
		t.Errorf("prefixes are masked, and mapped ones IPv4: %v", got)
	}
}

func TestWrongInputIsOnePlainLine(t *testing.T) {
	clean(t)
	conf := func(text string) []string { return []string{"-config", inFile(t, text)} }
	for _, c := range []struct {
		args []string
		env  string
		want string
		code int
		why  string
	}{
		{[]string{"-idle-timeout", "banana"}, "", "-idle-timeout banana: must be a duration such as 75s, 0 (no limit) to 24h", 2, "no duration"},
		{[]string{"-idle-timeout", "-1s"}, "", "-idle-timeout -1s: must be a duration", 2, "negative"},
		{[]string{"-idle-timeout", "25h"}, "", "-idle-timeout 25h: must be a duration", 2, "above the range"},
		{[]string{"-idle-timeout", "5"}, "", "-idle-timeout 5: must be a duration such as 75s", 2, "no unit"},
		{[]string{"-idle-timeout"}, "", "-idle-timeout: needs a value: a duration such as 75s", 2, "nothing"},
		{[]string{"-idle-timeout", ""}, "", `-idle-timeout "": must be a duration`, 2, "empty"},
		{[]string{"-loops", "1.5"}, "", "-loops 1.5: must be a whole number, 0 (automatic) to 256", 2, "a fraction"},
		{[]string{"-loops", "99999999999999999999"}, "", "-loops 99999999999999999999: must be a whole number", 2, "overflow"},
		{[]string{"-max-frame", "1KB"}, "", "-max-frame 1KB: must be a size such as 64KiB, 0 (the most there can be) to 1GiB", 2, "a decimal unit"},
		{[]string{"-max-out", "1"}, "", "-max-out 1: must be a size such as 64KiB, 0 (the most there can be) or 4KiB to 1GiB", 2, "below the range"},
		{[]string{"-source-byte-rate", "fast"}, "", "-source-byte-rate fast: must be bytes per second such as 10MiB", 2, "no rate"},
		{[]string{"-v4-prefix", "33"}, "", "-v4-prefix 33: must be a whole number, 8 to 32", 2, "no such prefix"},
		{[]string{"-source-table", "100"}, "", "-source-table 100: must be a power of two, 8 to 67108864", 2, "no power of two"},
		{[]string{"-exempt", "10.0.0.0/33"}, "", "-exempt 10.0.0.0/33: must be a network such as", 2, "no network"},
		{[]string{"-exempt", "::ffff:0:0/90"}, "", "-exempt ::ffff:0:0/90: must be a network such as", 2, "half IPv4, half not"},
		{[]string{"-exempt", ","}, "", "-exempt ,: must not be empty", 2, "nothing between commas"},
		{[]string{"-log-level", "loud"}, "", "-log-level loud: must be debug, info, warn or error", 2, "no such word"},
		{[]string{"-check=maybe"}, "", "-check maybe: must be true or false", 2, "no toggle"},
		{[]string{"-admin", "example.com:90"}, "", "-admin example.com:90: must be off or HOST:PORT", 2, "a name"},
		{[]string{"-max-conns", "20000"}, "", "-max-conns 20000: must be 0 (as many as there are descriptors) to 19912: the limit on open files is 20000, and 88 are reserved (-fd-reserve)", 2, "above the descriptor limit"},
		{[]string{"-min-rate-grace", "0"}, "", "-min-rate-grace 0: must not be 0 while min-rate is 240", 2, "two that depend on each other"},
		{[]string{"-listen", "http://:1?min-rate-grace=0"}, "", "-listen http://:1?min-rate-grace=0: min-rate-grace 0: must not be 0", 2, "the same at one listener"},
		{[]string{"-listen", "https://:1"}, "", "-listen https://:1: needs a certificate: give -cert and -key, -acme-domain or -tls-self-signed", 2, "TLS without a certificate"},
		{[]string{"-listen", "line+tls://:1"}, "", "-listen line+tls://:1: needs a certificate", 2, "whatever is spoken"},
		{[]string{"-cert", "a", "-cert", "b", "-key", "c", "-listen", "https://:1"}, "", "-cert is given 2 times and -key 1 time: give a -key for each -cert, in the same order", 2, "a key is missing"},
		{[]string{"-cert", "a", "-listen", "https://:1"}, "", "weir: -cert is given 1 time and -key 0 times: give a -key for each -cert", 2, "the only key is missing"},
		{[]string{"-key", "c", "-listen", "https://:1"}, "", "weir: -cert is given 0 times and -key 1 time", 2, "and here all but it"},
		{[]string{"-listen", "https://:1"}, "WEIR_CERT=a,b", "weir: WEIR_CERT is given 2 times and -key 0 times", 2, "where it was given"},
		{[]string{"-cert", "a", "-key", "b"}, "", "-cert: no listener speaks TLS; add one, such as -listen https://:8443", 2, "a certificate that nobody sees"},
		{[]string{"-tls-self-signed"}, "", "-tls-self-signed: no listener speaks TLS", 2, "the same"},
		{[]string{"-acme-domain", "a.example"}, "", "-acme-domain: no listener speaks TLS", 2, "the CA would find nobody"},
		{[]string{"-tls-client-ca", "x"}, "", "-tls-client-ca: no listener speaks TLS", 2, "and nobody be asked"},
		{[]string{"-tls-client-auth", "optional"}, "", "-tls-client-auth: no listener speaks TLS", 2, "the same"},
		{[]string{"-tls-min", "1.3", "-listen", "http://:1"}, "", "-tls-min: no listener speaks TLS", 2, "what is plain has no version"},
		{nil, "WEIR_SNI_STRICT=true", "WEIR_SNI_STRICT: no listener speaks TLS", 2, "nor a name, wherever it is given"},
		{[]string{"-acme-email", "a@b.example"}, "", "-acme-email: nothing is obtained without -acme-domain; give it, or leave this out", 2, "for whom?"},
		{[]string{"-listen", "https://:1", "-tls-self-signed", "-acme-cache", "/x"}, "", "-acme-cache: nothing is obtained without -acme-domain", 2, "with TLS too"},
		{[]string{"-acme-ca", "/x"}, "", "-acme-ca: nothing is obtained without", 2, "the same"},
		{[]string{"-acme-directory", "https://a.example/"}, "", "-acme-directory: nothing is obtained without", 2, "the same"},
		{[]string{"-acme-email", "mailto:a@b.example"}, "", "-acme-email mailto:a@b.example: must be an address such as ops@example.com", 2, "an address, not its URL"},
		{[]string{"-listen", "http://:1?proxy-from=10.0.0.0/8,banana"}, "", "-listen http://:1: proxy-from banana: must be a network", 2, "a list in a parameter"},
		{[]string{"-listen", "tcp://:1"}, "", "-listen tcp://:1: needs a server to relay to: add to=HOST:PORT", 2, "relayed to nobody"},
		{[]string{"-listen", "tcp://:1?to=a"}, "", "-listen tcp://:1: to a: must be HOST:PORT, with an IPv6 address in brackets, or unix:/PATH", 2, "no port"},
		{[]string{"-listen", "tcp://:1?to="}, "", `-listen tcp://:1: to "": must be HOST:PORT`, 2, "nothing"},
		{[]string{"-listen", "tcp://:1?to=a:1,b:2,a:1"}, "", "-listen tcp://:1?to=a:1,b:2,a:1: to names a:1 twice", 2, "one server for two"},
		{[]string{"-listen", "tls-passthrough://:1"}, "", "tls-passthrough://:1: needs a server to relay to", 2, "relayed to nobody"},
		{[]string{"-listen", "tls-passthrough://unix:/run/x.sock?to=a:1"}, "", "tls-passthrough needs a TCP address: its clients are on the network", 2, "nobody asks for a name there"},
		{[]string{"-listen", "tls-passthrough://:1?to=a:1&to-tls=1"}, "", "tls-passthrough passes the client's own TLS on: leave to-tls out", 2, "TLS in TLS"},
		{[]string{"-listen", "tls-passthrough://:1?to=sni"}, "", "to=sni relays to whatever clients name: say which names with names=a.example,*.b.example", 2, "an open relay"},
		{[]string{"-listen", "tls-passthrough://:0?to=sni&names=a.example"}, "", "to=sni needs the servers' port here: add sni-port=", 2, "any port?"},
		{[]string{"-listen", "tcp://:1?to=a.example=b:1"}, "", "to a.example=b:1: servers by name are for tls-passthrough:// only", 2, "bytes name nobody"},
		{[]string{"-listen", "tcp://:1?to=sni"}, "", "to sni: servers by name are for tls-passthrough:// only", 2, "the same"},
		{[]string{"-listen", "resp://:1?to=a:1&health=http"}, "", "health=http is for http://, https://, tcp:// and tcp+tls:// listeners: use health=tcp", 2, "redis does not answer in HTTP"},
		{[]string{"-listen", "tls-passthrough://:1?to=a:1&health=http"}, "", "health=http is for", 2, "what TLS would it be?"},
		{[]string{"-listen", "http://:1?to=a:1&health-path=/x"}, "", "health-path: nothing is asked for without health=http", 2, "no check at all"},
		{[]string{"-health-path", "/x", "-listen", "http://:1?to=a:1&health=tcp"}, "", "-health-path: nothing is asked for without -health http", 2, "a check that does not ask"},
		{[]string{"-health-path", "healthz"}, "", "-health-path healthz: must be a path such as /healthz", 2, "no path"},
		{[]string{"-health-path", "/a b"}, "", "-health-path \"/a b\": must be a path", 2, "a space would end it"},
		{[]string{"-health-path", "/a\r\nHost: b"}, "", "must be a path", 2, "another line"},
		{[]string{"-alert-url", "ftp://user:5ecret@a.example/"}, "", "weir: -alert-url (hidden): must be https://HOST/", 2, "no secret is repeated"},
		{[]string{"-alert-rule", "a=shed:1/1s"}, "", "-alert-rule: nobody is told without -alert-url; give it, or leave this out", 2, "for whom?"},
		{[]string{"-alert-secret-file", "x"}, "", "-alert-secret-file: nobody is told without -alert-url", 2, "the same"},
		{[]string{"-alert-url", "https://a.example", "-alert-rule", "x=off"}, "", "-alert-rule: there is no rule x to turn off", 2, "a name that is mistyped"},
		{[]string{"-alert-url", "https://a.example", "-alert-rule", "a=shed:1/1h"}, "", "-alert-rule a=shed:1/1h: must be NAME=SUBJECT:NUMBER/WINDOW/COOLDOWN such as sheds=shed:1000/10s/5m, or NAME=off: the window is 1s to 10m", 2, "too long"},
		{[]string{"-listen", "frames://:1?sign=required"}, "", "-listen frames://:1?sign=required: sign required: nobody is asked who they are without auth=required; give it, or leave this out", 2, "frames would be echoed unsigned"},
		{[]string{"-sign", "required"}, "", "-sign: nobody is asked who they are without -auth; give it, or leave this out", 2, "the same for all"},
		{nil, "WEIR_SIGN=required", "WEIR_SIGN: nobody is asked who they are without -auth", 2, "from the environment"},
		{conf("loops 1\nauth-plain\n"), "", "weir.conf:2: auth-plain: nobody is asked", 2, "from a file"},
		{[]string{"-listen", "http://:1?scope=x"}, "", "scope x: nobody is asked who they are without auth=required", 2, "a scope of whom?"},
		{[]string{"-auth", "optional", "-users", "u", "-listen", "frames://:1"}, "", "-auth: only http:// and https:// listeners ask when it is optional", 2, "frames would be open"},
		{[]string{"-users", "u", "-auth", "required", "-listen", "http://127.0.0.1:1", "-sign", "required"}, "", "-sign: it is for frames:// and frames+tls:// listeners only, and there is none; add one, or leave this out", 2, "requests are not signed"},
		{[]string{"-listen", "http://:1?to-tls=1"}, "", "to-tls true: nothing is relayed without to=HOST:PORT; give it, or leave this out", 2, "to whom?"},
		{[]string{"-listen", "http://:1?health=tcp"}, "", "health tcp: nothing is relayed without to=", 2, "whose?"},
		{[]string{"-proxy-to", "v2"}, "", "-proxy-to: nothing is relayed without -to; give it, or leave this out", 2, "the same for all"},
		{[]string{"-listen", "http://:1?to=a:1", "-to-insecure"}, "", "-to-insecure: servers are not spoken to by TLS without -to-tls; give it, or leave this out", 2, "there is no certificate"},
		{[]string{"-names", "x"}, "", "-names: no name stands for its server without to=sni", 2, "names of what?"},
		{[]string{"-log-keep", "3"}, "", "-log-keep: nothing is logged to a file without -log-to file:PATH", 2, "of no file"},
		{[]string{"-log-to", "syslog", "-log-max-size", "1MiB"}, "", "-log-max-size: nothing is logged to a file", 2, "the same"},
		{[]string{"-conn-frame-burst", "9"}, "", "-conn-frame-burst: there is no limit to burst above without -conn-frame-rate; give it, or leave this out", 2, "a burst of any number"},
		{[]string{"-listen", "http://:1?source-byte-rate=0&source-byte-burst=1MiB"}, "", "source-byte-burst 1MiB: there is no limit to burst above without source-byte-rate=NUMBER", 2, "the same"},
		{[]string{"-max-line", "9"}, "", "-max-line: it is for line:// and line+tls:// listeners only, and there is none; add one, or leave this out", 2, "nobody sends lines"},
		{[]string{"-listen", "http://:1?to=a:1&max-header=128KiB"}, "", "max-header must be less than half of max-out", 2, "no head could be relayed"},
		{[]string{"-listen", "tcp://:1?to=a:1&max-idle=1"}, "", "max-idle 1: is for http:// and https:// only", 2, "bytes are not requests"},
		{[]string{"-to", "[fe80::1%eth0]:1"}, "", "-to [fe80::1%eth0]:1: an address with a zone cannot be connected to", 2, "zones"},
		{[]string{"-to", "a b:1"}, "", "-to a: must be HOST:PORT", 2, "spaces stand between"},
		{[]string{"-to", "unix:x"}, "", "-to unix:x: must be unix: and an absolute path of at most 107 bytes", 2, "relative"},
		{[]string{"-listen", "https://:1", "-tls-self-signed", "-tls-client-auth", "required"}, "", "-tls-client-auth required: needs -tls-client-ca", 2, "checked against what?"},
		{[]string{"-listen", "https://:1?tls-client-auth=optional", "-tls-self-signed"}, "", "-listen https://:1?tls-client-auth=optional: tls-client-auth needs -tls-client-ca", 2, "the same at one listener"},
		{[]string{"-tls-client-auth", "yes"}, "", "-tls-client-auth yes: must be off, optional or required", 2, "no such word"},
		{[]string{"-tls-min", "1.1"}, "", "-tls-min 1.1: must be 1.2 or 1.3", 2, "too old"},
		{[]string{"-acme-domain", "*.example.com"}, "", "-acme-domain *.example.com: must be a name without *: only DNS could prove a wildcard", 2, "a wildcard"},
		{[]string{"-acme-domain", "a.example,192.0.2.1"}, "", "-acme-domain 192.0.2.1: must be a DNS name, not an address", 2, "an address, in a list"},
		{[]string{"-listen", "https://:1", "-acme-domain", "a.example", "-acme-domain", "a.example"}, "", "-acme-domain a.example: is given twice", 2, "a domain twice"},
		{[]string{"-acme-directory", "http://ca.example/"}, "", "-acme-directory http://ca.example/: must be the URL of an ACME directory: https://HOST/PATH", 2, "plain HTTP"},
		{[]string{"-acme-email", "ops"}, "", "-acme-email ops: must be an address such as ops@example.com", 2, "no address"},
		{[]string{"-tls-client-ca", ""}, "", `-tls-client-ca "": must be the path of a file`, 2, "no file"},
		{[]string{"-cert", ""}, "", `-cert "": must not be empty`, 2, "no file in a list"},
		{[]string{"-proxy-from", "banana"}, "", "-proxy-from banana: must be a network such as", 2, "no network for PROXY"},
		{[]string{"-max-handshakes", "0"}, "", "-max-handshakes 0: must be a whole number, 1 to 1048576", 2, "there must be some"},
		{[]string{"-listen", "http://:1", "-listen", "http://:1"}, "", "-listen http://:1: another listener has the same name", 2, "twice"},
		{[]string{"-listen", "http://:1", "-listen", "line://:1"}, "", "-listen line://:1: another listener has the same address", 2, "one port for two"},
		{[]string{"-listen", "http://:0?name=a", "-listen", "http://:0?name=a"}, "", "another listener has the same name; give one of them name=WORD", 2, "one name for two"},
		{[]string{"-fd-reserve", "30000"}, "", "the limit on open files is 20000, and 30000 are reserved", 1, "nothing is left"},
		{[]string{"-nosuch", "1"}, "", "-nosuch: no such flag; -help lists them", 2, "unknown"},
		{[]string{"-\x1b[31m"}, "", `-\x1b[31m: no such flag`, 2, "escapes are shown, not obeyed"},
		{[]string{"---x"}, "", "bad flag syntax: ---x; -help lists the flags", 2, "too many dashes"},
		{[]string{"start"}, "", "start: flags begin with a dash, commands are user, token, alert and help; -help lists them", 2, "not a flag"},
		{[]string{"-loops", strings.Repeat("9", 1000)}, "", "(and 920 bytes)\": must be a whole number", 2, "long values are cut"},
		{nil, "WEIR_LOOPS=many", "WEIR_LOOPS many: must be a whole number", 2, "the variable is named"},
		{nil, "WEIR_MAX_CONNS=20000", "WEIR_MAX_CONNS 20000: must be 0", 2, "also when it is found late"},
		{nil, "WEIR_LISTEN=http://:1 http://:2?x=1", "WEIR_LISTEN http://:2: x 1: no such parameter", 2, "inside of lists"},
		{conf("loops 1\nloops many\n"), "", "weir.conf:2: loops many: must be a whole number", 2, "the file and line are named"},
		{conf("nosuch 1\n"), "", "weir.conf:1: nosuch: no such flag; -help lists them", 2, "unknown in a file"},
		{conf("loops\n"), "", "weir.conf:1: loops: needs a value", 2, "nothing in a file"},
		{conf("config /x\n"), "", "weir.conf:1: config: a file cannot name another one", 2, "files do not nest"},
		{conf("\n" + strings.Repeat("x", 70000)), "", "line 2: ", 1, "no endless lines"},
		{[]string{"-config", "/nosuch/weir.conf"}, "", "-config /nosuch/weir.conf: there is no such file; name another one or leave -config out", 1, "missing"},
		{[]string{"-config", "/"}, "", "-config /: ", 1, "a directory"},
	} {
		t.Run(c.why, func(t *testing.T) {
			if name, value, ok := strings.Cut(c.env, "="); ok {
				t.Setenv(name, value)
			}
			g, err := parse(c.args)
			if err == nil {
				_, err = resolve(g, testMachine)
			}
			if err == nil {
				t.Fatalf("%q %s is taken", c.args, c.env)
			}
			var out strings.Builder
			if code := complain(&out, err); code != c.code {
				t.Errorf("exit code %d, want %d: %v", code, c.code, err)
			}
			if line := out.String(); !strings.HasPrefix(line, "weir: ") || !strings.Contains(line, c.want) ||
				strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\x1b\r") || len(line) > 400 {
				t.Errorf("got  %q\nwant %q", line, c.want)
			}
		})
	}
}

func TestWrongValueNamesItsFlagAndRange(t *testing.T) {
	clean(t)
	eachRow(func(r *row) {
		switch {
		case r.kind == text && r.check == nil, r.kind == listURLs:
			return
		case r.kind == files, r.unit == "FILE", r.unit == "DIRECTORY", r.name == "acme-domain", r.name == "index", r.name == "to-name", r.name == "names", r.name == "scope":
			return // a banana is as good a name as others
		}
		_, err := parse([]string{"-" + r.name + "=banana"})
		var wrong *say.WrongValue
		shown := "banana"
		if r.secret {
			shown = "(hidden)"
		}
		if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), "-"+r.name+" "+shown+": must be ") || !strings.Contains(err.Error(), r.span()) {
			t.Errorf("%s: %v", r.name, err)
		}
	})
}

func TestDefaultsAreTheLibraries(t *testing.T) {
	clean(t)
	s := mustResolve(t)
	if got, want := s.limits.Limits, engine.DefaultLimits(); got != want {
		t.Errorf("limits differ from the engine's:\n got %+v\nwant %+v", got, want)
	}
	want := guard.DefaultConfig()
	want.MaxConns, want.MaxUnproven = 19912, 19912/2
	if !reflect.DeepEqual(s.engine.Guard, want) {
		t.Errorf("guard: got %+v, want %+v", s.engine.Guard, want)
	}
	if s.engine.MaxBuffered != 2<<30 || s.engine.Loops != 4 || s.engine.Workers != 8 || s.engine.FDReserve != engine.DefaultFDReserve(4, 2) {
		t.Errorf("from the machine: %+v", s.engine)
	}
}

// services reports whether a flag's value is a service's, which has no limits of its own.
func services(r *row) bool {
	return strings.Contains(r.name, "upload") || r.name == "connect-timeout" || r.name == "resolve-interval" || strings.HasPrefix(r.name, "health") || r.name == "sni-port" || r.name == "hsts" || strings.HasPrefix(r.name, "upstream-")
}

func TestRangesAreTheGuards(t *testing.T) {
	eachRow(func(r *row) {
		l := defaultLimits()
		if r.limit == nil || r.kind >= toggle || strings.HasPrefix(r.name, "max-") && r.name != "max-conns" || r.name == "defer-accept" || services(r) {
			return // words, and what is not the guard's
		}
		for _, c := range []struct {
			n    int64
			good bool
		}{{r.min, true}, {r.max, true}, {r.max + 1, false}} {
			l = defaultLimits()
			switch f := r.limit(&l).(type) {
			case *int:
				*f = int(c.n)
			case *time.Duration:
				*f = time.Duration(c.n)
			}
			if r.name == "min-rate-grace" {
				l.MinRate = 0
			}
			if err := l.Validate(); (err == nil) != c.good {
				t.Errorf("%s %s: the guard says %v", r.name, r.numeral(c.n), err)
			}
		}
	})
	for name, set := range map[string]func(*guard.Config, int){
		"max-unproven": func(c *guard.Config, n int) { c.MaxUnproven = n },
		"max-conns":    func(c *guard.Config, n int) { c.MaxConns = n },
		"conn-rate":    func(c *guard.Config, n int) { c.ConnRate = n },
		"source-table": func(c *guard.Config, n int) { c.SourceTable = n },
		"v4-prefix":    func(c *guard.Config, n int) { c.V4Prefix = n },
		"v6-prefix":    func(c *guard.Config, n int) { c.V6Prefix = n },
	} {
		r := rowNamed(name)
		for _, c := range []struct {
			n    int64
			good bool
		}{{r.min, true}, {r.max, true}, {r.max + 1, false}} {
			cfg := guard.DefaultConfig()
			cfg.MaxConns = 1
			set(&cfg, int(c.n))
			if err := cfg.Validate(); (err == nil) != c.good {
				t.Errorf("%s %d: the guard says %v", name, c.n, err)
			}
		}
	}
}

func TestZeroIsNoLimit(t *testing.T) {
	clean(t)
	eachRow(func(r *row) {
		if r.limit == nil || r.name == "min-rate-grace" || r.zero == "" && r.min > 0 || r.setting != nil || r.kind >= toggle {
			return
		}
		s := mustResolve(t, append([]string{"-" + r.name + "=0"}, beside(r.name)...)...)
		want := r.numeral(r.zeroIs)
		if got := r.written(r.field(s))[0]; got != want {
			t.Errorf("%s 0: got %s, want %s", r.name, got, want)
		}
	})
}

func TestProfileBenchLiftsWhatIsPerSource(t *testing.T) {
	clean(t)
	def, s := mustResolve(t), mustResolve(t, "-profile", "bench")
	eachRow(func(r *row) {
		if r.action || r.name == "profile" {
			return
		}
		was, is := r.written(r.field(def)), r.written(r.field(s))
		perSource := strings.HasPrefix(r.name, "source-") && r.name != "source-table" || strings.HasPrefix(r.name, "conn-byte-") || r.name == "max-unproven"
		switch {
		case perSource && (slices.Equal(was, is) || is[0] == "0"):
			t.Errorf("%s is %v: must be lifted, and not off", r.name, is)
		case !perSource && !slices.Equal(was, is):
			t.Errorf("%s changed from %v to %v", r.name, was, is)
		}
	})
	if s.limits.SourceConns != s.engine.Guard.MaxConns {
		t.Errorf("source-conns %d, max-conns %d", s.limits.SourceConns, s.engine.Guard.MaxConns)
	}
	if got, want := s.engine.Guard.MaxUnproven, 2*s.engine.Guard.MaxConns; got != want {
		t.Errorf("max-unproven %d, want %d: from half of it on newcomers are turned away", got, want)
	}
	if got := mustResolve(t, "-max-unproven", "7", "-profile", "bench").engine.Guard.MaxUnproven; got != 7 {
		t.Errorf("given, and %d", got)
	}
	if got := mustResolve(t, "-source-conns", "3", "-profile", "bench").limits; got.SourceConns != 3 || got.SourceConnRate != bucket.MaxRate {
		t.Errorf("flags win over the profile: %d, %d", got.SourceConns, got.SourceConnRate)
	}
	t.Setenv("WEIR_SOURCE_CONN_RATE", "7")
	if got := mustResolve(t, "-profile", "bench").limits.SourceConnRate; got != 7 {
		t.Errorf("and so do variables: %d", got)
	}
	if l := s.listeners[0]; l.limits.SourceFrameRate != bucket.MaxRate {
		t.Error("listeners have the profile's limits")
	}
}

func TestMaxConnsFollowsTheDescriptors(t *testing.T) {
	for _, c := range []struct {
		descriptors, want int
		why               string
	}{
		{256, 256 - engine.DefaultFDReserve(4, 2), "a small limit"},
		{20000, 20000 - engine.DefaultFDReserve(4, 2), "a usual limit"},
		{1 << 30, mostConns, "no tables for a thousand million"},
	} {
		s, err := resolve(given{}, machine{descriptors: c.descriptors, memory: 1 << 30, cpus: 4})
		if err != nil || s.engine.Guard.MaxConns != c.want {
			t.Errorf("%s: got %+v, %v; want %d", c.why, s, err, c.want)
		}
	}
	if _, err := resolve(given{}, machine{descriptors: 64, memory: 1 << 30, cpus: 4}); err == nil {
		t.Error("64 descriptors are not enough")
	}
}

func TestRelayedConnectionsTakeTwoDescriptors(t *testing.T) {
	clean(t)
	room := 20000 - engine.DefaultFDReserve(4, 1)
	s := mustResolve(t, "-listen", "tcp://:1?to=a:1")
	if got := s.engine.Guard.MaxConns; got != room/2 || s.listeners[0].limits.MaxConns != room/2 {
		t.Errorf("max-conns %d, the listener's %d, of %d descriptors", got, s.listeners[0].limits.MaxConns, room)
	}
	room = 20000 - engine.DefaultFDReserve(4, 2)
	s = mustResolve(t, "-listen", "http://:2", "-listen", "frames://:1?to=a:1")
	if got := s.engine.Guard.MaxConns; got != room || s.listeners[1].limits.MaxConns != room/2 || s.listeners[0].limits.MaxConns != 0 {
		t.Errorf("beside others: max-conns %d, the listener's %d, of %d descriptors", got, s.listeners[1].limits.MaxConns, room)
	}
	s = mustResolve(t, "-listen", "tcp://:1?to=a:1&max-conns=7")
	if got := s.listeners[0].limits.MaxConns; got != 7 {
		t.Errorf("given, and %d", got)
	}
}

func TestStrayVariables(t *testing.T) {
	got := strayEnv([]string{"WEIR_LOOPS=1", "WEIR_IDLE_TIMOUT=5s", "HOME=/", "WEIRD=1",
		"WEIR_SERVICE_HOST=10.0.0.1", "WEIR_PORT=tcp://10.0.0.1:80", "WEIR_PORT_80_TCP=x"})
	if !slices.Equal(got, []string{"WEIR_IDLE_TIMOUT"}) {
		t.Errorf("got %v", got)
	}
}

func TestTheTableIsWhole(t *testing.T) {
	for _, name := range strings.Fields(`listen admin loops max-conns fd-reserve conn-rate source-conns source-conn-rate source-conn-burst
		source-frame-rate source-frame-burst source-byte-rate source-byte-burst source-table v4-prefix v6-prefix exempt
		conn-frame-rate conn-frame-burst conn-byte-rate conn-byte-burst first-frame-timeout frame-timeout idle-timeout write-timeout
		lifetime drain-timeout min-rate min-rate-grace max-frame max-header max-body max-out log-level log-format check print-config
		version profile config workers max-buffered cert key tls-self-signed tls-min tls-client-ca tls-client-auth sni-strict
		acme-domain acme-email acme-directory acme-ca acme-cache proxy-from proxy-timeout handshake-timeout handshake-workers
		max-handshakes handshake-queue max-unproven source-unproven source-handshake-rate source-handshake-burst
		to balance connect-timeout proxy-to resolve-interval health health-interval health-rise health-fall half-close-timeout`) {
		if rowNamed(name) == nil {
			t.Errorf("no flag %s: scripts rely on it", name)
		}
	}
	seen := map[string]bool{}
	eachRow(func(r *row) {
		if seen[r.name] || r.help == "" || strings.HasSuffix(r.help, ".") || r.setting == nil && r.limit == nil {
			t.Errorf("%s: a name is there once, with a help and a field", r.name)
		}
		seen[r.name] = true
	})
	for r := guard.OK + 1; int(r) < guard.Reasons; r++ {
		if f := r.Flag(); f != "" && rowNamed(f) == nil && r != guard.ShedListenerConns {
			t.Errorf("reason %s names the flag %s, which does not exist", r.Label(), f)
		}
	}
}

func TestMaxUnprovenIsTheGuards(t *testing.T) {
	clean(t)
	for _, n := range []int{1, 255, 256, 258, 10000} {
		cfg := guard.DefaultConfig()
		cfg.MaxConns = n
		g, err := guard.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := mustResolve(t, "-max-conns", fmt.Sprint(n)).engine.Guard.MaxUnproven, g.Config().MaxUnproven; got != want {
			t.Errorf("%d connections: %d, the guard says %d", n, got, want)
		}
	}
}
