package proxyproto

import (
	"encoding/hex"
	"strings"
	"testing"
)

// v2 makes a header of the signature and the rest in hexadecimal, spaces ignored.
func v2(rest string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
	if err != nil {
		panic(err)
	}
	return signatureV2 + string(b)
}

const (
	inet  = "c0000201 c6336402 1000 01bb " // 192.0.2.1:4096 > 198.51.100.2:443
	inet6 = "20010db8000000000000000000000001 20010db8000000000000000000000002 1000 01bb "

	// An AWS network load balancer behind a VPC endpoint: checksum, endpoint, padding.
	aws = "21 11 0054 ac1f0771 ac1f0a1f c8f2 0050 030004e8d6892d " +
		"ea0017 01 767063652d3038643262663135666163353030316339 040024 " +
		"000000000000000000000000000000000000000000000000000000000000000000000000"
)

var unix = strings.Repeat("2f", 216)

var headersV2 = []struct {
	in, want string
	max      int
	why      string
}{
	{v2("21 11 000c" + inet), "v2 proxy 192.0.2.1:4096 > 198.51.100.2:443 to 28", 0, "TCP over IPv4"},
	{v2("21 12 000c" + inet), "v2 proxy 192.0.2.1:4096 > 198.51.100.2:443 udp to 28", 0, "UDP over IPv4"},
	{v2("21 21 0024" + inet6), "v2 proxy [2001:db8::1]:4096 > [2001:db8::2]:443 to 52", 0, "TCP over IPv6"},
	{v2("21 22 0024" + inet6), "v2 proxy [2001:db8::1]:4096 > [2001:db8::2]:443 udp to 52", 0, "UDP over IPv6"},
	{v2("21 21 0024 00000000000000000000ffffc0000201 20010db8000000000000000000000002 1000 01bb"),
		"v2 proxy 192.0.2.1:4096 > [2001:db8::2]:443 to 52", 0, "an IPv4-mapped address is IPv4"},
	{v2("20 00 0000"), "v2 local to 16", 0, "LOCAL as it should be"},
	{v2("20 11 000c" + inet), "v2 local to 28", 0, "LOCAL with addresses: skipped"},
	{v2("20 ff 0003 ffffff"), "v2 local to 19", 0, "LOCAL: the family is ignored, the length is not, TLVs are not read"},
	{v2("21 00 0000"), "v2 local to 16", 0, "PROXY UNSPEC"},
	{v2("21 00 0005 ffffffffff"), "v2 local to 21", 0, "PROXY UNSPEC: the rest is skipped"},
	{v2("21 01 000c" + inet), "v2 local to 28", 0, "no family, STREAM"},
	{v2("21 10 000c" + inet), "v2 local to 28", 0, "INET, no protocol: the address is ignored"},
	{v2("21 10 000f" + inet + "040000"), "v2 local tlvs 040000 to 31", 0, "INET, no protocol: TLVs stand where INET puts them"},
	{v2("21 31 00d8" + unix), "v2 local to 232", 0, "UNIX: no address for us"},
	{v2("21 32 00dc" + unix + "05000178"), "v2 local tlvs 05000178 to 236", 0, "UNIX with a unique ID"},
	{v2("21 11 000f" + inet + "040000"), "v2 proxy 192.0.2.1:4096 > 198.51.100.2:443 tlvs 040000 to 31", 0, "an empty NOOP"},
	{v2("21 11 0014" + inet + "0100026832 040000"), "v2 proxy 192.0.2.1:4096 > 198.51.100.2:443 tlvs 0100026832040000 to 36", 0, "ALPN and a NOOP"},
	{v2(aws), "v2 proxy 172.31.7.113:51442 > 172.31.10.31:80 tlvs " + strings.ReplaceAll(aws, " ", "")[32:] + " to 100", 0, "checksum, endpoint and padding from AWS"},
	{v2("21 11 000c"+inet) + "PROXY TCP4 6.6.6.6 6.6.6.6 1 1\r\n", "v2 proxy 192.0.2.1:4096 > 198.51.100.2:443 to 28", 0, "a second header is data"},
	{v2("21 11 000c"+inet) + signatureV2, "v2 proxy 192.0.2.1:4096 > 198.51.100.2:443 to 28", 0, "a second header is data"},
	{v2("21 11 000c" + inet), "v2 proxy 192.0.2.1:4096 > 198.51.100.2:443 to 28", 28, "exactly Max"},
	{v2("20 00 0000"), "v2 local to 16", 16, "exactly Max"},
}

