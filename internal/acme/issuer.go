package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// Bounds on what a CA can make us do.
const (
	requestFor = 30 * time.Second
	maxAnswer  = 1 << 20         // bytes of one answer; chains have a few KiB
	pollEvery  = time.Second     // when it does not say
	pollFor    = 5 * time.Minute // for one validation or one order
)

// issuer talks to the CA. Any goroutine.
type issuer struct {
	cfg    Config
	cache  cache
	client *http.Client
	proofs *proofs

	mu      sync.Mutex
	account *acme.Account // nil before the first order
}

func newIssuer(cfg Config, kept cache, roots *x509.CertPool, p *proofs) *issuer {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   requestFor,
		ResponseHeaderTimeout: requestFor,
		IdleConnTimeout:       requestFor, // days pass between two orders
		MaxIdleConns:          atOnce,
		ForceAttemptHTTP2:     true,
	}
	return &issuer{cfg: cfg, cache: kept, proofs: p, client: &http.Client{Timeout: requestFor, Transport: bounded{transport}}}
}

// readRoots reads the roots that the directory is checked against, nil for the system's.
func readRoots(name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, plain(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, errors.New("holds no whole PEM certificate, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----")
	}
	return pool, nil
}

// newClient makes a client for one order: the library's remembers the directory for its life.
func (i *issuer) newClient() *acmez.Client {
	return &acmez.Client{
		Client: &acme.Client{
			Directory: i.cfg.Directory, HTTPClient: i.client, UserAgent: i.cfg.UserAgent,
			PollInterval: pollEvery, PollTimeout: pollFor, Logger: i.cfg.Log,
		},
		ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeTLSALPN01: prover{i.proofs}},
	}
}

// obtain gets a certificate with a new key, and keeps both. replaces is the one that it is in place
// of, nil for none.
func (i *issuer) obtain(ctx context.Context, domain string, replaces *x509.Certificate) (*tls.Certificate, error) {
	asked := &mercy{}
	cert, err := i.order(context.WithValue(ctx, mercyKey{}, asked), domain, replaces)
	if err == nil {
		return cert, nil
	}
	err = explained(err)
	if at := asked.get(); !at.IsZero() {
		err = &laterError{err, at}
	}
	return nil, err
}

func (i *issuer) order(ctx context.Context, domain string, replaces *x509.Certificate) (*tls.Certificate, error) {
	client := i.newClient()
	account, err := i.login(ctx, client)
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	csr, err := acmez.NewCSR(key, []string{domain})
	if err != nil {
		return nil, err
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return nil, err
	}
	if replaces != nil && len(replaces.AuthorityKeyId) > 0 {
		params.Replaces = replaces
	}
	chains, err := client.ObtainCertificate(ctx, params)
	var problem acme.Problem
	switch {
	case errors.As(err, &problem) && problem.Type == acme.ProblemTypeAccountDoesNotExist:
		i.logout() // a CA that was set up anew; the next try makes another account
		return nil, err
	case err != nil:
		return nil, err
	case len(chains) == 0:
		return nil, errors.New("the CA issued a certificate and returned none")
	}
	var content bytes.Buffer
	if err := writeKey(&content, key); err != nil {
		return nil, err
	}
	chain := onlyCertificates(chains[0].ChainPEM)
	content.Write(chain)
	cert, err := parse(domain, content.Bytes())
	if err != nil {
		return nil, fmt.Errorf("what the CA returned cannot be used: %w", err)
	}
	if err := i.cache.store(domain, key, chain); err != nil {
		// It is good, and is served; after a restart there will be another.
		i.cfg.Tell(Event{Kind: Failed, Domain: domain, Err: fmt.Errorf("keep the certificate: %w", err)})
	}
	return cert, nil
}

// onlyCertificates leaves out whatever else is between them.
func onlyCertificates(content []byte) (chain []byte) {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return chain
		}
		if block.Type == "CERTIFICATE" {
			chain = append(chain, pem.EncodeToMemory(block)...)
		}
	}
}

// login returns the account, which it makes or looks up at the first order.
func (i *issuer) login(ctx context.Context, client *acmez.Client) (acme.Account, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.account != nil {
		return *i.account, nil
	}
	unlock, err := i.cache.lock(ctx, "account")
	if err != nil {
		return acme.Account{}, err
	}
	defer unlock()
	key, made, err := i.cache.accountKey()
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if i.cfg.Email != "" {
		account.Contact = []string{"mailto:" + i.cfg.Email}
	}
	// For a key that has an account the CA returns that one.
	if account, err = client.NewAccount(ctx, account); err != nil {
		return acme.Account{}, fmt.Errorf("account: %w", err)
	}
	if made {
		terms := ""
		if dir, err := client.GetDirectory(ctx); err == nil && dir.Meta != nil {
			terms = dir.Meta.TermsOfService
		}
		i.cfg.Tell(Event{Kind: Agreed, Terms: terms})
	}
	i.account = &account
	return account, nil
}

func (i *issuer) logout() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.account = nil
}

// window asks when the CA would like a certificate to be renewed. Its error is no answer, or a CA
// that has no opinion.
func (i *issuer) window(ctx context.Context, leaf *x509.Certificate) (window, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestFor)
	defer cancel()
	info, err := i.newClient().GetRenewalInfo(ctx, leaf)
	w := window{start: info.SuggestedWindow.Start, end: info.SuggestedWindow.End}
	if info.RetryAfter != nil {
		w.again = *info.RetryAfter
	}
	return w, err
}

// explained leaves out what the library was doing where the CA said why not, or could not be asked.
func explained(err error) error {
	var p acme.Problem
	if !errors.As(err, &p) {
		var request *url.Error
		if errors.As(err, &request) {
			return fmt.Errorf("ask the CA: %w", request)
		}
		return err
	}
	text := strings.TrimPrefix(p.Type, acme.ProblemTypeNamespace)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	for _, sub := range p.Subproblems {
		text += "; " + sub.Detail
	}
	return fmt.Errorf("the CA says %s", text)
}

// prover answers TLS-ALPN-01: the library tells it what to show, handshakes find it.
type prover struct{ proofs *proofs }

func (p prover) Present(_ context.Context, c acme.Challenge) error {
	cert, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		return err
	}
	p.proofs.set(strings.ToLower(c.Identifier.Value), cert)
	return nil
}

func (p prover) CleanUp(_ context.Context, c acme.Challenge) error {
	p.proofs.set(strings.ToLower(c.Identifier.Value), nil)
	return nil
}

// bounded is a transport whose answers end, and that notes when the CA wants to be left alone.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if l, ok := r.Context().Value(mercyKey{}).(*mercy); ok && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable) {
		l.note(resp.Header.Get("Retry-After"), time.Now())
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// mercy is when the CA may be asked again, as it said during one order. Any goroutine.
type mercy struct {
	mu sync.Mutex
	at time.Time
}

type mercyKey struct{}

// note reads a Retry-After: seconds, or a date.
func (l *mercy) note(header string, now time.Time) {
	at, err := http.ParseTime(header)
	if seconds, e := strconv.ParseUint(header, 10, 31); e == nil {
		at, err = now.Add(time.Duration(seconds)*time.Second), nil
	}
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.After(l.at) {
		l.at = at
	}
}

func (l *mercy) get() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}
