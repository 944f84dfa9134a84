package proxyproto

import (
	"strings"
	"testing"
)

const (
	bad      = "bad-proxy-header"
	tooLarge = "proxy-header-too-large"

	ffff = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
)

// linesV1 are whole lines and what they say; bytes behind the line are not looked at.
var linesV1 = []struct{ in, want, why string }{
	{"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n",
		"v1 proxy 192.168.0.1:56324 > 192.168.0.11:443 to 47", "the example of section 2.1"},
	{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
		"v1 proxy 255.255.255.255:65535 > 255.255.255.255:65535 to 56", "the longest TCP4 of section 2.1"},
	{"PROXY TCP6 " + ffff + " " + ffff + " 65535 65535\r\n",
		"v1 proxy [" + ffff + "]:65535 > [" + ffff + "]:65535 to 104", "the longest TCP6 of section 2.1"},
	{"PROXY UNKNOWN\r\n", "v1 local to 15", "the short UNKNOWN of section 2.1"},
	{"PROXY UNKNOWN " + ffff + " " + ffff + " 65535 65535\r\n", "v1 local to 107", "the worst case of section 2.1"},
	{"PROXY TCP4 127.0.0.1 127.0.0.1 39276 8080\r\nGET / HTTP/1.1\r\n",
		"v1 proxy 127.0.0.1:39276 > 127.0.0.1:8080 to 43", "curl 7.88 --haproxy-protocol"},
	{"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "v1 proxy 0.0.0.0:0 > 0.0.0.0:0 to 32", "the shortest TCP4: zeros are no leading zeros"},
	{"PROXY TCP6 :: ::1 0 1\r\n", "v1 proxy [::]:0 > [::1]:1 to 23", "the shortest TCP6"},
	{"PROXY TCP6 2001:DB8::aBcD 2001:db8:0:00:000:0000:1:2 1 2\r\n",
		"v1 proxy [2001:db8::abcd]:1 > [2001:db8::1:2]:2 to 58", "upper case and zeros in a group are IPv6's own matter"},
	{"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2\r\n",
		"v1 proxy 192.0.2.1:1 > 192.0.2.2:2 to 49", "IPv4-mapped, both ways of writing, is the IPv4 client"},
	{"PROXY TCP6 64:ff9b::192.0.2.1 1:2:3:4:5:6:7:: 1 2\r\n",
		"v1 proxy [64:ff9b::c000:201]:1 > [1:2:3:4:5:6:7:0]:2 to 51", "an IPv4 tail that is not mapped"},
	{"PROXY UNKNOWN \x00\xff \x1b[2J\r\n", "v1 local to 23", "anything is ignored up to CRLF"},
	{"PROXY UNKNOWN \r\n", "v1 local to 16", "a space and nothing"},
	{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nPROXY TCP4 6.6.6.6 5.6.7.8 1 2\r\n",
		"v1 proxy 1.2.3.4:1 > 5.6.7.8:2 to 32", "a second header is data"},
	{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\x16\x03\x01\x00\x05",
		"v1 proxy 1.2.3.4:1 > 5.6.7.8:2 to 32", "a TLS record in the same segment"},
	{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\n\r", "v1 proxy 1.2.3.4:1 > 5.6.7.8:2 to 32", "what follows is not looked at"},
}

func TestLinesOfV1(t *testing.T) {
	for _, c := range linesV1 {
		sameHoweverSplit(t, 0, c.in, c.want, c.why)
		sameHoweverSplit(t, 1, c.in, c.want, c.why+" (Max is for v2)")
	}
}

func TestLinesOfV1CutShortNeverFault(t *testing.T) {
	for _, c := range linesV1 {
		end := strings.Index(c.in, "\r\n") + 2
		for i := range end {
			if got, _ := feed(t, 0, c.in[:i]); got != "more" {
				t.Errorf("%s: %q: %s", c.why, c.in[:i], got)
			}
		}
	}
}

// TestBadLinesOfV1 gives wrong lines up to the byte with which they are wrong: that byte is a
// fault and those before it are not.
func TestBadLinesOfV1(t *testing.T) {
	for _, c := range []struct{ in, want, why string }{
		{"G", bad, "no PROXY header at all"},
		{"\x16", bad, "a TLS hello"},
		{"p", bad, "lower case"},
		{"PROXY\t", bad, "a tab"},
		{"PROXY  ", bad, "two spaces"},
		{"PROXY t", bad, "lower case keyword"},
		{"PROXY TCP5", bad, "TCP5"},
		{"PROXY TCP ", bad, "no family"},
		{"PROXY UD", bad, "v1 has no UDP"},
		{"PROXY X", bad, "another keyword"},
		{"PROXY TCP4  ", bad, "an empty field"},
		{"PROXY TCP44", bad, "more behind the family"},
		{"PROXY UNKNOWN1", bad, "more behind UNKNOWN"},
		{"PROXY UNKNOWN\n", bad, "a bare LF"},
		{"PROXY UNKNOWN \n", bad, "a bare LF"},
		{"PROXY UNKNOWN \r1", bad, "a bare CR"},
		{"PROXY UNKNOWN\r\r", bad, "CR CR LF"},
		{"PROXY UNKNOWN " + ffff + " " + ffff + " 65535 655355", tooLarge, "108 bytes with CRLF"},
		{"PROXY UNKNOWN " + ffff + " " + ffff + " 65535 65535\r\r", bad, "107 bytes and still no CRLF"},
		{"PROXY UNKNOWN" + strings.Repeat(" ", 93), tooLarge, "spaces without end"},

		{"PROXY TCP4 1.2.3.4\r", bad, "a line that ends early"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1\r", bad, "no destination port"},
		{"PROXY TCP4 :", bad, "IPv6 in TCP4"},
		{"PROXY TCP4 1:", bad, "IPv6 in TCP4"},
		{"PROXY TCP4 f", bad, "IPv6 in TCP4"},
		{"PROXY TCP4 1.2.3 ", bad, "three octets"},
		{"PROXY TCP4 1.2.3.4.", bad, "five octets"},
		{"PROXY TCP4 1..", bad, "an empty octet"},
		{"PROXY TCP4 .", bad, "an empty octet"},
		{"PROXY TCP4 1.2.3. ", bad, "an empty octet"},
		{"PROXY TCP4 01", bad, "a leading zero"},
		{"PROXY TCP4 1.2.3.00", bad, "two zeros"},
		{"PROXY TCP4 256", bad, "an octet above 255"},
		{"PROXY TCP4 0x", bad, "hexadecimal"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 99999", bad, "a port out of range"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 65536", bad, "a port out of range"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1 655350", bad, "six digits"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 01", bad, "a leading zero"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 00", bad, "two zeros"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 +", bad, "a sign"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 -", bad, "a sign"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8  ", bad, "an empty port"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1 \r", bad, "an empty port"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 ", bad, "a space before the end"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", bad, "a bare LF"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r ", bad, "a bare CR"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\x00", bad, "a NUL"},

		{"PROXY TCP6 1.", bad, "IPv4 in TCP6"},
		{"PROXY TCP6 1 ", bad, "a group is no address"},
		{"PROXY TCP6  ", bad, "an empty address"},
		{"PROXY TCP6 :1", bad, "a single colon in front"},
		{"PROXY TCP6 : ", bad, "a single colon"},
		{"PROXY TCP6 1:2:3:4:5:6:7: ", bad, "a single colon at the end"},
		{"PROXY TCP6 1:2:3:4:5:6:7:8:", bad, "more than eight groups"},
		{"PROXY TCP6 1:2:3:4:5:6:7 ", bad, "seven groups"},
		{"PROXY TCP6 :::", bad, "three colons"},
		{"PROXY TCP6 1::2::", bad, "two gaps"},
		{"PROXY TCP6 1:2:3:4:5:6:7::8", bad, "eight groups and a gap"},
		{"PROXY TCP6 ::2:3:4:5:6:7:8:", bad, "nothing can follow"},
		{"PROXY TCP6 00000", bad, "five digits"},
		{"PROXY TCP6 g", bad, "not hexadecimal"},
		{"PROXY TCP6 [", bad, "brackets"},
		{"PROXY TCP6 fe80::1%", bad, "a zone"},
		{"PROXY TCP6 fe80::1/", bad, "a prefix"},
		{"PROXY TCP6 ::ffff:1.2.3 ", bad, "a tail of three octets"},
		{"PROXY TCP6 ::ffff:1.2.3.4.", bad, "a tail of five octets"},
		{"PROXY TCP6 ::ffff:1.2.3.4:", bad, "groups behind the tail"},
		{"PROXY TCP6 ::ffff:1.f", bad, "hexadecimal in the tail"},
		{"PROXY TCP6 ::ffff:01.", bad, "a leading zero in the tail"},
		{"PROXY TCP6 ::ffff:256.", bad, "a tail octet above 255"},
		{"PROXY TCP6 ::ffff:a.", bad, "a hexadecimal tail octet"},
		{"PROXY TCP6 ::ffff:.", bad, "an empty tail octet"},
		{"PROXY TCP6 1:2:3:4:5:1.", bad, "a tail too early"},
		{"PROXY TCP6 1:2:3:4:5:6:7:1.", bad, "a tail too late"},
		{"PROXY TCP6 ::1:2:3:4:5:6:1.", bad, "a tail and a gap that stands for nothing"},
		{"PROXY TCP6 " + strings.Repeat("0000:", 5) + "ffff:255.255.255.255 " + strings.Repeat("0000:", 5) + "ffff:255.255.255.255 655", tooLarge, "107 bytes do not hold it"},
	} {
		sameHoweverSplit(t, 0, c.in, c.want, c.why)
		sameHoweverSplit(t, 0, c.in+"\r\nGET / HTTP/1.1\r\n\r\n", c.want, c.why)
		if _, at := feed(t, 0, singles(c.in)...); at != len(c.in) {
			t.Errorf("%s: %q: fault after %d bytes, want %d", c.why, c.in, at, len(c.in))
		}
	}
}
