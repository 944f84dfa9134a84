package certs

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"testing"
	"time"
)

// BenchmarkCertificate picks one of a thousand certificates, as each handshake does.
func BenchmarkCertificate(b *testing.B) {
	ca := newAuthority(b, "ca")
	var own []tls.Certificate
	for i := range 1000 {
		own = append(own, ca.issue(b, "P-256", time.Hour, fmt.Sprintf("h%d.example", i), fmt.Sprintf("*.w%d.example", i)).tls())
	}
	own = append(own, ca.issue(b, "RSA", time.Hour, "two.example").tls(), ca.issue(b, "P-256", time.Hour, "two.example").tls())
	s := open(b, Config{Own: own})
	for _, name := range []string{"h500.example", "a.w500.example", "nosuch.example", "two.example"} {
		b.Run(name, func(b *testing.B) {
			hello := &tls.ClientHelloInfo{ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13},
				SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}}
			b.ReportAllocs()
			for b.Loop() {
				if c, err := s.certificate(hello); c == nil || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkExchange is the server's part of a key exchange, for each that a client could pick: a key
// of its own, and the secret. The package comment has the numbers.
func BenchmarkExchange(b *testing.B) {
	for _, curve := range []ecdh.Curve{ecdh.X25519(), ecdh.P256(), ecdh.P384(), ecdh.P521()} {
		b.Run(fmt.Sprint(curve), func(b *testing.B) {
			peer, err := curve.GenerateKey(rand.Reader)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				own, err := curve.GenerateKey(rand.Reader)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := own.ECDH(peer.PublicKey()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
