package acme

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

func TestDomains(t *testing.T) {
	for _, c := range []struct {
		name string
		good bool
		why  string
	}{
		{"example.com", true, "a name"},
		{"a-b.xn--bcher-kva.example", true, "another script"},
		{"localhost", true, "private CAs"},
		{strings.Repeat("a", 63) + ".com", true, "a long label"},
		{"", false, "nothing"},
		{"*.example.com", false, "TLS-ALPN-01 cannot prove it"},
		{"192.0.2.1", false, "an address"},
		{"2001:db8::1", false, "an address"},
		{"Example.com", false, "one way to write it"},
		{"bücher.example", false, "names go over the wire in ASCII"},
		{"a..b", false, "an empty label"},
		{"a.", false, "a dot at the end"},
		{"-a.example", false, "a dash at the start"},
		{"../../etc/passwd", false, "it names a file"},
		{"a/b", false, "it names a file"},
		{"a\nb", false, "it is logged"},
		{strings.Repeat("a", 64) + ".com", false, "too long a label"},
		{strings.Repeat("a.", 127) + "com", false, "too long"},
	} {
		if err := CheckDomain(c.name); (err == nil) != c.good {
			t.Errorf("%q: %v: %s", c.name, err, c.why)
		}
	}
}

func TestDirectoriesAndAddresses(t *testing.T) {
	for text, good := range map[string]bool{
		LetsEncrypt: true, "https://127.0.0.1:14000/dir": true, "http://ca.example/dir": false,
		"https://": false, "ca.example": false, "https://user@ca.example/": false, "https://ca.example/#x": false, "": false,
	} {
		if err := CheckDirectory(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, good := range map[string]bool{
		"ops@example.com": true, "ops": false, "@example.com": false, "ops@localhost": false, "a@b@c.d": false,
		"ops@example.com,x@example.com": false, "ops@example.com?cc=x": false, "mailto:ops@example.com": false, "ops@example.com:25": false, "a b@example.com": false, "": false,
	} {
		if err := CheckEmail(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "half")
	if err := os.WriteFile(half, selfSigned(t, "ca.example", time.Now(), day)[:300], 0o600); err != nil {
		t.Fatal(err)
	}
	good := Config{Domains: []string{"a.example"}, Cache: filepath.Join(dir, "cache")}
	for _, c := range []struct {
		change  func(*Config)
		setting string
		want    string
	}{
		{func(c *Config) { c.Domains = nil }, "", "there is no domain"},
		{func(c *Config) { c.Domains = []string{"*.example"} }, "", `domain "*.example": must be a name without *`},
		{func(c *Config) { c.Domains = []string{"a.example", "a.example"} }, "", "is given twice"},
		{func(c *Config) { c.Directory = "http://x" }, "", `directory "http://x": must be the URL`},
		{func(c *Config) { c.Email = "x" }, "", `email "x": must be an address`},
		{func(c *Config) { c.CAFile = dir + "/nosuch" }, "ca", "there is no such file"},
		{func(c *Config) { c.CAFile = file }, "ca", "holds no whole PEM certificate, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"},
		{func(c *Config) { c.CAFile = half }, "ca", "holds no whole PEM certificate"},
		{func(c *Config) { c.Cache = file }, "cache", "not a directory"},
		{func(c *Config) { c.Cache = file + "/below" }, "cache", "not a directory"},
		{func(c *Config) { c.Cache = "/proc/x" }, "cache", "cannot be made: its parent does not exist or takes no directory"},
		{func(c *Config) {}, "", ""},
	} {
		cfg := good
		c.change(&cfg)
		checked := cfg.Check()
		k, err := Open(cfg)
		if err == nil {
			k.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		if fmt.Sprint(checked) != fmt.Sprint(err) {
			t.Errorf("Check says %v, Open %v", checked, err)
		}
		var setting *SettingError
		if errors.As(err, &setting) != (c.setting != "") || setting != nil && setting.Setting != c.setting {
			t.Errorf("%v: of the setting %q", err, c.setting)
		}
	}
	if a, err := openCache(good.Cache, "https://ca.example/prod"); err != nil {
		t.Error(err)
	} else if b, _ := openCache(good.Cache, "https://ca.example/staging"); a == b {
		t.Error("two CAs share a directory")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	l := &mercy{}
	for _, c := range []struct {
		header string
		want   time.Time
		why    string
	}{
		{"", time.Time{}, "nothing"},
		{"soon", time.Time{}, "no number"},
		{"-5", time.Time{}, "negative"},
		{"120", now.Add(2 * time.Minute), "seconds"},
		{"60", now.Add(2 * time.Minute), "the longest counts"},
		{now.Add(time.Hour).Format(http.TimeFormat), now.Add(time.Hour), "a date"},
		{"99999999999999999999", now.Add(time.Hour), "overflow"},
	} {
		l.note(c.header, now)
		if got := l.get(); !got.Equal(c.want) {
			t.Errorf("%q: %v, want %v: %s", c.header, got, c.want, c.why)
		}
	}
}

func TestWhatTheCASaysComesFirst(t *testing.T) {
	err := explained(errors.Join(errors.New("attempt 1"), acme.Problem{Status: 400, Type: acme.ProblemTypeConnection, Detail: "192.0.2.1: Connection refused"}))
	if got := err.Error(); got != "the CA says connection: 192.0.2.1: Connection refused" {
		t.Errorf("got %q", got)
	}
	err = explained(fmt.Errorf("attempt 1: %w", &url.Error{Op: "Get", URL: "https://ca.example", Err: errors.New("no route")}))
	if got := err.Error(); got != `ask the CA: Get "https://ca.example": no route` {
		t.Errorf("got %q", got)
	}
	if err := errors.New("no key"); explained(err) != err {
		t.Error("and otherwise nothing is changed")
	}
}
