package engine_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"weir/codec/proxyproto"
	"weir/engine"
	"weir/engine/certs"
	"weir/guard"
)

// The same service over TLS, behind a load balancer that sends PROXY headers.
func Example_tls() {
	// certs.Config{Pairs: []certs.Pair{{Cert: "site.crt", Key: "site.key"}}} for certificates in
	// files, which are reloaded when they change.
	cert, _, err := certs.SelfSigned("localhost")
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := certs.Open(certs.Config{Own: []tls.Certificate{cert}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	config, err := store.TLS(certs.Policy{MinVersion: tls.VersionTLS13}) // once for each listener
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := engine.New(engine.Config{
		Loops: 1,
		Guard: guard.DefaultConfig(),
		Listeners: []engine.Listener{{
			Name: "shout", Network: "tcp", Address: "127.0.0.1:0", Service: shout{}, MaxIn: 1002,
			TLS:            config,
			VerifiedClient: certs.VerifiedClient, // for Session's Conn.TLS().Client
			ProxyFrom:      []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := e.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer e.Stop(context.Background())

	c, err := net.Dial("tcp", e.Addrs()[0].String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	c.Write(proxyproto.AppendV2(nil, proxyproto.Header{ // what the balancer does
		Command: proxyproto.Proxy, Source: netip.MustParseAddrPort("192.0.2.7:5000"), Destination: netip.MustParseAddrPort("192.0.2.1:443"),
	}))
	client := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	fmt.Fprintln(client, "hello")
	answer, _ := bufio.NewReader(client).ReadString('\n')
	fmt.Print(answer)
	// Output: HELLO!
}
