package tunnel

import (
	"crypto/tls"
	"fmt"
	"net/netip"

	"weir/bench/target"
)

// maxNameBytes bounds a server name: no DNS name is longer.
const maxNameBytes = 255

// Options is how a client speaks TLS. The zero value is valid: full handshakes of the highest version that both sides
// have.
type Options struct {
	Version string `json:"version,omitempty"`     // "1.2" or "1.3"; empty: whichever is the higher that both have
	Name    string `json:"server_name,omitempty"` // sent as SNI; empty: the target's host, which is not sent when it is an address
	Resume  bool   `json:"resume"`                // keep what the server hands out and come back with it: no certificate, no signature
}

// Config returns the configuration for connections to t. Those that share it share its sessions.
func (o Options) Config(t target.Target) (*tls.Config, error) {
	c := &tls.Config{
		// On purpose: see the package comment.
		InsecureSkipVerify: true,
		ServerName:         o.Name,
		// P-256 is never used for the exchange where the server has X25519, too: it is there because OpenSSL will not use a
		// P-256 certificate in TLS 1.2 with a client that does not list its curve.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
		MinVersion:       tls.VersionTLS12,
		MaxVersion:       tls.VersionTLS13,
		// Small records at first help a browser that draws a page early; here they only cost.
		DynamicRecordSizingDisabled: true,
	}
	switch o.Version {
	case "":
	case "1.2":
		c.MaxVersion = tls.VersionTLS12
	case "1.3":
		c.MinVersion = tls.VersionTLS13
	default:
		return nil, fmt.Errorf("TLS version %q: must be 1.2 or 1.3", o.Version)
	}
	if len(o.Name) > maxNameBytes {
		return nil, fmt.Errorf("server name of %d bytes: at most %d", len(o.Name), maxNameBytes)
	}
	if c.ServerName == "" {
		c.ServerName = hostname(t)
	}
	if t.Scheme == target.HTTP {
		c.NextProtos = []string{"http/1.1"}
	}
	if o.Resume {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(1) // one target, one session
	}
	return c, nil
}

// hostname is the target's host as it was written, without its port; empty when it is an address.
func hostname(t target.Target) string {
	host := t.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	return host
}
