package main

import (
	"slices"

	"weir/internal/say"
	"weir/internal/scheme"
)

// lack is something that flags do nothing without. What would do nothing is refused: whoever gives it believes
// that it does.
type lack struct {
	flag, value string // what has to be given: -flag, or flag=value as a parameter
	says        string // what is the matter, for "says -flag; give it, or leave this out"
	whole       string // instead, all that is said of a flag
	rows        []string

	// One of them: whether a listener has it, or the process.
	at func(*listener) bool
	of func(*settings) bool
}

// lacks is the table. A test holds every flag whose row has a when to it. -users is not in it: -check tells of accounts
// that nobody is asked for.
var lacks = []lack{
	{flag: "files", value: "DIRECTORY", says: "nothing is served without ",
		rows: []string{"index", "list", "max-age"},
		at:   func(l *listener) bool { return l.speaksFiles() && l.limits.files != "" }},
	{flag: "files", value: "DIRECTORY", says: "nothing is served without ",
		rows: []string{"dotfiles"}, at: (*listener).servesFiles},
	{flag: "files", value: "DIRECTORY", says: "nothing is sent over https without ",
		rows: []string{"hsts"}, at: func(l *listener) bool { return l.servesFiles() && l.can(scheme.HTTP|scheme.TLS) }},
	{flag: "uploads", value: "DIRECTORY", says: "nothing is stored without ",
		rows: []string{"overwrite", "max-upload", "upload-quota", "upload-floor", "source-upload-rate", "source-upload-burst", "max-uploads"},
		at:   (*listener).takesUploads},
	{flag: "auth", value: "required", says: "nobody is asked who they are without ",
		rows: []string{"scope", "auth-timeout", "sign", "auth-bind", "auth-plain",
			"auth-source-rate", "auth-source-burst", "auth-pair-rate", "auth-pair-burst", "auth-account-rate", "auth-account-burst"},
		at: (*listener).asks},
	{flag: "auth", whole: "only http:// and https:// listeners ask when it is optional; give auth=required, or leave this out",
		rows: []string{"auth"}, at: (*listener).asks},
	{flag: "to", value: "HOST:PORT", says: "nothing is relayed without ",
		rows: []string{"balance", "connect-timeout", "proxy-to", "to-tls", "resolve-interval", "health", "health-fall", "half-close-timeout",
			"max-idle", "upstream-idle", "upstream-timeout"},
		at: (*listener).relays},
	{flag: "to-tls", value: "true", says: "servers are not spoken to by TLS without ",
		rows: []string{"to-ca", "to-name", "to-cert", "to-key", "to-insecure"},
		at:   func(l *listener) bool { return l.relays() && l.limits.relay.tls.on }},
	{flag: "health", value: "tcp", says: "no server's health is checked without ",
		rows: []string{"health-interval", "health-rise"},
		at:   func(l *listener) bool { return l.relays() && l.limits.relay.health != "off" }},
	{flag: "health", value: "http", says: "nothing is asked for without ", whole: "nothing is asked for without -health http; give it, or leave this out",
		rows: []string{"health-path"},
		at:   func(l *listener) bool { return l.relays() && l.limits.relay.health == "http" }},
	{flag: "to", value: bySNI, says: "no name stands for its server without ", whole: "no name stands for its server without to=sni; give it, or leave this out",
		rows: []string{"names", "sni-port", "sni-private"},
		at:   func(l *listener) bool { return slices.Contains(l.limits.relay.to, bySNI) }},
	{flag: "proxy-from", value: "CIDR", says: "no PROXY header is read without ",
		rows: []string{"proxy-timeout"}, at: func(l *listener) bool { return len(l.proxies()) > 0 }},
	{flag: "listen", whole: "no listener speaks TLS; add one, such as -listen https://:8443",
		rows: []string{"cert", "acme-domain", "tls-self-signed", "tls-client-ca", "tls-client-auth", "tls-min", "sni-strict",
			"handshake-timeout", "source-handshake-rate", "source-handshake-burst", "max-handshakes", "handshake-queue"},
		at: (*listener).isTLS},
	atRate("source-conn-rate", "source-conn-burst", func(l *limits) int { return l.SourceConnRate }),
	atRate("source-frame-rate", "source-frame-burst", func(l *limits) int { return l.SourceFrameRate }),
	atRate("source-byte-rate", "source-byte-burst", func(l *limits) int { return l.SourceByteRate }),
	atRate("conn-frame-rate", "conn-frame-burst", func(l *limits) int { return l.ConnFrameRate }),
	atRate("conn-byte-rate", "conn-byte-burst", func(l *limits) int { return l.ConnByteRate }),
	{flag: "acme-domain", says: "nothing is obtained without ",
		rows: []string{"acme-email", "acme-directory", "acme-ca", "acme-cache"},
		of:   func(s *settings) bool { return len(s.acme.Domains) > 0 }},
	{flag: "alert-url", says: "nobody is told without ",
		rows: []string{"alert-rule", "alert-secret-file"},
		of:   func(s *settings) bool { return len(s.alerts.urls) > 0 }},
	{flag: "log-to", says: "nothing is logged to a file without ", whole: "nothing is logged to a file without -log-to file:PATH; give it, or leave this out",
		rows: []string{"log-max-size", "log-keep"}, of: (*settings).logsToFile},
}

