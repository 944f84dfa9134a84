package acme

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// LetsEncrypt is the directory of Let's Encrypt's production service.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Config says for which domains certificates are kept, and with whom.
type Config struct {
	// Domains are the names, see CheckDomain; each gets a certificate of its own, so that one that
	// cannot be proven does not take others with it. At least one.
	Domains []string
	// Email is what the CA may write to, "" for none. It is told when the account is made.
	Email string
	// Directory is the URL of the CA's directory; "" means LetsEncrypt.
	Directory string
	// CAFile is a PEM file with the roots that the directory's own certificate is checked against,
	// "" for the system's.
	CAFile string
	// Cache is a directory for keys and certificates; it is made if need be, for its owner only. One
	// that belongs to another user, or is open to others, is refused.
	Cache string
	// UserAgent is put in front of the library's in requests to the CA.
	UserAgent string
	// Tell, when set, is told what happens. It is called by any of the Keeper's goroutines and must
	// not call Close.
	Tell func(Event)
	// Log, when set, is told the steps of the protocol, which only matter when they go wrong.
	Log *slog.Logger
}

// Kind is the kind of an Event.
type Kind int

// The kinds.
const (
	Obtained Kind = iota // a certificate is there, new or renewed: Leaf
	Adopted              // another process has obtained one: Leaf
	Failed               // none could be obtained or kept: Err, and tried again at Next
	Damaged              // a certificate in the cache cannot be used, and another one is obtained: Err
	Agreed               // an account was made, and the CA's terms agreed to: Terms
)

// Event is what happened to a domain.
type Event struct {
	Kind   Kind
	Domain string
	Leaf   *x509.Certificate
	Err    error     // one line
	Next   time.Time // of Failed
	Terms  string    // the URL of the terms, "" when the CA has none
}

// SettingError is a setting that the Keeper cannot work with.
type SettingError struct {
	Setting string // "ca" or "cache"
	Path    string
	Err     error
}

func (e *SettingError) Error() string { return e.Setting + " " + e.Path + ": " + e.Err.Error() }

func (e *SettingError) Unwrap() error { return e.Err }

// CheckDomain says what is wrong with a name, or nil: it must be one that TLS-ALPN-01 can prove, in
// the form in which clients ask for it.
func CheckDomain(name string) error {
	_, isAddress := netip.ParseAddr(name)
	switch {
	case strings.Contains(name, "*"):
		return errors.New("must be a name without *: only DNS could prove a wildcard")
	case isAddress == nil:
		return errors.New("must be a DNS name, not an address")
	case len(name) > 253 || name == "":
		return errors.New("must be a DNS name of 1 to 253 characters")
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) < 1 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("must be a DNS name such as www.example.com")
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return errors.New("must be a DNS name such as www.example.com, in lower case, other scripts as xn--")
			}
		}
	}
	return nil
}

// CheckDirectory says what is wrong with the URL of a directory, or nil.
func CheckDirectory(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("must be the URL of an ACME directory: https://HOST/PATH")
	}
	return nil
}

// CheckEmail says what is wrong with an address to write to, or nil. CAs refuse what is not plain; it
// becomes the URL mailto:ADDRESS, and must not be one.
func CheckEmail(text string) error {
	user, host, ok := strings.Cut(text, "@")
	if !ok || user == "" || !strings.Contains(host, ".") || strings.ContainsAny(text, " ,:;<>?\"'\t\r\n") || strings.Contains(host, "@") {
		return errors.New("must be an address such as ops@example.com")
	}
	return nil
}

// Check says what is wrong with a Config as Open would, and makes nothing. That a disk is full, for
// one, it cannot know.
func (c Config) Check() error {
	if c.Directory == "" {
		c.Directory = LetsEncrypt
	}
	if err := c.validate(); err != nil {
		return err
	}
	if _, err := readRoots(c.CAFile); err != nil {
		return &SettingError{"ca", c.CAFile, err}
	}
	if err := checkCache(c.Cache, c.Directory); err != nil {
		return &SettingError{"cache", c.Cache, err}
	}
	return nil
}

func (c *Config) validate() error {
	if len(c.Domains) == 0 {
		return errors.New("there is no domain to keep a certificate for")
	}
	seen := map[string]bool{}
	for _, d := range c.Domains {
		if err := CheckDomain(d); err != nil {
			return fmt.Errorf("domain %q: %w", d, err)
		}
		if seen[d] {
			return fmt.Errorf("domain %q: is given twice", d)
		}
		seen[d] = true
	}
	if err := CheckDirectory(c.Directory); err != nil {
		return fmt.Errorf("directory %q: %w", c.Directory, err)
	}
	if c.Email != "" {
		if err := CheckEmail(c.Email); err != nil {
			return fmt.Errorf("email %q: %w", c.Email, err)
		}
	}
	return nil
}
