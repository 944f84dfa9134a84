package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"weir/engine/auth/accounts"
)

// What a client takes from a server. 4,096 iterations are RFC 7677's least, but a man in the middle
// of a plain connection asks for few, to guess faster: so a client wants more by default. More than
// the greatest would keep it busy for seconds.
const (
	DefaultMinIterations = 100_000
	maxIterations        = 10_000_000
)

// ErrServer is a server that has not proved to know the account, or does not keep to the protocol:
// the login is none, and nothing must be sent to it.
var ErrServer = errors.New("the server does not prove to know this account")

// Denial is what a server says after ERR.
type Denial struct{ Text string }

func (d *Denial) Error() string { return "the server refuses the login: " + d.Text }

// Credentials are what a client logs in with.
type Credentials struct {
	Name, Password string
	Token          string // instead of name and password; needs TLS
	// Signed asks for signed frames.
	Signed bool
	// Unbound leaves the channel binding out although there is TLS: for connections whose TLS ends
	// before the server. A man in the middle who has a certificate that the client trusts goes
	// unnoticed then.
	Unbound bool
	// MinIterations is the least that the server may ask for; 0 is DefaultMinIterations.
	MinIterations int
}

// Client is a client's side of a login, the counterpart of an Exchange; its arithmetic is its own.
// Not for concurrent use.
type Client struct {
	cred    Credentials
	tls     Exporter
	state   state
	gs2     string
	binding []byte
	nonce   string
	bare    string
	verify  []byte // what the server must prove
	secret  [32]byte
}

// NewClient begins a login over a connection; tls is nil on a plain one. Over TLS passwords are
// bound to it.
func NewClient(cred Credentials, tls Exporter) (*Client, error) {
	c := &Client{cred: cred, tls: tls}
	if cred.MinIterations == 0 {
		c.cred.MinIterations = DefaultMinIterations
	}
	if cred.Token != "" {
		if tls == nil && cred.Signed {
			return nil, errors.New("signed frames after a token need TLS")
		}
		return c, nil
	}
	var err error
	if c.cred.Name, err = accounts.PrepareName(cred.Name); err != nil {
		return nil, err
	}
	if c.cred.Password, err = accounts.PreparePassword(cred.Password); err != nil {
		return nil, err
	}
	c.gs2 = "n,,"
	if tls != nil && !cred.Unbound {
		if c.binding, err = tls.ExportKeyingMaterial(BindingExporter, []byte{}, 32); err != nil {
			return nil, fmt.Errorf("bind to the TLS connection: %w", err)
		}
		c.gs2 = "p=tls-exporter,,"
	}
	c.nonce = rand.Text() // 26 letters, 130 bits
	return c, nil
}

// Start returns the first message to send.
func (c *Client) Start() []byte {
	c.state = opening
	if c.cred.Token != "" {
		msg := c.cred.Token
		if c.cred.Signed {
			msg += ",f=signed"
		}
		return encode("AUTH "+Token, msg)
	}
	c.bare = "n=" + c.cred.Name + ",r=" + c.nonce
	if c.cred.Signed {
		c.bare += ",f=signed"
	}
	mechanism := Scram
	if c.binding != nil {
		mechanism = ScramPlus
	}
	return encode("AUTH "+mechanism, c.gs2+c.bare)
}

// Step takes the server's next message and returns the next one to send. done with a nil error is a
// login; any error ends it: a *Denial, or ErrServer. After a password it computes the iterations,
// up to seconds.
func (c *Client) Step(in []byte) (out []byte, done bool, err error) {
	verb, data, more := strings.Cut(string(in), " ")
	switch {
	case c.state == failed || c.state == passed:
		return nil, true, errors.New("the login is over")
	case verb == "ERR":
		c.state = failed
		return nil, true, &Denial{data}
	case c.cred.Token != "" && verb == "OK" && !more:
		err = c.tokenSecret()
		c.state = passed
	case c.cred.Token == "" && verb == "+" && c.state == opening:
		out, err = c.prove(data)
		c.state = proving
	case c.cred.Token == "" && verb == "OK" && c.state == proving:
		msg, ok := decode(data)
		want := "v=" + base64.StdEncoding.EncodeToString(c.verify)
		if !ok || !hmac.Equal([]byte(msg), []byte(want)) {
			err = ErrServer
		}
		c.state = passed
	default:
		err = ErrServer
	}
	if err != nil {
		c.state = failed
		return nil, true, err
	}
	return out, c.state == passed, nil
}

// Secret is what both ends know after a login, for signed.Keys, and false as long as there is none.
func (c *Client) Secret() ([32]byte, bool) { return c.secret, c.state == passed }

func (c *Client) tokenSecret() error {
	if c.tls == nil {
		return nil
	}
	hash := sha256.Sum256([]byte(c.cred.Token))
	b, err := c.tls.ExportKeyingMaterial(TokenExporter, hash[:], len(c.secret))
	if err != nil && c.cred.Signed {
		return err
	}
	copy(c.secret[:], b)
	return nil
}

// prove answers the server-first-message.
func (c *Client) prove(data string) ([]byte, error) {
	first, ok := decode(data)
	f := strings.Split(first, ",")
	if !ok || len(f) < 3 || len(first) > MaxMessage {
		return nil, ErrServer
	}
	nonce, ok := strings.CutPrefix(f[0], "r=")
	if !ok || len(nonce) <= len(c.nonce) || !strings.HasPrefix(nonce, c.nonce) {
		return nil, ErrServer
	}
	text, ok := strings.CutPrefix(f[1], "s=")
	salt, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(salt) == 0 {
		return nil, ErrServer
	}
	text, ok = strings.CutPrefix(f[2], "i=")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n > maxIterations {
		return nil, ErrServer
	}
	if n < c.cred.MinIterations {
		return nil, fmt.Errorf("the server asks for %d iterations, fewer than %d: it may be somebody who wants to guess the password", n, c.cred.MinIterations)
	}
	salted, err := pbkdf2.Key(sha256.New, c.cred.Password, salt, n, sha256.Size)
	if err != nil {
		return nil, err
	}
	clientKey := mac(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	without := "c=" + base64.StdEncoding.EncodeToString(append([]byte(c.gs2), c.binding...)) + ",r=" + nonce
	authMessage := c.bare + "," + first + "," + without
	proof := mac(stored[:], authMessage)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	c.verify = mac(mac(salted, "Server Key"), authMessage)
	c.secret = Secret(stored, proof, authMessage)
	return encode("+", without+",p="+base64.StdEncoding.EncodeToString(proof)), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
