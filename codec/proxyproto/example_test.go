package proxyproto_test

import (
	"fmt"
	"net/netip"

	"weir/codec"
	"weir/codec/proxyproto"
)

// The header and the beginning of the client's own bytes arrive in one read.
func ExampleDecoder() {
	received := []byte("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n")
	var d proxyproto.Decoder
	u := d.Decode(received)
	if u.Kind == codec.Frame {
		h := d.Header()
		fmt.Println(h.Command, h.Source.Addr())
		fmt.Printf("%q\n", received[u.N:])
	}
	// Output:
	// proxy 192.0.2.7
	// "GET / HTTP/1.1\r\n"
}

// A peer that is not a trusted proxy may not send a header at all.
func ExampleSniff() {
	for _, first := range []string{"PROXY TCP4 10.0.0.1 ", "PRO", "POST / HTTP/1.1"} {
		switch proxyproto.Sniff([]byte(first)) {
		case proxyproto.Yes:
			fmt.Println("refused")
		case proxyproto.Maybe:
			fmt.Println("wait")
		case proxyproto.No:
			fmt.Println("served")
		}
	}
	// Output:
	// refused
	// wait
	// served
}

// The client's address goes on to a backend, with the name it asked for and a checksum.
func ExampleAppendV2() {
	var tlvs []byte
	tlvs = proxyproto.AppendTLV(tlvs, proxyproto.TypeAuthority, []byte("example.com"))
	tlvs = proxyproto.AppendChecksum(tlvs)
	out := proxyproto.AppendV2(nil, proxyproto.Header{
		Command:     proxyproto.Proxy,
		Source:      netip.MustParseAddrPort("192.0.2.7:56324"),
		Destination: netip.MustParseAddrPort("198.51.100.1:443"),
		TLVs:        tlvs,
	})
	var d proxyproto.Decoder
	d.Decode(out)
	for typ, value := range d.Header().TLVs.All() {
		if typ == proxyproto.TypeAuthority {
			fmt.Printf("%s in a header of %d bytes\n", value, len(out))
		}
	}
	// Output: example.com in a header of 49 bytes
}
