package sasl

import (
	"errors"
	"time"

	"weir/engine/auth/accounts"
)

// The mechanisms.
const (
	Scram     = "SCRAM-SHA-256"
	ScramPlus = "SCRAM-SHA-256-PLUS"
	Token     = "TOKEN"
)

// Policy says whether frames are signed after a login.
type Policy uint8

const (
	SigningOptional Policy = iota // when the client asks for it
	SigningRequired               // a client that does not ask fails
	SigningOff                    // a client that asks fails
)

// Config is what all exchanges have in common.
type Config struct {
	// Accounts returns the set in force, as (*accounts.Store).Set does. It is asked at the
	// beginning and again at the end of each login. Needed.
	Accounts func() *accounts.Set
	// Signing says whether frames are signed after a login.
	Signing Policy
	// RequireBinding leaves SCRAM-SHA-256 out, so that passwords log in through -PLUS only, over TLS.
	RequireBinding bool
	// PlainTokens offers TOKEN without TLS too: for Unix sockets. Elsewhere whoever listens has the
	// token.
	PlainTokens bool
	// Now is the wall clock, for the expiry of tokens; nil is time.Now.
	Now func() time.Time
}

// Server begins exchanges. Any goroutine.
type Server struct {
	cfg   Config
	nonce func() string // nil but in tests
}

// NewServer checks a Config. Its error names the field.
func NewServer(cfg Config) (*Server, error) {
	switch {
	case cfg.Accounts == nil:
		return nil, errors.New("sasl: Accounts must be set")
	case cfg.Signing > SigningOff:
		return nil, errors.New("sasl: Signing must be SigningOptional, SigningRequired or SigningOff")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{cfg: cfg}, nil
}

// Accounts is the set in force. Any goroutine.
func (s *Server) Accounts() *accounts.Set { return s.cfg.Accounts() }

// Now is the wall clock that tokens expire by. Any goroutine.
func (s *Server) Now() time.Time { return s.cfg.Now() }

// Exporter is a TLS connection as far as a login is concerned; *tls.ConnectionState is one.
type Exporter interface {
	ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error)
}

// Gate limits attempts; package attempts makes them. Its methods are called by Step.
type Gate interface {
	// May is asked once an exchange, when the account's name is known and before anything is
	// answered that took knowing it: whether this attempt may go on. It counts as failed from then
	// on. account is prepared; "" for a token that is wrong, and for a name that none can have. One that
	// is right is no attempt, and it is not asked.
	May(account string) bool
	// Passed says that the attempt that May has let on has succeeded.
	Passed(account string)
}

// Result is who has logged in.
type Result struct {
	accounts.Login
	Mechanism string
	// Signed: every frame after OK, in both directions, is one of package signed.
	Signed bool
	// Secret is what both ends know, for signed.Keys; zero when there is none (PlainTokens).
	Secret [32]byte
}

// Begin begins an exchange on a connection. tls is nil on a plain one, gate is nil for no limits. It
// allocates nothing before the first Step. An Exchange is 272 bytes, and about 2 KiB more between
// SCRAM's two messages: a session keeps it by pointer and lets go of it after the login.
func (s *Server) Begin(tls Exporter, gate Gate) Exchange {
	return Exchange{server: s, tls: tls, gate: gate}
}
