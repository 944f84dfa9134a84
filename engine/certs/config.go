package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Config says which certificates a Store serves.
type Config struct {
	// Pairs are files with certificates. The first pair is what clients get that name nobody, or
	// somebody whom no certificate has. Any of the others must have a name to be asked for.
	Pairs []Pair
	// Own are certificates in memory, such as SelfSigned makes, each with its key. They come after
	// Pairs and are never reloaded.
	Own []tls.Certificate
	// ClientCA is a PEM file of the roots that client certificates are checked against, "" for
	// none. Which listeners ask for client certificates is their Policy's to say.
	ClientCA string
	// StrictSNI turns away clients that name nobody, or somebody whom no certificate has. Clients
	// that connect to an IP address name nobody.
	StrictSNI bool
	// More, when set, is asked for names that no certificate has exactly, and returns nil for those
	// it does not have either. It is called in each such handshake, by any goroutine, and must not
	// wait for anything. An error becomes the alert internal_error.
	More func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Challenge, when set, answers TLS-ALPN-01 (RFC 8737): clients that offer acme-tls/1 and
	// nothing else. It returns nil when no challenge for the name is open; otherwise as More. What
	// a listener asks of its clients it asks of these too, so a challenge is no way around client
	// certificates. The server must close such a connection when its handshake is done: it is
	// negotiated as ChallengeProtocol.
	Challenge func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Every is how often the files are looked at. 0 means every 2 s; negative means never, and
	// only Reload does.
	Every time.Duration
	// Tell, when set, is told what each look has changed or could not. It is called by the Store's
	// goroutine and by callers of Reload, one at a time, and must not call Reload or Close.
	Tell func(Change)

	now func() time.Time // for tests; nil is time.Now
}

// Pair is a certificate with its chain, leaf first, and its private key, both PEM. They may be the
// same file. Keys must not be encrypted: nobody is there to be asked.
type Pair struct{ Cert, Key string }

// Change is what a look at the files has changed, or could not.
type Change struct {
	// Info is what is served now: the new certificate, or with Err the old one. Its Source names
	// the file that changed.
	Info Info
	// ClientCA is set when it is the client CA that changed. Info then has the names of the roots
	// and when the first of them ends.
	ClientCA bool
	// Err says why the new content was not taken, nil when it was. A *FileError.
	Err error
}

// defaultEvery is a compromise: a look costs two stat calls a pair, and who renews a certificate
// waits for it at most that long.
const defaultEvery = 2 * time.Second

// ChallengeProtocol is what a connection negotiates that proves a domain to a CA (RFC 8737). It
// carries no data: close it when its handshake is done.
const ChallengeProtocol = "acme-tls/1"

// Policy is what one listener asks of its clients. The zero value speaks TLS 1.2 and 1.3, negotiates
// no protocol, and asks for no certificate.
type Policy struct {
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13. 0 means 1.2.
	MinVersion uint16
	// ALPN lists the protocols to negotiate, best first. A client that offers some, and none of
	// these, is turned away; one that offers none is served. Empty: whatever is offered is ignored.
	ALPN []string
	// ClientAuth is tls.NoClientCert, tls.VerifyClientCertIfGiven (optional) or
	// tls.RequireAndVerifyClientCert. Those between them check nothing and are refused. A client may
	// show at most 5 certificates, its own included; of several CAs with one name the first counts.
	// The Store verifies in VerifyConnection, so
	// ConnectionState.VerifiedChains stays empty: see VerifiedClient.
	ClientAuth tls.ClientAuthType
}

func (p Policy) validate(hasCA bool) error {
	switch p.MinVersion {
	case 0, tls.VersionTLS12, tls.VersionTLS13:
	default:
		return fmt.Errorf("minimum version %s: must be TLS 1.2 or TLS 1.3", tls.VersionName(p.MinVersion))
	}
	switch p.ClientAuth {
	case tls.NoClientCert:
	case tls.VerifyClientCertIfGiven, tls.RequireAndVerifyClientCert:
		if !hasCA {
			return errors.New("client certificates are asked for, and there is no client CA to check them against")
		}
	default:
		return fmt.Errorf("client authentication %v: must be none, optional or required, each with a check", p.ClientAuth)
	}
	return nil
}

// suites12 are those of TLS 1.2: forward secret and authenticated, see the package comment. Go picks
// by what the hardware does fast. Those of TLS 1.3 are all good and cannot be chosen.
var suites12 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// exchanges are the key exchanges: those that cost the server less than 0.1 ms, hybrids with ML-KEM
// among them. The package comment has the numbers.
var exchanges = []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.X25519, tls.CurveP256}
