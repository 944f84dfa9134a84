package certs

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// Info is what there is to know about a certificate: for logs, metrics and whoever asks which one is
// served. It is a copy and may be kept.
type Info struct {
	// Names are its subject alternative names, in lower case, DNS names before IP addresses; of a
	// client CA the names of its roots. They are the issuer's text: escape them before printing.
	Names []string
	// NotBefore and NotAfter bound when it is good.
	NotBefore, NotAfter time.Time
	// Fingerprint is the SHA-256 of the certificate as openssl x509 -fingerprint -sha256 writes it:
	// AB:CD:...
	Fingerprint string
	// Key is its kind of key: "ECDSA P-256", "RSA 2048", "Ed25519".
	Key string
	// Source is the file that it was read from, or "" for one in memory.
	Source string
	// Loaded is when it began to be served.
	Loaded time.Time
}

// InfoOf is what there is to know about a certificate that comes from elsewhere, with source for
// Info.Source.
func InfoOf(leaf *x509.Certificate, source string, loaded time.Time) Info {
	return Info{
		Names: namesOf(leaf), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		Fingerprint: fingerprint(leaf.Raw), Key: keyText(leaf), Source: source, Loaded: loaded,
	}
}

// notice is how long before its end Expires begins to warn, and shortLived the part of a shorter
// life: certificates that live for 6 days are renewed when 2 or 3 are left, which is no reason to
// warn.
const (
	notice     = 14 * 24 * time.Hour
	shortLived = 4 // a quarter
)

// Expires reports whether the certificate needs somebody's attention at now: it is expired, or will
// be within 14 days, or within the last quarter of its life when that is less. left is how long it is
// still good, negative once it is not.
func (i Info) Expires(now time.Time) (left time.Duration, soon bool) {
	left = i.NotAfter.Sub(now)
	return left, left < min(notice, i.NotAfter.Sub(i.NotBefore)/shortLived)
}

func fingerprint(der []byte) string {
	hash := sha256.Sum256(der)
	hex := make([]string, len(hash))
	for i, b := range hash {
		hex[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(hex, ":")
}

func keyText(c *x509.Certificate) string {
	switch pub := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", pub.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + pub.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// namesOf are the names that clients ask for, in lower case.
func namesOf(c *x509.Certificate) (names []string) {
	for _, n := range c.DNSNames {
		names = append(names, strings.ToLower(n))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
