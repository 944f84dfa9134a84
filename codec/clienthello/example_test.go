package clienthello_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"

	"weir/codec"
	"weir/codec/clienthello"
)

// A relay reads the name, chooses a backend, and gives it the bytes as they came.
func ExampleDecoder() {
	client, server := net.Pipe()
	go func() {
		config := &tls.Config{ServerName: "WWW.Example.com", NextProtos: []string{"h2", "http/1.1"}}
		tls.Client(client, config).Handshake() // ends with an error: nobody answers
	}()

	backends := map[string]string{"www.example.com": "10.0.0.7:443"}
	var d clienthello.Decoder
	received := make([]byte, 0, d.MaxBytes())
	for {
		u := d.Decode(received)
		if u.Kind == codec.Frame {
			h := d.Hello()
			fmt.Printf("%s goes to %s, h2 %v, %x\n", h.ServerName, backends[string(h.ServerName)], h.ALPN.Has("h2"), h.Version)
			break
		}
		if u.Kind == codec.Bad {
			fmt.Println(u.Fault)
			break
		}
		n, err := io.ReadAtLeast(server, received[len(received):cap(received)], d.Lacks())
		if err != nil {
			fmt.Println(err)
			break
		}
		received = received[:len(received)+n]
	}
	server.Close()
	client.Close()
	// Output: www.example.com goes to 10.0.0.7:443, h2 true, 304
}

// What is not TLS is refused with its first byte.
func ExampleDecoder_refusal() {
	var d clienthello.Decoder
	u := d.Decode([]byte("G"))
	fmt.Println(u.Kind == codec.Bad, u.Fault)
	// Output: true the first bytes are not TLS
}
