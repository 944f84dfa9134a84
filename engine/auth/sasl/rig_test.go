package sasl

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"weir/engine/auth/accounts"
)

const (
	salt       = "W22ZaJ0SNY7soEsUEjb6gQ==" // RFC 7677, section 3
	iterations = 4096
	goodToken  = accounts.TokenPrefix + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// setOf makes a set in which each name has a password, by another implementation's arithmetic.
// user, whose password is pencil, has goodToken.
func setOf(t testing.TB, passwords map[string]string) *accounts.Set {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "weir-accounts 1 decoy=%s\n", base64.StdEncoding.EncodeToString(make([]byte, 32)))
	for name, password := range passwords {
		c, err := scram.SHA256.NewClient(name, password, "")
		must(t, err)
		raw, _ := base64.StdEncoding.DecodeString(salt)
		cred, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(raw), Iters: iterations})
		must(t, err)
		off := ""
		if strings.HasPrefix(name, "off") {
			off = " disabled"
		}
		fmt.Fprintf(&b, "user %s scopes=read,write verifier=SCRAM-SHA-256$%d:%s$%s:%s%s\n", name, iterations, salt,
			base64.StdEncoding.EncodeToString(cred.StoredKey), base64.StdEncoding.EncodeToString(cred.ServerKey), off)
	}
	if passwords["user"] != "" {
		// The SHA-256 of goodToken.
		fmt.Fprintf(&b, "token user ci scopes=read created=2026-01-01T00:00:00Z expires=2027-01-01T00:00:00Z hash=%s\n", goodHash)
	}
	s, err := accounts.Parse([]byte(b.String()))
	must(t, err)
	return s
}

var people = map[string]string{"user": "pencil", "off": "pencil", "jürgen": "x\u2168"}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func serverOf(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Accounts == nil {
		set := setOf(t, people)
		cfg.Accounts = func() *accounts.Set { return set }
	}
	cfg.Now = func() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) }
	s, err := NewServer(cfg)
	must(t, err)
	return s
}

// channel is a TLS connection of which only the exporter is there.
type channel byte

func (c channel) ExportKeyingMaterial(label string, context []byte, n int) ([]byte, error) {
	b := []byte(label + string(context) + strings.Repeat(string(c), 32))
	return b[len(b)-n:], nil
}

// noExporter is TLS 1.2 without the extended master secret.
type noExporter struct{}

func (noExporter) ExportKeyingMaterial(string, []byte, int) ([]byte, error) {
	return nil, errors.New("unavailable")
}

// party is a client: that of package scram, an implementation that shares nothing with ours but the
// standard library and the server's parser, or with own Client.
type party struct {
	name, password string
	binding        *channel // nil for none
	flagY          bool
	signed         bool // needs own
	own            bool
	nonce          string
}

// speaker is a client's side, in messages as they are sent.
type speaker interface {
	Start() []byte
	Step(in []byte) (out []byte, done bool, err error)
}

func (p party) speaker(t testing.TB) speaker {
	if p.own || p.signed {
		var on Exporter
		if p.binding != nil {
			on = *p.binding
		}
		c, err := NewClient(Credentials{Name: p.name, Password: p.password, Signed: p.signed, MinIterations: 1}, on)
		must(t, err)
		return c
	}
	c, err := scram.SHA256.NewClient(p.name, p.password, "")
	must(t, err)
	if p.nonce != "" {
		c.WithNonceGenerator(func() string { return p.nonce })
	}
	switch {
	case p.binding != nil:
		data, _ := p.binding.ExportKeyingMaterial(BindingExporter, nil, 32)
		return &library{c.NewConversationWithChannelBinding(scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: data}), ScramPlus}
	case p.flagY:
		return &library{c.NewConversationAdvertisingChannelBinding(), Scram}
	}
	return &library{c.NewConversation(), Scram}
}

// library puts package scram's client into messages.
type library struct {
	conv      *scram.ClientConversation
	mechanism string
}

func (l *library) Start() []byte {
	c1, _ := l.conv.Step("")
	return encode("AUTH "+l.mechanism, c1)
}

func (l *library) Step(in []byte) ([]byte, bool, error) {
	verb, data, _ := strings.Cut(string(in), " ")
	text, ok := decode(data)
	if !ok {
		return nil, true, errors.New("not the answer")
	}
	msg, err := l.conv.Step(text)
	switch {
	case err != nil:
		return nil, true, err
	case verb == "OK" && l.conv.Valid():
		return nil, true, nil
	case verb == "+" && !l.conv.Done():
		return encode("+", msg), false, nil
	}
	return nil, true, errors.New("not valid")
}

// alter changes one message of an exchange on its way; nil for none.
type alter func(n int, msg []byte) []byte

// run does a whole login. It returns every message that was sent, and the server's and the client's
// error.
func (p party) run(t testing.TB, x *Exchange, change alter) (sent []string, serverErr, clientErr error) {
	t.Helper()
	c := p.speaker(t)
	pass := func(msg []byte) []byte {
		if change != nil {
			msg = change(len(sent), msg)
		}
		sent = append(sent, string(msg))
		return msg
	}
	msg := c.Start()
	for {
		out, done, err := x.Step(pass(msg))
		if err != nil {
			return sent, err, nil
		}
		var over bool
		if msg, over, err = c.Step(pass(out)); err != nil || over && done {
			return sent, nil, err
		}
		if over || done {
			t.Fatalf("one thinks that it is over: server %v, client %v", done, over)
		}
	}
}