func TestHeadersOfV2(t *testing.T) {
	for _, c := range headersV2 {
		sameHoweverSplit(t, c.max, c.in, c.want, c.why)
		for i := range len(c.in) {
			if got, _ := feed(t, c.max, c.in[:i]); strings.HasPrefix(got, "bad") || strings.HasPrefix(got, "proxy") {
				t.Errorf("%s: cut at %d: %s", c.why, i, got)
			}
		}
	}
}

// TestBadHeadersOfV2 gives wrong headers up to the byte with which the fault comes.
func TestBadHeadersOfV2(t *testing.T) {
	for _, c := range []struct {
		in, want string
		max      int
		why      string
	}{
		{"\r\n\r\n\r", bad, 0, "empty lines are no signature"},
		{"\r\n\r\n\x00\r\nQUIT\r", bad, 0, "the last byte of the signature"},
		{v2("11"), bad, 0, "version 1"},
		{v2("31"), bad, 0, "version 3"},
		{v2("22"), bad, 0, "an unassigned command"},
		{v2("2f"), bad, 0, "an unassigned command"},
		{v2("21 41"), bad, 0, "an unassigned family"},
		{v2("21 f1"), bad, 0, "an unassigned family"},
		{v2("21 13"), bad, 0, "an unassigned protocol"},
		{v2("21 03"), bad, 0, "an unassigned protocol"},
		{v2("21 11 000b"), bad, 0, "too short for IPv4"},
		{v2("21 11 0000"), bad, 0, "too short for IPv4"},
		{v2("21 10 000b"), bad, 0, "too short for IPv4 that is ignored"},
		{v2("21 21 0023"), bad, 0, "too short for IPv6"},
		{v2("21 31 00d7"), bad, 0, "too short for UNIX"},
		{v2("21 11 ffff"), tooLarge, 0, "65535, from the fixed part alone"},
		{v2("20 00 ffff"), tooLarge, 0, "65535 to be skipped"},
		{v2("21 11 0ff1"), tooLarge, 0, "DefaultMax + 1"},
		{v2("21 11 000c"), tooLarge, 27, "Max + 1"},
		{v2("20 00 0000"), tooLarge, 15, "nothing is small enough"},
		{v2("21 11 000d" + inet + "04"), bad, 0, "one byte is no TLV"},
		{v2("21 11 000e" + inet + "0400"), bad, 0, "two bytes are no TLV"},
		{v2("21 11 000f" + inet + "040001"), bad, 0, "a TLV length that lies"},
		{v2("21 11 000f" + inet + "04ffff"), bad, 0, "a TLV length that lies"},
		{v2("21 11 0010" + inet + "04000004"), bad, 0, "a byte behind the last TLV"},
		{v2("21 31 00db" + unix + "040001"), bad, 0, "a TLV length that lies, behind an address we ignore"},
		{v2("21 11 0013" + inet + "03000400000000"), bad, 0, "a wrong checksum"},
		{v2("21 11 0012" + inet + "030003000000"), bad, 0, "a checksum of three bytes"},
		{v2("21 11 000f" + inet + "030000"), bad, 0, "a checksum of no bytes"},
		{strings.Replace(v2(aws), "\x71", "\x72", 1), bad, 0, "a checksum, and one bit of the address turned"},
	} {
		sameHoweverSplit(t, c.max, c.in, c.want, c.why)
		sameHoweverSplit(t, c.max, c.in+"trailing", c.want, c.why)
		if _, at := feed(t, c.max, singles(c.in)...); at != len(c.in) {
			t.Errorf("%s: fault after %d bytes, want %d", c.why, at, len(c.in))
		}
	}
}

func TestLargestHeader(t *testing.T) {
	in := v2("21 11 ffff" + inet + "e0fff0" + strings.Repeat("00", 65535-12-3))
	got, at := feed(t, MaxMax+1, in)
	if !strings.HasPrefix(got, "v2 proxy") || at != MaxMax || at != len(in) {
		t.Errorf("%.60s to %d", got, at)
	}
	if got, _ := feed(t, MaxMax-1, in); got != tooLarge {
		t.Errorf("%.60s", got)
	}
	if got, _ := feed(t, 0, v2("20 00 0ff0"+strings.Repeat("00", DefaultMax-16))); got != "v2 local to 4096" {
		t.Errorf("DefaultMax: %.60s", got)
	}
}
