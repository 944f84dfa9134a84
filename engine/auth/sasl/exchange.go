package sasl

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/scram"

	"weir/engine/auth/accounts"
)

// MaxMessage is the longest message that a client may send, in bytes: a name of 128 bytes with
// every letter escaped, and a nonce of 128, come to 850.
const MaxMessage = 2048

const (
	maxNonce = 128 // of the client
	maxAsks  = 2   // AUTH without a mechanism
)

// Exchange is one login. Not for concurrent use; on a loop, that loop's goroutine only.
type Exchange struct {
	server *Server
	tls    Exporter
	gate   Gate
	asks   uint8
	asked  bool   // the TLS connection for binding
	bind   []byte // tls-exporter's value, nil for none
	state  state
	scram  *scramming // nil but between SCRAM's two messages
	name   string
	result Result
}

type state uint8

const (
	opening state = iota
	proving
	failed
	passed
)

// scramming is what is kept while the client computes its proof, about 1 KiB.
type scramming struct {
	conv     *scram.ServerConversation
	verifier accounts.Verifier
	may      bool
	username string // as it was sent
	bare     string // client-first-message-bare
	first    string // server-first-message
	signed   bool
	plus     bool
}

// Step takes the client's next message, without its line end or frame header, and returns what is
// to be sent to it, on success and on failure. done says that no further message is taken; then a
// nil err is a login, which Result has, and else it is a Failure, after which the connection is
// best closed. in is not kept, out is the caller's.
func (x *Exchange) Step(in []byte) (out []byte, done bool, err error) {
	out, f := x.step(in)
	if f != 0 {
		x.state, x.scram, x.result = failed, nil, Result{}
		return append([]byte("ERR "), f.Error()...), true, f
	}
	return out, x.state == passed, nil
}

// Result returns who has logged in, and false when nobody has.
func (x *Exchange) Result() (Result, bool) { return x.result, x.state == passed }

// Name is the account that the client wants to log in as, fit for a log line; "" as long as it is
// not known, after TOKEN has failed, and for what can be no name. Until Step has returned done it
// is a claim.
func (x *Exchange) Name() string { return x.name }

func (x *Exchange) step(in []byte) ([]byte, Failure) {
	if len(in) > MaxMessage {
		return nil, BadMessage
	}
	verb, rest, more := strings.Cut(string(in), " ")
	switch {
	case x.state == opening && verb == "AUTH" && !more:
		if x.asks == maxAsks {
			return nil, BadMessage
		}
		x.asks++
		return x.mechanisms(), 0
	case x.state == opening && verb == "AUTH":
		mechanism, data, _ := strings.Cut(rest, " ")
		msg, ok := decode(data)
		switch {
		case !x.offers(mechanism):
			return nil, NotOffered
		case !ok:
			return nil, BadMessage
		case mechanism == Token:
			return x.token(msg)
		}
		return x.first(msg, mechanism == ScramPlus)
	case x.state == proving && verb == "+":
		msg, ok := decode(rest)
		if !ok {
			return nil, BadMessage
		}
		return x.final(msg)
	}
	return nil, BadMessage
}

func (x *Exchange) mechanisms() []byte {
	out := []byte("MECHANISMS")
	for _, m := range []string{ScramPlus, Scram, Token} {
		if x.offers(m) {
			out = append(append(out, ' '), m...)
		}
	}
	return out
}

func (x *Exchange) offers(mechanism string) bool {
	switch cfg := &x.server.cfg; mechanism {
	case ScramPlus:
		return x.binding() != nil
	case Scram:
		return !cfg.RequireBinding
	case Token:
		return x.tls != nil || cfg.PlainTokens
	}
	return false
}

