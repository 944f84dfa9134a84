package certs

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// parseClientCA makes a pool of the roots in a PEM file. Unlike x509.CertPool it does not leave out
// what it cannot read: an operator who lists a root means it.
func parseClientCA(path string, content []byte, now time.Time) (*clientCA, error) {
	wrong := func(format string, args ...any) (*clientCA, error) {
		return nil, &FileError{RoleClientCA, path, fmt.Errorf(format, args...)}
	}
	ca := &clientCA{pool: x509.NewCertPool(), path: path, loaded: now}
	for block := range blocks(content) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return wrong("certificate %d in it cannot be read: %s", len(ca.roots)+1, strings.TrimPrefix(err.Error(), "x509: "))
		}
		ca.pool.AddCert(root)
		ca.roots = append(ca.roots, root)
	}
	if len(ca.roots) == 0 {
		return wrong("holds no PEM certificate; it must have a line -----BEGIN CERTIFICATE-----")
	}
	return ca, nil
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
