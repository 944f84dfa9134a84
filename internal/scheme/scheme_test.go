package scheme

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		what, but Ability
		want      string
		why       string
	}{
		{0, 0, "http https frames frames+tls line line+tls tcp tcp+tls resp resp+tls mqtt mqtt+tls tls-passthrough", "all"},
		{TLS, 0, "https frames+tls line+tls tcp+tls resp+tls mqtt+tls", "what is passed on is not taken off"},
		{Files, 0, "http https frames frames+tls", ""},
		{Asks | Plain, 0, "http frames line", "-auth-plain"},
		{Logins | TLS, 0, "frames+tls line+tls", "-auth-bind"},
		{Plain | Relays, RelaysOnly, "http frames line", "relay when they are told to"},
		{0, Parsed, "tcp tcp+tls", "relayed unread"},
		{0, Counted, "tcp tcp+tls tls-passthrough", "bytes"},
	} {
		if got := strings.Join(Names(c.what, c.but), " "); got != c.want {
			t.Errorf("got %s, want %s: %s", got, c.want, c.why)
		}
	}
}

func TestTheTableMakesSense(t *testing.T) {
	for _, s := range All {
		if got, ok := Named(s.Name); !ok || got != s {
			t.Errorf("%s is not found by its name", s.Name)
		}
		for _, c := range []struct {
			wrong bool
			why   string
		}{
			{s.Can(Plain) && s.Can(TLS), "is encrypted or not"},
			{!s.Can(Plain) && !s.Can(TLS) && !s.Can(ByName), "is encrypted or not, unless it is passed on"},
			{s.Can(RelaysOnly) && !s.Can(Relays), "relays if it does nothing else"},
			{s.Can(RelaysOnly) && s.Can(Files), "does nothing beside relaying"},
			{s.Can(Counted) && !s.Can(Parsed), "counts what it parses"},
			{s.Can(Logins) && !s.Can(Asks), "has logins where it asks"},
			{s.Can(Asks) && !s.Can(HTTP) && !s.Can(Logins), "asks each request, or once"},
			{s.Can(Signs) && !s.Can(Logins), "signs after a login"},
		} {
			if c.wrong {
				t.Errorf("%s %s", s.Name, c.why)
			}
		}
	}
	if _, ok := Named("ftp"); ok {
		t.Error("ftp is no scheme")
	}
}