// binding is the connection's tls-exporter value (RFC 9266), nil for none. The context is empty,
// not absent: TLS 1.2 tells them apart, and the RFC wants this one. It fails where TLS 1.2 lacks
// the extended master secret: there two connections may have one value.
func (x *Exchange) binding() []byte {
	if !x.asked && x.tls != nil {
		if b, err := x.tls.ExportKeyingMaterial(BindingExporter, []byte{}, 32); err == nil {
			x.bind = b
		}
	}
	x.asked = true
	return x.bind
}

// BindingExporter is the label of TLS's exporter for tls-exporter.
const BindingExporter = "EXPORTER-Channel-Binding"

// decode reads base64 that is written in the one way that there is: what has several is what an
// attacker may alter unnoticed. The text inside is UTF-8 without control characters.
func decode(data string) (string, bool) {
	if data == "" || strings.ContainsAny(data, "\r\n") { // which package base64 skips
		return "", false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(data)
	if err != nil || !utf8.Valid(b) {
		return "", false
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return "", false
		}
	}
	return string(b), true
}

func encode(verb, data string) []byte {
	return base64.StdEncoding.AppendEncode(append([]byte(verb), ' '), []byte(data))
}

// signing reads the extension that asks for signed frames.
func (x *Exchange) signing(extensions []string) (signed bool, f Failure) {
	for _, e := range extensions {
		if strings.HasPrefix(e, "f=") {
			if e != "f=signed" || signed {
				return false, BadMessage
			}
			signed = true
		}
	}
	switch {
	case signed && x.server.cfg.Signing == SigningOff:
		return signed, NoSigning
	case !signed && x.server.cfg.Signing == SigningRequired:
		return signed, NeedsSigning
	}
	return signed, 0
}

// first takes SCRAM's client-first-message.
func (x *Exchange) first(msg string, plus bool) ([]byte, Failure) {
	// gs2-cbind-flag "," [authzid] "," username "," nonce {"," extension}
	f := strings.Split(msg, ",")
	if len(f) < 4 || (f[0] == "p=tls-exporter") != plus || !plus && f[0] != "n" && f[0] != "y" {
		return nil, BadMessage
	}
	if nonce, ok := strings.CutPrefix(f[3], "r="); !ok || !isNonce(nonce) {
		return nil, BadMessage
	}
	if f[1] != "" && f[1] != "a="+strings.TrimPrefix(f[2], "n=") { // to act as another is not offered
		return nil, BadMessage
	}
	for _, e := range f[4:] {
		if len(e) < 2 || e[1] != '=' || e[0] == 'm' || // RFC 5802, section 5.1: "m" fails wherever it is
			!(e[0]|0x20 >= 'a' && e[0]|0x20 <= 'z') {
			return nil, BadMessage
		}
	}
	signed, fail := x.signing(f[4:])
	if fail != 0 {
		return nil, fail
	}
	if f[0] == "y" && x.binding() != nil {
		return nil, Downgraded // the library sees it too, but says so in words only
	}
	s := &scramming{signed: signed, plus: plus, bare: strings.Join(f[2:], ",")}
	server, err := scram.SHA256.NewServer(func(name string) (scram.StoredCredentials, error) {
		s.username = name
		s.verifier, s.may = x.server.cfg.Accounts().Verifier(name)
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(s.verifier.Salt[:]), Iters: s.verifier.Iterations},
			StoredKey:  s.verifier.StoredKey[:], ServerKey: s.verifier.ServerKey[:],
		}, nil
	})
	if err != nil {
		return nil, BadMessage
	}
	if x.server.nonce != nil {
		server.WithNonceGenerator(x.server.nonce)
	}
	cb := scram.ChannelBinding{Type: scram.ChannelBindingTLSExporter, Data: x.binding()}
	switch {
	case plus:
		s.conv = server.NewConversationWithChannelBindingRequired(cb)
	case cb.Data != nil:
		s.conv = server.NewConversationWithChannelBinding(cb)
	default:
		s.conv = server.NewConversation()
	}
	if s.first, err = s.conv.Step(msg); err != nil {
		return nil, BadMessage
	}
	if name, err := accounts.PrepareName(s.username); err == nil {
		x.name = name
	}
	if x.gate != nil && !x.gate.May(x.name) {
		return nil, TooMany
	}
	x.scram, x.state = s, proving
	return encode("+", s.first), 0
}

