package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// relayTLS is how servers behind are spoken to by TLS.
type relayTLS struct {
	on, insecure bool
	ca, name     string // a file of certificates, "" for the system's; a server name, "" for the host's
	cert, key    string // files of ours to show, "" for none
}

// config is nil for none. The error is one line for the operator.
func (r *relayTLS) config() (*tls.Config, error) {
	switch {
	case !r.on && (r.insecure || r.ca != "" || r.name != "" || r.cert != "" || r.key != ""):
		return nil, fmt.Errorf("to-ca, to-name, to-cert, to-key and to-insecure are of use only with to-tls")
	case !r.on:
		return nil, nil
	case r.insecure && r.ca != "":
		return nil, fmt.Errorf("to-insecure checks no certificate: to-ca has no use with it")
	case (r.cert == "") != (r.key == ""):
		return nil, fmt.Errorf("to-cert and to-key belong together")
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: r.name, InsecureSkipVerify: r.insecure}
	if r.ca != "" {
		pem, err := os.ReadFile(r.ca)
		if err != nil {
			return nil, fmt.Errorf("to-ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("to-ca: there is no certificate in %s", r.ca)
		}
	}
	if r.cert != "" {
		pair, err := tls.LoadX509KeyPair(r.cert, r.key)
		if err != nil {
			return nil, fmt.Errorf("to-cert, to-key: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
