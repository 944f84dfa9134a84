package clienthello

import (
	"fmt"
	"strings"
	"testing"
)

// manyExtensions is a hello with n empty extensions of types that nothing else uses.
func manyExtensions(n int, more ...string) string {
	var e []string
	for i := range n {
		e = append(e, ext(1000+i, ""))
	}
	return message(append(e, more...)...)
}

func TestGoodHellos(t *testing.T) {
	for _, c := range []struct{ m, want, why string }{
		{"\x01" + vec(3, fixed("\x03\x01", "\x00\x2f")), "0301", "an old client without extensions"},
		{"\x01" + vec(3, fixed("\x03\x00", "")), "0300", "SSL 3.0, no suites: crypto/tls reads it too"},
		{"\x01" + vec(3, "\x03\x03"+strings.Repeat("R", 32)+"\x00\x00\x00\x00"), "0303", "the shortest"},
		{message(), "0303", "no extension in the list"},
		{plain, plainWants, "the usual one"},
		{chrome("www.example.com"), `0304 www.example.com alpn "h2" alpn "http/1.1" ech`, "a browser"},
		{message(sni("EXAMPLE.Com")), "0303 example.com", "a name is in lower case"},
		{message(alpn("\x0a\x0a", "h2", strings.Repeat("x", 255))), `0303 alpn "\n\n" alpn "h2" alpn "` + strings.Repeat("x", 255) + `"`, "any bytes are a protocol"},
		{message(alpn("h2", "h2")), `0303 alpn "h2" alpn "h2"`, "twice the same protocol"},
		{message(ext(0, vec(2, "\x01"+vec(2, "?")+"\x00"+vec(2, "a.b")+"\xff"+vec(2, "!")))), "0303 a.b", "names of other types"},
		{message(ext(0, vec(2, "\x01"+vec(2, "?")))), "0303", "only names of other types"},
		{message(versions(0x0303, 0x0304, 0x0302)), "0304", "not in order"},
		{message(versions(0x7f1c, 0xfafa)), "0000", "a draft and GREASE alone"},
		{"\x01" + vec(3, fixed("\x03\x04", "")), "0303", "1.3 needs supported_versions (RFC 8446 4.2.1)"},
		{"\x01" + vec(3, fixed("\xff\xff", "")), "0303", "a version of the future"},
		{"\x01" + vec(3, fixed("\x02\x00", "")), "0000", "a version of the past"},
		{message(ext(41, "psk, not looked into")), "0303", "pre_shared_key, the last"},
		{manyExtensions(15, sni("a.b")), "0303 a.b", "as many uncommon extensions as are compared one by one"},
		{manyExtensions(16, sni("a.b")), "0303 a.b", "as many uncommon extensions as are compared one by one"},
		{manyExtensions(17, sni("a.b")), "0303 a.b", "more of them"},
		{manyExtensions(4000, sni("a.b")), "0303 a.b", "all that fit"},
	} {
		for _, n := range []int{len(c.m), 50} {
			in := every(n, c.m)
			if got, _ := feed(t, 0, in); got != fmt.Sprintf("%s to %d", c.want, len(in)) {
				t.Errorf("%s: %s, want %s", c.why, got, c.want)
			}
		}
		if n, in := len(c.m), records(c.m); n < 2000 {
			sameHoweverSplit(t, 0, in, fmt.Sprintf("%s to %d", c.want, len(in)), c.why)
		}
	}
}

