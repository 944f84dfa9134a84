package proxyproto

import "testing"

func TestSniff(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Match
		why  string
	}{
		{"", Maybe, "nothing yet"},
		{"P", Maybe, "POST, PROXY"},
		{"PROXY", Maybe, "the space may still come"},
		{"PROXY ", Yes, "v1"},
		{"PROXY garbage", Yes, "v1, not a good one"},
		{"PROXY\t", No, "not the space"},
		{"POST / HTTP/1.1\r\n", No, "a request"},
		{"proxy ", No, "lower case"},
		{"\r\n", Maybe, "an empty line before a request"},
		{"\r\n\r\n", Maybe, "two"},
		{"\r\n\r\n\x00", Maybe, "no request any more"},
		{"\r\n\r\nG", No, "a request behind empty lines"},
		{signatureV2[:11], Maybe, "one byte short"},
		{signatureV2, Yes, "v2"},
		{signatureV2 + "\x31", Yes, "v2, of a version that is none"},
		{"\r\n\r\n\x00\r\nQUIT\r", No, "the last byte"},
		{"\x16\x03\x01", No, "TLS"},
		{"GET / HTTP/1.1\r\nX: PROXY ", No, "not in front"},
	} {
		if got := Sniff([]byte(c.in)); got != c.want {
			t.Errorf("%s: %q: %d, want %d", c.why, c.in, got, c.want)
		}
	}
}

// What Sniff takes for a header the decoder begins to read, and the other way round.
func TestSniffAgreesWithDecode(t *testing.T) {
	for _, signature := range []string{signatureV1, signatureV2} {
		for n := range len(signature) + 1 {
			for c := range 256 {
				in := signature[:n] + string([]byte{byte(c)})
				if n == len(signature) {
					in = signature
				}
				got, _ := feed(t, 0, in)
				if sniffed := Sniff([]byte(in)) != No; sniffed != (got == "more") {
					t.Errorf("%q: sniffed %v, decoded %s", in, sniffed, got)
				}
			}
		}
	}
}

func TestCommandString(t *testing.T) {
	if Local.String() != "local" || Proxy.String() != "proxy" {
		t.Error(Local, Proxy)
	}
}