// isNonce is RFC 5802's printable without comma, which has been cut off, within bounds.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != "" && len(s) <= maxNonce
}

// final takes SCRAM's client-final-message.
func (x *Exchange) final(msg string) ([]byte, Failure) {
	s := x.scram
	at := strings.LastIndex(msg, ",p=")
	if at < 0 || strings.Contains(msg, ",m=") {
		return nil, BadMessage
	}
	proof, err := base64.StdEncoding.Strict().DecodeString(msg[at+3:])
	if err != nil || len(proof) != sha256.Size {
		return nil, BadMessage
	}
	verify, err := s.conv.Step(msg)
	if err != nil || !s.conv.Valid() || !s.may {
		return nil, Denied
	}
	login, still := x.server.cfg.Accounts().Still(s.username, &s.verifier)
	if !still {
		return nil, Denied
	}
	mechanism := Scram
	if s.plus {
		mechanism = ScramPlus
	}
	x.pass(Result{Login: login, Mechanism: mechanism, Signed: s.signed, Secret: Secret(s.verifier.StoredKey, proof, s.bare+","+s.first+","+msg[:at])})
	return encode("OK", verify), 0
}

// Secret is the session's secret after SCRAM; see the package's comment. proof is the 32 bytes of
// ClientProof. It is exported for clients, which have StoredKey too. Any goroutine.
func Secret(storedKey [sha256.Size]byte, proof []byte, authMessage string) (secret [32]byte) {
	h := hmac.New(sha256.New, storedKey[:])
	h.Write([]byte(authMessage))
	clientKey := h.Sum(nil)
	for i := range clientKey {
		clientKey[i] ^= proof[i]
	}
	ikm := append(append([]byte("weir session key v1"), clientKey...), authMessage...)
	b, err := hkdf.Extract(sha256.New, ikm, storedKey[:])
	if err != nil {
		panic("sasl: " + err.Error()) // only of a hash that FIPS 140 does not allow
	}
	copy(secret[:], b)
	return secret
}

// token takes TOKEN's only message.
func (x *Exchange) token(msg string) ([]byte, Failure) {
	shown, extensions, _ := strings.Cut(msg, ",")
	if extensions != "" && extensions != "f=signed" || strings.HasSuffix(msg, ",") {
		return nil, BadMessage
	}
	signed, f := x.signing([]string{extensions})
	switch {
	case f != 0:
		return nil, f
	case signed && x.tls == nil:
		return nil, NeedsTLS
	}
	// One that is right costs no attempt: nobody guesses 256 bits, and neighbours who fail must not keep
	// its owner out.
	login, ok := x.server.cfg.Accounts().Token([]byte(shown), x.server.cfg.Now())
	switch {
	case ok:
	case x.gate != nil && !x.gate.May(""):
		return nil, TooMany
	default:
		return nil, Denied
	}
	r := Result{Login: login, Mechanism: Token, Signed: signed}
	if x.tls != nil {
		hash := sha256.Sum256([]byte(shown))
		b, err := x.tls.ExportKeyingMaterial(TokenExporter, hash[:], len(r.Secret))
		if err != nil && signed {
			return nil, NeedsTLS // TLS 1.2 without extended master secret
		}
		copy(r.Secret[:], b)
	}
	x.name = login.Account
	x.pass(r)
	return []byte("OK"), 0
}

// TokenExporter is the label of TLS's exporter for the session's secret after TOKEN.
const TokenExporter = "EXPORTER-weir-session-v1"

func (x *Exchange) pass(r Result) {
	if x.gate != nil && r.Mechanism != Token {
		x.gate.Passed(r.Account)
	}
	x.result, x.state, x.scram = r, passed, nil
}
