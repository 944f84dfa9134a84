package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// parseClientCA makes a pool of the roots in a PEM file.
func parseClientCA(path string, content []byte, now time.Time) (*clientCA, error) {
	roots, err := certificates(content)
	if err != nil {
		return nil, &FileError{RoleClientCA, path, err}
	}
	ca := &clientCA{pool: x509.NewCertPool(), roots: roots, path: path, loaded: now}
	for _, root := range roots {
		ca.pool.AddCert(root)
	}
	return ca, nil
}

// maxClientChain is how many certificates a client may show, its own included. crypto/x509 tries up to
// 100 signatures to find a way through what it is given: with 110 certificates of one name, whose
// keys are on P-521, that took 150 ms. With 5 it was 50 ms still, for 42 signatures: certificates that
// share a name and a key have all signed each other, and names beside make x509 see several where
// there is one. So of those with one name only the first counts, which leaves 6 signatures (a test
// counts), 7 ms on P-521. A chain in TLS is in order, so the first is the one that the others go by.
const maxClientChain = 5

// verifier checks client certificates in crypto/tls's place, so that the length of the chain comes
// first. It is asked in each handshake, resumed ones too, before the connection is used.
func (ca *clientCA) verifier(now func() time.Time) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		shown := s.PeerCertificates
		if len(shown) == 0 {
			return nil // allowed, or crypto/tls has refused it
		}
		if len(shown) > maxClientChain {
			return fmt.Errorf("the client shows %d certificates: at most %d are looked at", len(shown), maxClientChain)
		}
		opts := x509.VerifyOptions{
			Roots: ca.pool, Intermediates: x509.NewCertPool(), CurrentTime: now(),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		for i, c := range shown[1:] {
			if !slices.ContainsFunc(shown[1:1+i], func(before *x509.Certificate) bool { return bytes.Equal(before.RawSubject, c.RawSubject) }) {
				opts.Intermediates.AddCert(c)
			}
		}
		if _, err := shown[0].Verify(opts); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: shown, Err: err}
		}
		return nil
	}
}

// VerifiedClient is the certificate that a client has shown in a handshake under a configuration of
// a Store's, which has verified it; nil when it has shown none. It is an engine.Listener's
// VerifiedClient. For other configurations it means nothing. Any goroutine.
func VerifiedClient(s tls.ConnectionState) *x509.Certificate {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	return s.PeerCertificates[0]
}

// clientCA are the roots that client certificates are checked against. It does not change.
type clientCA struct {
	pool   *x509.CertPool
	roots  []*x509.Certificate
	path   string
	loaded time.Time
}

// info is that of the root that ends first, with the names of all.
func (ca *clientCA) info() Info {
	first := ca.roots[0]
	var names []string
	for _, r := range ca.roots {
		if r.NotAfter.Before(first.NotAfter) {
			first = r
		}
		name := r.Subject.CommonName
		if name == "" {
			name = r.Subject.String()
		}
		names = append(names, name)
	}
	i := InfoOf(first, ca.path, ca.loaded)
	i.Names = names
	return i
}
