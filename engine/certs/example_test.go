package certs_test

import (
	"crypto/tls"
	"fmt"
	"strings"

	"weir/engine/certs"
)

// A listener that shows a certificate from files, picked by name and read again when it changes,
// would have Pairs in place of Own. engine.Listener.TLS takes what TLS returns as it is.
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
