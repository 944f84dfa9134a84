package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"

	"weir/engine/certs"
)

// A listener that shows a certificate from files, picked by name and read again when it changes,
// would have Pairs in place of Own. engine.Listener.TLS takes what TLS returns as it is, and its
// VerifiedClient VerifiedClient.
func Example() {
	own, fingerprint, err := certs.SelfSigned("edge.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := certs.Open(certs.Config{Own: []tls.Certificate{own}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	current, err := store.TLS(certs.Policy{MinVersion: tls.VersionTLS13, ALPN: []string{"http/1.1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	one, next := current(), current()
	fmt.Println(tls.VersionName(one.MinVersion), one == next)
	info := store.Info()[0]
	fmt.Println(info.Key, info.Fingerprint == fingerprint, strings.Contains(strings.Join(info.Names, " "), "edge.example"))
	// Output:
	// TLS 1.3 true
	// ECDSA P-256 true true
}

// Who is at the other end of a connection that was made under a configuration of a Store's: a nil
// certificate where the policy asks for none, or the client showed none.
func ExampleVerifiedClient() {
	who := func(s tls.ConnectionState) string {
		if c := certs.VerifiedClient(s); c != nil {
			return c.Subject.CommonName
		}
		return "somebody"
	}
	alice := &x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}
	fmt.Println(who(tls.ConnectionState{}))
	fmt.Println(who(tls.ConnectionState{PeerCertificates: []*x509.Certificate{alice}}))
	// Output:
	// somebody
	// alice
}
