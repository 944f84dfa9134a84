package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// minRSA is the shortest RSA key that is served, in bits: no browser takes less.
const minRSA = 2048

// parsePair makes a certificate of the content of a pair's files. What is wrong is a *FileError of
// the file to look at.
func parsePair(p Pair, certPEM, keyPEM []byte) (*tls.Certificate, error) {
	wrongCert := func(format string, args ...any) error {
		return &FileError{RoleCert, p.Cert, fmt.Errorf(format, args...)}
	}
	wrongKey := func(format string, args ...any) error {
		return &FileError{RoleKey, p.Key, fmt.Errorf(format, args...)}
	}
	chain, err := certificates(certPEM)
	if err != nil {
		for block := range blocks(certPEM) {
			if strings.HasSuffix(block.Type, "PRIVATE KEY") && len(chain) == 0 {
				return nil, wrongCert("holds a private key and no certificate: perhaps the two files are swapped")
			}
		}
		return nil, wrongCert("%w", err)
	}
	c := tls.Certificate{Leaf: chain[0]}
	for _, one := range chain {
		c.Certificate = append(c.Certificate, one.Raw)
	}

	var key *pem.Block
	hasCert := false
	for block := range blocks(keyPEM) {
		hasCert = hasCert || block.Type == "CERTIFICATE"
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			key = block
			break
		}
	}
	switch {
	case key == nil && hasCert:
		return nil, wrongKey("holds a certificate and no private key: perhaps the two files are swapped")
	case key == nil:
		return nil, wrongKey("holds no whole PEM private key, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----")
	case key.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(key.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, wrongKey("is encrypted; write a copy without a password, to another file: openssl pkey -in FILE -out NEWFILE")
	}
	if c.PrivateKey, err = parseKey(key.Bytes); err != nil {
		return nil, wrongKey("%w", err)
	}
	switch belongs, err := owns(c.Leaf, c.PrivateKey); {
	case err != nil:
		return nil, wrongCert("%w", err)
	case !belongs:
		return nil, wrongKey("does not belong to the certificate in %s", p.Cert)
	}
	return &c, nil
}

// certificates reads all certificates in a PEM file, one at least. Unlike x509.CertPool it does not leave
// out what it cannot read, nor what pem.Decode skips because its end is missing: whoever lists a
// certificate means it, and a chain cut short fails at the clients only. With an error the list is
// what came before.
func certificates(content []byte) (list []*x509.Certificate, err error) {
	for block := range blocks(content) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return list, fmt.Errorf("certificate %d in it cannot be read: %s", len(list)+1, strings.TrimPrefix(err.Error(), "x509: "))
		}
		list = append(list, c)
	}
	const begin = "-----BEGIN CERTIFICATE-----"
	begun := bytes.Count(content, []byte(begin))
	switch {
	case len(list) == 0:
		return nil, errors.New("holds no whole PEM certificate, from " + begin + " to -----END CERTIFICATE-----")
	case begun > len(list):
		return list, fmt.Errorf("holds %d whole PEM certificates and %d lines %s: one is cut short", len(list), begun, begin)
	}
	return list, nil
}

// blocks are the PEM blocks in b, in order.
func blocks(b []byte) func(yield func(*pem.Block) bool) {
	return func(yield func(*pem.Block) bool) {
		for {
			block, rest := pem.Decode(b)
			if block == nil || !yield(block) {
				return
			}
			b = rest
		}
	}
}

// parseKey reads PKCS #8, and what openssl wrote before it: PKCS #1 and SEC 1.
func parseKey(der []byte) (crypto.PrivateKey, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	return nil, errors.New("holds a private key that cannot be read; it must be RSA, ECDSA or Ed25519")
}

// owns reports whether key is the one that leaf was made for. Its error is a kind of key that TLS
// servers do not use, or one that is too weak.
func owns(leaf *x509.Certificate, key crypto.PrivateKey) (bool, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false, nil
	}
	switch pub := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := pub.N.BitLen(); bits < minRSA {
			return false, fmt.Errorf("has an RSA key of %d bits; at least %d are needed", bits, minRSA)
		}
		return pub.Equal(signer.Public()), nil
	case *ecdsa.PublicKey:
		return pub.Equal(signer.Public()), nil
	case ed25519.PublicKey:
		return pub.Equal(signer.Public()), nil
	}
	return false, errors.New("has a key that is neither RSA nor ECDSA nor Ed25519")
}

// rank orders kinds of keys by what a signature costs the server: 20 µs with ECDSA P-256 and
// Ed25519, 136 µs with P-384, 650 µs and more with RSA.
func rank(leaf *x509.Certificate) int {
	switch pub := leaf.PublicKey.(type) {
	case ed25519.PublicKey:
		return 0
	case *ecdsa.PublicKey:
		if pub.Curve.Params().BitSize <= 256 {
			return 0
		}
		return 1
	}
	return 2
}

// sameNames reports whether two certificates are for exactly the same names.
func sameNames(a, b *x509.Certificate) bool {
	one, other := namesOf(a), namesOf(b)
	slices.Sort(one)
	slices.Sort(other)
	return slices.Equal(one, other)
}
