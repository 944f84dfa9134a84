package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// selfSignedFor is how long a self-signed certificate is good. It ends with the process anyway; less
// would only stop servers that run for longer, and some clients refuse more than 825 days.
const selfSignedFor = 365 * 24 * time.Hour

// SelfSigned makes a certificate that nobody has vouched for, for trials and for clients that compare
// fingerprints: ECDSA P-256, good for 365 days from an hour ago, for localhost, 127.0.0.1, ::1, this
// machine's name, and hosts beside, which are DNS names or IP addresses. Its key is in memory only, so
// each start has another one. Its fingerprint is that of Info.
func SelfSigned(hosts ...string) (tls.Certificate, string, error) {
	fail := func(err error) (tls.Certificate, string, error) {
		return tls.Certificate{}, "", fmt.Errorf("make a certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber:          nil, // a random one
		Subject:               pkix.Name{CommonName: "weir, self-signed"},
		NotBefore:             now.Add(-time.Hour), // clocks differ
		NotAfter:              now.Add(selfSignedFor),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	all := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && isHost(name) {
		all = append(all, name)
	}
	for _, h := range append(all, hosts...) {
		if ip := net.ParseIP(h); ip != nil {
			if !slices.ContainsFunc(template.IPAddresses, ip.Equal) {
				template.IPAddresses = append(template.IPAddresses, ip)
			}
		} else if h = strings.ToLower(h); !slices.Contains(template.DNSNames, h) {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return fail(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return fail(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, fingerprint(der), nil
}

// isHost reports whether the name that the machine gives itself can stand in a certificate.
func isHost(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return name[0] != '.' && name[len(name)-1] != '.'
}