func TestNames(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, c := range []struct{ name, want, why string }{
		{"a", "a", "one label"},
		{"localhost", "localhost", "one label"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", "an A-label"},
		{"_dmarc.Example.com", "_dmarc.example.com", "underscores, which x509 takes too"},
		{"4.example", "4.example", "a label of digits in front"},
		{"1.2.3.4a", "1.2.3.4a", "not an address"},
		{"a-.b-", "a-.b-", "a hyphen at the end of a label, which x509 takes too"},
		{label + "." + label + "." + label + "." + label[:61], label + "." + label + "." + label + "." + label[:61], "253 bytes"},

		{label + "." + label + "." + label + "." + label[:62], "", "254 bytes"},
		{label + "a.example", "", "a label of 64"},
		{"127.0.0.1", "", "an IPv4 literal (RFC 6066 3)"},
		{"1", "", "an IPv4 literal to inet_aton"},
		{"a.1", "", "a last label of digits"},
		{"::1", "", "an IPv6 literal (RFC 6066 3)"},
		{"[::1]", "", "an IPv6 literal"},
		{".a", "", "an empty label"},
		{"a..b", "", "an empty label"},
		{"-a.b", "", "a hyphen in front"},
		{"a.-b", "", "a hyphen in front"},
		{"a b", "", "a space"},
		{"a\x00.b", "", "a NUL"},
		{"a\r\nHost: b", "", "a line end"},
		{"*.example.com", "", "a wildcard"},
		{"bücher.example", "", "a U-label: RFC 6066 wants ASCII"},
		{"a/b", "", "a path"},
		{"../../etc/passwd", "", "a path"},
		{"example.com:443", "", "a port"},
		{strings.Repeat("a.", 5000) + "a", "", "10,001 bytes"},
	} {
		want := "0303"
		if c.want != "" {
			want += " " + c.want
		} else {
			want += fmt.Sprintf(" raw %q", c.name)
		}
		in := records(message(sni(c.name)))
		if got, _ := feed(t, 0, in); got != fmt.Sprintf("%s to %d", want, len(in)) {
			t.Errorf("%s: %s, want %s", c.why, got, want)
		}
	}
}

func TestBadHellos(t *testing.T) {
	body := func(s string) string { return "\x01" + vec(3, s) }
	head := "\x03\x03" + strings.Repeat("R", 32)
	for _, c := range []struct{ m, why string }{
		{body(head + "\x01\x00\x00\x00"), "a session_id that takes the rest"},
		{body(head + "\xff\x00\x00\x00"), "a session_id that lies"},
		{body(head + "\x00\xff\xff\x00"), "suites that lie"},
		{body(head + "\x00\x00\x01\x00\x00"), "suites of one byte"},
		{body(head + "\x00\x00\x02\x13\x01"), "no compression"},
		{body(head + "\x00\x00\x00\x01"), "compression that lies"},
		{body(fixed("\x03\x03", "") + "\x00"), "half a length of extensions"},
		{body(fixed("\x03\x03", "") + "\x00\x01"), "extensions that lie"},
		{body(fixed("\x03\x03", "") + "\x00\x00x"), "a byte behind the extensions"},
		{body(fixed("\x03\x03", "") + vec(2, ext(1, "")+"\x00")), "half a type"},
		{body(fixed("\x03\x03", "") + vec(2, ext(1, "")+"\x00\x02\x00")), "half an extension's length"},
		{body(fixed("\x03\x03", "") + vec(2, ext(1, "")+"\x00\x02\x00\x01")), "an extension that lies"},
		{message(ext(5, ""), sni("a.b"), ext(5, "")), "an extension twice"},
		{message(sni("a.b"), sni("a.b")), "two server_name"},
		{message(alpn("a"), alpn("a")), "two ALPN"},
		{message(ext(0x4a4a, ""), ext(0x4a4a, "")), "an uncommon extension twice"},
		{manyExtensions(14, ext(1000, "")), "an uncommon extension twice"},
		{manyExtensions(16, ext(1000, "")), "the 17th uncommon extension is the first again"},
		{manyExtensions(17, ext(1000, "")), "more, and the first again"},
		{manyExtensions(17, ext(1016, "")), "more, and the last again"},
		{manyExtensions(4000, ext(4999, "")), "many, and the last again"},
		{manyExtensions(100, "\x01"), "many, and half a type"},
		{manyExtensions(100, ext(3, ""), ext(3, "")), "many, and a common one twice"},
		{message(ext(41, ""), ext(1, "")), "pre_shared_key is not the last (RFC 8446 4.2.11)"},

		{message(ext(0, "")), "an empty server_name (only servers send it)"},
		{message(ext(0, vec(2, ""))), "an empty list of names"},
		{message(ext(0, vec(2, "\x00"+vec(2, "")))), "an empty name"},
		{message(ext(0, vec(2, "\x01"+vec(2, "")))), "an empty name of another type"},
		{message(ext(0, vec(2, "\x00"))), "a name without a length"},
		{message(ext(0, vec(2, "\x00\x00"))), "half a length"},
		{message(ext(0, vec(2, "\x00\x00\x02a"))), "a name that lies"},
		{message(ext(0, vec(2, "\x00"+vec(2, "a")+"\x00"+vec(2, "b")))), "two names"},
		{message(ext(0, vec(2, "\x00"+vec(2, "a"))+"x")), "a byte behind the names"},
		{message(sni("a.b.")), "a trailing dot"},
		{message(sni(".")), "a dot"},

		{message(ext(16, "")), "an empty ALPN"},
		{message(ext(16, vec(2, ""))), "no protocols"},
		{message(alpn("h2", "")), "an empty protocol"},
		{message(ext(16, vec(2, "\x02h"))), "a protocol that lies"},
		{message(ext(16, vec(2, "\x02h2")+"x")), "a byte behind the protocols"},

		{message(ext(43, "")), "an empty supported_versions"},
		{message(versions()), "no versions"},
		{message(ext(43, "\x03\x03\x04\x03")), "a version and a half"},
		{message(ext(43, "\x04\x03\x04")), "versions that lie"},
		{message(ext(43, "\x02\x03\x04x")), "a byte behind the versions"},
	} {
		for _, n := range []int{len(c.m), 50} {
			in := every(n, c.m)
			if got, at := feed(t, 0, in); got != bad {
				t.Errorf("%s: %s after %d", c.why, got, at)
			}
			if got, _ := feed(t, 0, in[:len(in)-1]); got != "more" {
				t.Errorf("%s: %s before it was whole", c.why, got)
			}
		}
	}
}

// The inside of the fixed part, cut anywhere and with the lengths set right, is never good but
// where it may end.
func TestHelloCutInside(t *testing.T) {
	whole := plain[4:]
	for n := range len(whole) {
		want := bad
		if n == len(fixed("\x03\x03", "\x13\x01\x13\x02\xc0\x2f")) {
			want = fmt.Sprintf("0303 to %d", 5+4+n)
		}
		in := records("\x01" + vec(3, whole[:n]))
		if got, _ := feed(t, 0, in); got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
}
