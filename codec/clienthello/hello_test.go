package clienthello

import "testing"

func TestProtocols(t *testing.T) {
	for _, c := range []struct {
		in, want, why string
	}{
		{"", "", "none"},
		{"\x02h2\x08http/1.1", "h2,http/1.1,", "two"},
		{"\x02h2\x09http/1.1", "h2,", "a length that lies, which a Hello's have not"},
		{"\x00\x02h2", ",h2,", "an empty name, which a Hello's have not"},
	} {
		got := ""
		for name := range Protocols(c.in).All() {
			got += string(name) + ","
			if cap(name) != len(name) {
				t.Errorf("%s: a view that can grow", c.why)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.why, got, c.want)
		}
		for range Protocols(c.in).All() {
			break // must not go on
		}
	}
	p := Protocols("\x02h2\x08http/1.1\x09")
	for name, want := range map[string]bool{"h2": true, "http/1.1": true, "h": false, "H2": false, "": false, "http/1.": false, "2\x08h": false} {
		if p.Has(name) != want {
			t.Errorf("Has(%q) = %v", name, !want)
		}
	}
}