// atRate is a rate without which there is no burst.
func atRate(rate, burst string, of func(*limits) int) lack {
	return lack{flag: rate, value: "NUMBER", says: "there is no limit to burst above without ", rows: []string{burst},
		at: func(l *listener) bool { return of(&l.limits) > 0 }}
}

// lacksOf is what a flag does nothing without, nil when there is nothing of the kind.
func lacksOf(name string) *lack {
	i := slices.IndexFunc(lacks, func(n lack) bool { return slices.Contains(n.rows, name) })
	if i < 0 {
		return nil
	}
	return &lacks[i]
}

// has reports whether a row does something with these settings.
func (n *lack) has(s *settings, r *row) bool {
	if n.of != nil {
		return n.of(s)
	}
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return r.fits(l.scheme) && n.at(&l) })
}

// checkEffects refuses what would do nothing: flags that no listener is for or has the use of, and parameters of
// listeners that do not do what they are about. A value that holds anyway is let be: what -print-config writes names
// all defaults, and can be read again.
func (s *settings) checkEffects(g given) (wrong error) {
	for i := range s.listeners {
		l := &s.listeners[i]
		for _, name := range l.params {
			r, n := rowNamed(name), lacksOf(name)
			if n == nil || n.at == nil || n.flag == name || n.at(l) {
				continue
			}
			if mine := r.inWords(r.limit(&l.limits)); mine != r.usual() || mine != r.inWords(r.limit(&s.limits)) {
				return say.Wrong(g.where("listen")+" "+say.Shown(l.text)+": "+name, mine, n.says+n.flag+"="+n.value+"; give it, or leave this out")
			}
		}
	}
	eachRow(func(r *row) {
		n := lacksOf(r.name)
		switch {
		case wrong != nil || !s.asksFor(g, r):
		case n != nil && n.whole != "" && !n.has(s, r):
			wrong = say.Usage(g.where(r.name) + ": " + n.whole)
		case r.needs != 0 && !slices.ContainsFunc(s.listeners, func(l listener) bool { return r.fits(l.scheme) }):
			wrong = say.Usage(g.where(r.name) + ": it is for " + listenersOf(scheme.Names(r.needs, 0)) + " only, and there is none; add one, or leave this out")
		case n != nil && !n.has(s, r):
			wrong = say.Usage(g.where(r.name) + ": " + n.says + "-" + n.flag + "; give it, or leave this out")
		}
	})
	return wrong
}

// usual is what holds when a flag is not given, in one line, but for what depends on the machine.
func (r *row) usual() string {
	if r.name == "tls-client-auth" {
		return "off" // as it is without -tls-client-ca
	}
	var s settings
	if r.value != "" {
		for _, v := range r.pieces(r.value) {
			r.mustStore(r.field(&s), v)
		}
	}
	return r.inWords(r.field(&s))
}

// asksFor reports whether a flag was given, and otherwise than it would be anyway.
func (s *settings) asksFor(g given, r *row) bool {
	_, ok := g[r.name]
	return ok && r.inWords(r.field(s)) != r.usual() && (s.profile != "bench" || r.bench == "")
}
