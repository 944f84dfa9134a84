package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	static "weir/engine/service/files"
	"weir/engine/service/relay"
	"weir/guard/bucket"
	"weir/guard/budget"
	"weir/internal/acme"
	"weir/internal/alerts"
	"weir/internal/posture"
	"weir/internal/say"
	"weir/internal/scheme"
)

// The greatest values that more than one flag shares. Those of the guard are its own; a test holds
// the others against what the guard and the engine refuse.
const (
	maxConns    = 1 << 24 // the guard's table of exact counts ends here
	maxHeld     = 1 << 30 // bytes of one frame or of one connection's output
	maxHeadSize = 1 << 20 // bytes of one request head
	maxTimeout  = 24 * time.Hour
	maxLifetime = 365 * 24 * time.Hour
)

// Under -profile bench rates are as high as the guard counts: each check still runs, and no machine
// makes one of them bite.
const (
	benchRate     = "1000000000"
	benchByteRate = "10GiB"
	benchConns    = "max-conns" // as many as the process takes
	benchTwice    = "2 x max-conns"
)

// group is a heading of -help and of docs/operations.md with its flags.
type group struct {
	title string
	rows  []row
}

// flags is the table, in the order of -help. Rows with a limit are query parameters of -listen too.
// Every row is also an environment variable, WEIR_ and the name in upper case with underscores,
// and a line "name value" of the -config file.
var flags = []group{
	{"Listening", []row{
		{name: "listen", kind: listURLs, value: "http://127.0.0.1:8080 frames://127.0.0.1:7000",
			setting: func(s *settings) any { return &s.listen },
			help:    "An address to serve: SCHEME://HOST:PORT or SCHEME://unix:/PATH. SCHEME is " + say.OneOf(scheme.Names(scheme.Plain, 0)) + ", or with TLS " + say.OneOf(scheme.Names(scheme.TLS, 0)) + "; " + scheme.Passthrough + " relays TLS without taking it off. HOST is an IPv4 address, an [IPv6] address, localhost, or empty for all addresses. Parameters override limits for this listener: http://:80?source-conns=10&idle-timeout=5s; name=WORD names it in logs and metrics. May be given several times"},
		{name: "admin", kind: text, unit: "ADDRESS", value: "127.0.0.1:9090", check: checkAdmin,
			setting: func(s *settings) any { return &s.admin },
			help:    "HOST:PORT of metrics, health and profiles, or off. Whoever reaches it can profile the process: keep it private"},
		{name: "proxy-from", kind: prefixes, off: true,
			limit: func(l *limits) any { return &l.proxyFrom },
			help:  "A network whose connections begin with a PROXY protocol header, version 1 or 2; the address in it is then the source. A header from anybody else is refused, and so is a connection from here without one. May be given several times, as a parameter too: ?proxy-from=A&proxy-from=B; off is none"},
		{name: "defer-accept", kind: duration, value: "0", min: int64(time.Second), max: int64(time.Minute), zero: "off",
			limit: func(l *limits) any { return &l.deferAccept },
			help:  "Keep connections that send nothing in the kernel for about this long, whole seconds. Silent connections then cost nothing, and do not count against their source"},
	}},
	{"Connections", []row{
		{name: "max-conns", kind: count, value: "0", auto: "the descriptor limit less fd-reserve, at most 1048576", min: 1, max: maxConns, zero: "as many as there are descriptors",
			setting: func(s *settings) any { return &s.engine.Guard.MaxConns },
			limit:   func(l *limits) any { return &l.MaxConns },
			help:    "Open connections in all; as a parameter, of one listener, where 0 is no limit"},
		{name: "max-unproven", kind: count, value: "0", auto: "half of max-conns, at least 128", bench: benchTwice, min: 1, max: 2 * maxConns, zero: "automatic",
			setting: func(s *settings) any { return &s.engine.Guard.MaxUnproven },
			help:    "Open connections in all that have not completed a first frame; with TLS, the handshake included. From half of it on newcomers are turned away at random, but for a source's only one; when it is reached the oldest makes room"},
		{name: "fd-reserve", kind: count, value: "0", auto: "64 and what loops and listeners need", min: 1, max: 1 << 20, zero: "automatic",
			setting: func(s *settings) any { return &s.engine.FDReserve },
			help:    "File descriptors kept for everything but clients"},
		{name: "conn-rate", kind: rate, value: "0", max: bucket.MaxRate / 2, zero: "no limit",
			setting: func(s *settings) any { return &s.engine.Guard.ConnRate },
			help:    "New connections of all sources together, with a burst of two seconds' worth"},
		{name: "source-conns", kind: count, value: "256", bench: benchConns, max: maxConns, zero: "no limit",
			limit: func(l *limits) any { return &l.SourceConns },
			help:  "Open connections of one source; wider networks have larger shares"},
		{name: "source-conn-rate", kind: rate, value: "50", bench: benchRate, max: bucket.MaxRate, zero: "no limit",
			limit: func(l *limits) any { return &l.SourceConnRate },
			help:  "New connections of one source"},
		{name: "source-conn-burst", kind: count, value: "100", bench: benchRate, max: bucket.MaxBurst, zero: "one second's worth",
			limit: func(l *limits) any { return &l.SourceConnBurst },
			help:  "New connections that one source may make at once"},
		{name: "source-unproven", kind: count, value: "128", bench: benchConns, max: maxConns, zero: "no limit",
			limit: func(l *limits) any { return &l.SourceUnproven },
			help:  "Open connections of one source that have not completed a first frame; wider networks have larger shares"},
		{name: "source-handshake-rate", kind: rate, value: "10", bench: benchRate, max: bucket.MaxRate, zero: "no limit", needs: scheme.TLS, when: (*settings).hasTLS,
			limit: func(l *limits) any { return &l.SourceHandshakeRate },
			help:  "TLS handshakes that one source may begin; asked before any key is computed"},
		{name: "source-handshake-burst", kind: count, value: "50", bench: benchRate, max: bucket.MaxBurst, zero: "one second's worth", needs: scheme.TLS, when: (*settings).hasTLS,
			limit: func(l *limits) any { return &l.SourceHandshakeBurst },
			help:  "TLS handshakes that one source may begin at once"},
	}},
	{"TLS", []row{
		{name: "cert", kind: files,
			setting: func(s *settings) any { return &s.certs },
			help:    "A PEM file with a certificate and its chain, the certificate first. May be given several times, each with a -key, and then the name that a client asks for picks one; the first is for all other names. In one value commas stand between several. The files are read again when they change, and on SIGHUP"},
		{name: "key", kind: files,
			setting: func(s *settings) any { return &s.keys },
			help:    "The PEM file with the private key of the -cert in the same place"},
		{name: "tls-self-signed", kind: toggle, value: "false", setting: func(s *settings) any { return &s.selfSigned },
			help: "Make a certificate at each start, for trials: for localhost and this machine's name, in memory only. Its fingerprint is printed"},
		{name: "tls-min", kind: word, value: "1.2", words: []string{"1.2", "1.3"}, needs: scheme.TLS, when: (*settings).hasTLS,
			limit: func(l *limits) any { return &l.tlsMin },
			help:  "Least version of TLS that is spoken"},
		{name: "tls-client-ca", kind: text, unit: "FILE", check: checkPath,
			setting: func(s *settings) any { return &s.clientCA },
			help:    "A PEM file with the roots that client certificates are checked against. When it changes, or on SIGHUP, it is read again, and then no session is resumed that began under the old one"},
		{name: "tls-client-auth", kind: word, auto: "required with tls-client-ca, else off", words: []string{"off", "optional", "required"}, needs: scheme.TLS, when: (*settings).hasTLS,
			limit: func(l *limits) any { return &l.clientAuth },
			help:  "Whether clients need a certificate; one that is shown must be good either way, but with off nobody asks"},
		{name: "sni-strict", kind: toggle, value: "false", setting: func(s *settings) any { return &s.sniStrict },
			help: "Turn away clients that ask for a name that no certificate has, or for none, as those do that connect to an IP address"},
		{name: "max-handshakes", kind: count, value: "2048", min: 1, max: 1 << 20, needs: scheme.TLS, when: (*settings).hasTLS,
			setting: func(s *settings) any { return &s.engine.MaxHandshakes },
			help:    "TLS handshakes under way, about 28 KiB each and twice what the client sends; above, the one that has waited longest for its peer makes room"},
		{name: "handshake-queue", kind: count, value: "512", min: 1, max: 1 << 20, needs: scheme.TLS, when: (*settings).hasTLS,
			setting: func(s *settings) any { return &s.engine.HandshakeQueue },
			help:    "New TLS handshakes that may wait for a worker; more are shed. 512 are about an eighth of a second of one worker"},
		{name: "handshake-workers", kind: count, value: "0", auto: "one for two CPUs", min: 1, max: 256, zero: "automatic",
			setting: func(s *settings) any { return &s.engine.HandshakeWorkers },
			help:    "Goroutines that compute TLS handshakes"},
	}},
	{"ACME", []row{
		{name: "acme-domain", kind: names, unit: "NAME", check: acme.CheckDomain,
			setting: func(s *settings) any { return &s.acme.Domains },
			help:    "A domain to obtain a certificate for, by TLS-ALPN-01: the CA connects to port 443 of the domain, where a TLS listener of this server must answer. By giving it you agree to the terms of the CA, which are logged when the account is made. May be given several times"},
		{name: "acme-email", kind: text, unit: "ADDRESS", check: acme.CheckEmail,
			setting: func(s *settings) any { return &s.acme.Email },
			help:    "An address that the CA may write to, told when the account is made; not needed"},
		{name: "acme-directory", kind: text, unit: "URL", value: acme.LetsEncrypt, check: acme.CheckDirectory,
			setting: func(s *settings) any { return &s.acme.Directory },
			help:    "The directory of the CA"},
		{name: "acme-ca", kind: text, unit: "FILE", auto: "the system's", check: checkPath,
			setting: func(s *settings) any { return &s.acme.CAFile },
			help:    "A PEM file with the roots that the directory's own certificate is checked against, for a private CA"},
		{name: "acme-cache", kind: text, unit: "DIRECTORY", value: "/var/lib/weir/acme", check: checkPath,
			setting: func(s *settings) any { return &s.acme.Cache },
			help:    "Where keys and certificates are kept, for their owner only: one that is open to others is refused"},
	}},
	{"Files", []row{
		{name: "files", kind: text, unit: "DIRECTORY", check: checkDirectory, needs: scheme.Files,
			limit: func(l *limits) any { return &l.files },
			help:  "Serve the files below this directory, and nothing outside of it. As a flag it is for http:// and https:// listeners; frames:// listeners serve files when it is their parameter. Names that begin with a dot are hidden, but for /.well-known/; compressed siblings (.br, .zst, .gz) are sent to who takes them"},
		{name: "index", kind: text, unit: "NAME", value: "index.html", check: checkIndex, needs: scheme.HTTP, when: (*settings).hasFiles,
			limit: func(l *limits) any { return &l.index },
			help:  "The file that answers for its directory; off is none"},
		{name: "list", kind: toggle, value: "false", needs: scheme.HTTP, when: (*settings).hasFiles,
			limit: func(l *limits) any { return &l.list },
			help:  "Show the names in directories that have no index"},
		{name: "dotfiles", kind: toggle, value: "false", needs: scheme.Files, when: (*settings).hasFiles,
			limit: func(l *limits) any { return &l.dotFiles },
			help:  "Serve, and store, names that begin with a dot as well"},
		{name: "max-age", kind: duration, value: "0", min: int64(time.Second), max: int64(maxLifetime), zero: "ask each time", needs: scheme.HTTP, when: (*settings).hasFiles,
			limit: func(l *limits) any { return &l.maxAge },
			help:  "How long clients may use a file again without asking whether it has changed, whole seconds"},
		{name: "max-open-files", kind: count, value: "0", auto: "1024, at most an eighth of the descriptor limit", min: 16, max: 1 << 20, zero: "automatic", when: (*settings).hasFiles,
			setting: func(s *settings) any { return &s.maxOpenFiles },
			help:    "Files that are open at once, those being sent included; each loop has an equal share. They are added to fd-reserve unless that is given. With more different files under way than this, further ones are answered 503"},
	}},
	{"Uploads", []row{
		{name: "uploads", kind: text, unit: "DIRECTORY", check: checkDirectory, needs: scheme.Files,
			limit: func(l *limits) any { return &l.up.dir },
			help:  "Store what clients PUT below this directory, which may be that of files. As a flag it is for http:// and https:// listeners; frames:// listeners take uploads when it is their parameter. Whoever reaches the listener can store: put it behind auth, tls-client-auth or a private address"},
		{name: "overwrite", kind: toggle, value: "false", needs: scheme.Files, when: (*settings).hasUploads,
			limit: func(l *limits) any { return &l.up.overwrite },
			help:  "Replace files that are there. Without it their names are taken"},
		{name: "max-upload", kind: size, value: "64MiB", max: 1 << 50, zero: "no limit", needs: scheme.Files, when: (*settings).hasUploads,
			limit: func(l *limits) any { return &l.up.max },
			help:  "Largest upload. It is refused by its announced length, before a byte of it is read"},
		{name: "upload-quota", kind: size, value: "10GiB", max: 1 << 60, zero: "no limit", needs: scheme.Files, when: (*settings).hasUploads,
			limit: func(l *limits) any { return &l.up.quota },
			help:  "Bytes of all files below the directory, 4 KiB at least for each; those that are there at start are counted"},
		{name: "upload-floor", kind: size, value: "256MiB", max: 1 << 60, zero: "none", needs: scheme.Files, when: (*settings).hasUploads,
			limit: func(l *limits) any { return &l.up.floor },
			help:  "Bytes that stay free on the file system"},
		{name: "source-upload-rate", kind: byteRate, value: "1MiB", bench: benchByteRate, max: bucket.MaxByteRate, zero: "no limit", needs: scheme.Files, when: (*settings).hasUploads,
			limit: func(l *limits) any { return &l.up.rate },
			help:  "Bytes a second that one source may store, over all its connections and listeners with the same value. The announced length is taken at once, and not given back when the upload fails"},
		{name: "source-upload-burst", kind: size, value: "1GiB", bench: benchByteRate, max: bucket.MaxByteBurst, zero: "one second's worth", needs: scheme.Files, when: (*settings).hasUploads,
			limit: func(l *limits) any { return &l.up.burst },
			help:  "Bytes that one source may store at once; at least max-upload"},
		{name: "max-uploads", kind: count, value: "64", min: 1, max: 1 << 16, when: (*settings).hasUploads,
			setting: func(s *settings) any { return &s.maxUploads },
			help:    "Uploads under way at once, of all listeners; one source may have a quarter of them. Each takes two descriptors, which are added to fd-reserve unless that is given, and up to 192 KiB"},
	}},
	{"Relaying", []row{
		{name: "to", kind: names, unit: "ADDRESS", check: checkTo, needs: scheme.Relays,
			limit: func(l *limits) any { return &l.relay.to },
			help:  "A server to relay to, HOST:PORT or unix:/PATH; HOST may be a name, which stands for all its addresses. " + listenersOf(scheme.Names(scheme.Plain|scheme.RelaysOnly, 0)) + " need one; " + listenersOf(scheme.Names(scheme.Plain|scheme.Relays, scheme.RelaysOnly)) + " relay when they have one, instead of what they do else. May be given several times, or with commas between: ?to=A:1,B:2. tls-passthrough:// chooses by the name that a client asks for: NAME=ADDRESS is for NAME, or for all names below *.NAME, ADDRESS alone for all others, and sni for those of -names"},
		{name: "names", kind: names, unit: "NAME", check: checkRouteName, needs: scheme.ByName, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.names },
			help:  "A name, or *.NAME for all below it, that with to=sni stands for its server itself and is looked up. May be given several times, or with commas between"},
		{name: "sni-port", kind: count, value: "0", auto: "the listener's own", min: 1, max: 65535, zero: "the listener's own", needs: scheme.ByName, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.sniPort },
			help:  "The port of the servers of to=sni"},
		{name: "sni-private", kind: toggle, value: "false", needs: scheme.ByName, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.sniPrivate },
			help:  "Let the names of to=sni lead to private, loopback and link-local addresses too: whoever controls what a name is found to be then reaches this network"},
		{name: "balance", kind: word, value: "roundrobin", words: []string{"roundrobin", "leastconn"}, needs: scheme.Relays, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.balance },
			help:  "Which of several servers a client is given to: one after the other, or the one with the fewest connections"},
		{name: "connect-timeout", kind: duration, value: "3s", max: int64(maxTimeout), zero: "the most there can be", zeroIs: int64(maxTimeout), needs: scheme.Relays, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.connectTimeout },
			help:  "Time for connecting to a server. After a failure up to two others are tried; the client waits in the kernel meanwhile, and no deadline of its runs"},
		{name: "proxy-to", kind: word, value: "off", words: []string{"off", "v1", "v2"}, needs: scheme.Relays, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.proxyTo },
			help:  "Begin each connection to a server with a PROXY protocol header of this version, which names the client"},
		{name: "to-tls", kind: toggle, value: "false", needs: scheme.Relays, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.tls.on },
			help:  "Speak to servers by TLS, 1.2 or later. Their certificates must be for the HOST of to and by a CA that is trusted"},
		{name: "to-ca", kind: text, unit: "FILE", check: checkPath, needs: scheme.Relays, when: (*settings).hasRelayTLS,
			limit: func(l *limits) any { return &l.relay.tls.ca },
			help:  "Certificates of the CAs, in PEM, that servers' certificates must be by. Without it the system's are trusted"},
		{name: "to-name", kind: text, unit: "NAME", check: relay.CheckName, needs: scheme.Relays, when: (*settings).hasRelayTLS,
			limit: func(l *limits) any { return &l.relay.tls.name },
			help:  "The name that servers' certificates must be for, and that is asked for by SNI, instead of the HOST of to"},
		{name: "to-cert", kind: text, unit: "FILE", check: checkPath, needs: scheme.Relays, when: (*settings).hasRelayTLS,
			limit: func(l *limits) any { return &l.relay.tls.cert },
			help:  "A certificate to show to servers that ask for one, with its chain, in PEM"},
		{name: "to-key", kind: text, unit: "FILE", check: checkPath, needs: scheme.Relays, when: (*settings).hasRelayTLS,
			limit: func(l *limits) any { return &l.relay.tls.key },
			help:  "The private key of to-cert, in PEM"},
		{name: "to-insecure", kind: toggle, value: "false", needs: scheme.Relays, when: (*settings).hasRelayTLS,
			limit: func(l *limits) any { return &l.relay.tls.insecure },
			help:  "Take any certificate of a server: anybody on the way can then read and change what is relayed"},
		{name: "max-idle", kind: count, value: "512", max: 1 << 20, zero: "none", needs: scheme.HTTP, when: (*settings).hasHTTPRelay,
			limit: func(l *limits) any { return &l.relay.maxIdle },
			help:  "Connections to one server that each loop keeps for later HTTP requests. With proxy-to none is kept"},
		{name: "upstream-idle", kind: duration, value: "15s", min: int64(time.Second), max: int64(maxTimeout), needs: scheme.HTTP, when: (*settings).hasHTTPRelay,
			limit: func(l *limits) any { return &l.relay.idle },
			help:  "How long such a connection is kept. Less than the servers' own keep-alive timeout is best: a request that meets the end of its connection is sent again only if it is idempotent and has no body"},
		{name: "upstream-timeout", kind: duration, value: "60s", max: int64(maxTimeout), zero: "no limit", needs: scheme.HTTP, when: (*settings).hasHTTPRelay,
			limit: func(l *limits) any { return &l.relay.silence },
			help:  "How long a server may say nothing after an HTTP request, or in the middle of its answer: then the client is told 504, or cut off"},
		{name: "resolve-interval", kind: duration, value: "30s", min: int64(time.Second), max: int64(maxTimeout), zero: "once a day", zeroIs: int64(maxTimeout), needs: scheme.Relays, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.resolveEvery },
			help:  "How often the names of servers are looked up again"},
		{name: "health", kind: word, value: "off", words: []string{"off", "tcp"}, needs: scheme.Relays, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.health },
			help:  "Whether servers are connected to, by tcp, to see if they are up. Without it clients find out: after health-fall of them have failed in a row a server is left out for a second at a time"},
		{name: "health-interval", kind: duration, value: "2s", min: int64(100 * time.Millisecond), max: int64(maxTimeout), needs: scheme.Relays, when: (*settings).hasHealth,
			limit: func(l *limits) any { return &l.relay.healthEvery },
			help:  "Time between two health checks of a server"},
		{name: "health-rise", kind: count, value: "2", min: 1, max: 1000, needs: scheme.Relays, when: (*settings).hasHealth,
			limit: func(l *limits) any { return &l.relay.healthRise },
			help:  "Health checks in a row that must succeed before a server is up again"},
		{name: "health-fall", kind: count, value: "3", min: 1, max: 1000, needs: scheme.Relays, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.relay.healthFall },
			help:  "Health checks, or clients' attempts to connect, in a row that must fail before a server is down"},
	}},
	{"Authentication", []row{
		{name: "users", kind: text, unit: "FILE", check: checkPath,
			setting: func(s *settings) any { return &s.users },
			help:    "Who may log in: a file that weir user and weir token make. It is read again when it changes, and on SIGHUP"},
		{name: "auth", kind: word, value: "off", words: []string{"off", "optional", "required"}, needs: scheme.Asks,
			limit: func(l *limits) any { return &l.auth.who },
			help:  "Whether who connects must prove who it is: on frames and lines by a login before anything else, on http by Basic, a bearer token, or a client certificate that names an account. optional, on http only, asks where scope has a rule"},
		{name: "scope", kind: names, unit: "RULE", check: checkRule, needs: scheme.Asks,
			limit: func(l *limits) any { return &l.auth.scope },
			help:  "What an account must have: SCOPE, or on http /PREFIX=SCOPE or METHOD:/PREFIX=SCOPE too, where GET stands for HEAD as well. May be given several times; a request must have all that fit it"},
		{name: "auth-timeout", kind: duration, value: "10s", max: int64(maxTimeout), zero: "no limit", needs: scheme.Logins, when: (*settings).hasAuth,
			limit: func(l *limits) any { return &l.AuthTimeout },
			help:  "From accept to the end of a login; first-frame-timeout holds before its first message"},
		{name: "sign", kind: word, value: "optional", words: []string{"off", "optional", "required"}, needs: scheme.Signs, when: (*settings).hasAuth,
			limit: func(l *limits) any { return &l.auth.sign },
			help:  "Whether each frame is signed after a login, so that none can be replayed or altered: when the client asks for it, always, or never"},
		{name: "auth-bind", kind: toggle, value: "false", needs: scheme.Logins | scheme.TLS, when: (*settings).hasAuth,
			limit: func(l *limits) any { return &l.auth.bind },
			help:  "Take passwords only with SCRAM-SHA-256-PLUS, which a man in the middle with a good certificate cannot relay"},
		{name: "auth-plain", kind: toggle, value: "false", needs: scheme.Asks | scheme.Plain, when: (*settings).hasAuth,
			limit: func(l *limits) any { return &l.auth.plain },
			help:  "Take passwords and tokens without TLS from other machines too: where something in front does TLS"},
		{name: "auth-source-rate", kind: count, value: "20", min: 1, max: 1_000_000, when: (*settings).hasAuth,
			setting: func(s *settings) any { return &s.attempts.Source.Tokens },
			help:    "Attempts a minute of one source that may fail, at whatever account"},
		{name: "auth-source-burst", kind: count, value: "20", min: 1, max: 1_000_000, when: (*settings).hasAuth,
			setting: func(s *settings) any { return &s.attempts.Source.Burst },
			help:    "Attempts of one source that may fail at once"},
		{name: "auth-pair-rate", kind: count, value: "2", min: 1, max: 1_000_000, when: (*settings).hasAuth,
			setting: func(s *settings) any { return &s.attempts.Pair.Tokens },
			help:    "Attempts a minute of one source at one account that may fail"},
		{name: "auth-pair-burst", kind: count, value: "5", min: 1, max: 1_000_000, when: (*settings).hasAuth,
			setting: func(s *settings) any { return &s.attempts.Pair.Burst },
			help:    "Attempts of one source at one account that may fail at once"},
		{name: "auth-account-rate", kind: count, value: "6", min: 1, max: 1_000_000, when: (*settings).hasAuth,
			setting: func(s *settings) any { return &s.attempts.Account.Tokens },
			help:    "Attempts a minute at one account that may fail, of all sources together that have not logged in to it of late"},
		{name: "auth-account-burst", kind: count, value: "30", min: 1, max: 1_000_000, when: (*settings).hasAuth,
			setting: func(s *settings) any { return &s.attempts.Account.Burst },
			help:    "Attempts of those that may fail at once"},
	}},
	{"Frames and bytes", []row{
		{name: "source-frame-rate", kind: rate, value: "2000", bench: benchRate, max: bucket.MaxRate, zero: "no limit",
			limit: func(l *limits) any { return &l.SourceFrameRate },
			help:  "Frames, requests or lines of one source over all its connections"},
		{name: "source-frame-burst", kind: count, value: "4000", bench: benchRate, max: bucket.MaxBurst, zero: "one second's worth",
			limit: func(l *limits) any { return &l.SourceFrameBurst },
			help:  "Frames that one source may send at once"},
		{name: "source-byte-rate", kind: byteRate, value: "32MiB", bench: benchByteRate, max: bucket.MaxByteRate, zero: "no limit",
			limit: func(l *limits) any { return &l.SourceByteRate },
			help:  "Bytes of one source over all its connections; above it reading pauses"},
		{name: "source-byte-burst", kind: size, value: "64MiB", bench: benchByteRate, max: bucket.MaxByteBurst, zero: "one second's worth",
			limit: func(l *limits) any { return &l.SourceByteBurst },
			help:  "Bytes that one source may send at once"},
		{name: "conn-frame-rate", kind: rate, value: "0", max: bucket.MaxRate, zero: "no limit",
			limit: func(l *limits) any { return &l.ConnFrameRate },
			help:  "Frames, requests or lines of one connection"},
		{name: "conn-frame-burst", kind: count, value: "0", max: bucket.MaxBurst, zero: "one second's worth",
			limit: func(l *limits) any { return &l.ConnFrameBurst },
			help:  "Frames that one connection may send at once"},
		{name: "max-refusals", kind: count, value: "100", max: 1<<16 - 1, zero: "the first one ends the connection", needs: scheme.HTTP,
			limit: func(l *limits) any { return &l.MaxRefusals },
			help:  "Requests in a row that are refused with 429 before the connection is ended. To end it at once costs more than the answer does, for the server, too: the client only connects again"},
		{name: "conn-byte-rate", kind: byteRate, value: "16MiB", bench: benchByteRate, max: bucket.MaxByteRate, zero: "no limit",
			limit: func(l *limits) any { return &l.ConnByteRate },
			help:  "Bytes of one connection; above it reading pauses"},
		{name: "conn-byte-burst", kind: size, value: "16MiB", bench: benchByteRate, max: bucket.MaxByteBurst, zero: "one second's worth",
			limit: func(l *limits) any { return &l.ConnByteBurst },
			help:  "Bytes that one connection may send at once"},
	}},
	{"Sources", []row{
		{name: "source-table", kind: count, value: "131072", min: 8, max: 1 << 26,
			setting: func(s *settings) any { return &s.engine.Guard.SourceTable },
			help:    "Places in each table of sources, a power of two"},
		{name: "v4-prefix", kind: count, value: "32", min: 8, max: 32,
			setting: func(s *settings) any { return &s.engine.Guard.V4Prefix },
			help:    "Length of the prefix that counts as one IPv4 source"},
		{name: "v6-prefix", kind: count, value: "64", min: 16, max: 64,
			setting: func(s *settings) any { return &s.engine.Guard.V6Prefix },
			help:    "Length of the prefix that counts as one IPv6 source"},
		{name: "exempt", kind: prefixes,
			setting: func(s *settings) any { return &s.engine.Guard.Exempt },
			help:    "A network without per-source limits. May be given several times"},
	}},
	{"Deadlines", []row{
		{name: "proxy-timeout", kind: duration, value: "3s", max: int64(maxTimeout), zero: "no limit", when: (*settings).hasProxy,
			limit: func(l *limits) any { return &l.ProxyTimeout },
			help:  "From accept to a complete PROXY header, where one is due"},
		{name: "handshake-timeout", kind: duration, value: "5s", max: int64(maxTimeout), zero: "no limit", needs: scheme.TLS, when: (*settings).hasTLS,
			limit: func(l *limits) any { return &l.HandshakeTimeout },
			help:  "From accept, or the PROXY header, to the end of the TLS handshake"},
		{name: "first-frame-timeout", kind: duration, value: "5s", max: int64(maxTimeout), zero: "no limit",
			limit: func(l *limits) any { return &l.FirstFrameTimeout },
			help:  "From accept, or the end of the TLS handshake, to the first complete frame or head"},
		{name: "frame-timeout", kind: duration, value: "10s", max: int64(maxTimeout), zero: "no limit",
			limit: func(l *limits) any { return &l.FrameTimeout },
			help:  "From a frame's or head's first byte to its last; a frame may take longer while it arrives at min-rate"},
		{name: "idle-timeout", kind: duration, value: "75s", max: int64(maxTimeout), zero: "no limit",
			limit: func(l *limits) any { return &l.IdleTimeout },
			help:  "Between two frames"},
		{name: "half-close-timeout", kind: duration, value: "30s", max: int64(maxTimeout), zero: "no limit", needs: scheme.Relays, when: (*settings).hasRelay,
			limit: func(l *limits) any { return &l.HalfCloseTimeout },
			help:  "Between two reads of a relayed connection of which one side has finished sending"},
		{name: "write-timeout", kind: duration, value: "30s", max: int64(maxTimeout), zero: "no limit",
			limit: func(l *limits) any { return &l.WriteTimeout },
			help:  "How long a peer that is owed bytes may take none of them"},
		{name: "lifetime", kind: duration, value: "0", max: int64(maxLifetime), zero: "no limit",
			limit: func(l *limits) any { return &l.Lifetime },
			help:  "Greatest age of a connection"},
		{name: "min-rate", kind: byteRate, value: "240", max: budget.MaxRate, zero: "no limit",
			limit: func(l *limits) any { return &l.MinRate },
			help:  "Slowest that a frame or body may arrive, and that a peer may take what it is owed"},
		{name: "min-rate-grace", kind: duration, value: "5s", max: int64(time.Hour), zero: "only with min-rate 0",
			limit: func(l *limits) any { return &l.MinRateGrace },
			help:  "Time before min-rate is asked for, and the longest stall that earlier speed buys"},
		{name: "drain-timeout", kind: duration, value: "10s", max: int64(maxTimeout), zero: "do not wait",
			setting: func(s *settings) any { return &s.engine.DrainTimeout },
			help:    "How long a graceful stop waits for frames in flight"},
	}},
	{"Sizes", []row{
		{name: "max-frame", kind: size, value: "1MiB", min: 1, max: maxHeld, zero: "the most there can be", zeroIs: maxHeld, needs: scheme.Frames,
			limit: func(l *limits) any { return &l.maxFrame },
			help:  "Largest frame of frames:// and frames+tls:// listeners, without its length; largest command of resp and packet of mqtt"},
		{name: "max-line", kind: size, value: "8KiB", min: 1, max: maxHeld, zero: "the most there can be", zeroIs: maxHeld, needs: scheme.Lines,
			limit: func(l *limits) any { return &l.maxLine },
			help:  "Longest line of line:// and line+tls:// listeners, without its end"},
		{name: "max-header", kind: size, value: "16KiB", min: 256, max: maxHeadSize, zero: "the most there can be", zeroIs: maxHeadSize, needs: scheme.HTTP,
			limit: func(l *limits) any { return &l.maxHeader },
			help:  "Largest request head, request line and fields together"},
		{name: "max-body", kind: size, value: "1MiB", max: 1 << 50, zero: "no limit", needs: scheme.HTTP,
			limit: func(l *limits) any { return &l.maxBody },
			help:  "Largest request body. Bodies are streamed, so this is no matter of memory"},
		{name: "max-out", kind: size, value: "256KiB", min: 4 << 10, max: maxHeld, zero: "the most there can be", zeroIs: maxHeld,
			limit: func(l *limits) any { return &l.MaxOut },
			help:  "Outbound bytes held for one connection, beside what the kernel took"},
		{name: "max-buffered", kind: size, auto: "a quarter of the memory that the process may use", min: 1 << 20, max: 1 << 50, zero: "no limit but each connection's",
			setting: func(s *settings) any { return &s.engine.MaxBuffered },
			help:    "Bytes held for all connections together: partial frames and queued output"},
	}},
	{"Alerts", []row{
		{name: "alert-url", kind: names, unit: "URL", check: alerts.CheckURL, secret: true,
			setting: func(s *settings) any { return &s.alerts.urls },
			help:    "Whom to tell, by an HTTP POST of JSON, of what should be known at once: https://HOST/..., or slack+https://HOST/... for the form of Slack and Mattermost. It may hold credentials: only its host is ever logged or printed. May be given several times; a comma in it is written %2C"},
		{name: "alert-rule", kind: names, unit: "RULE", check: alerts.CheckRule,
			setting: func(s *settings) any { return &s.alerts.rules },
			help:    "When to tell them: NAME=SUBJECT:NUMBER/WINDOW/COOLDOWN, such as sheds=shed:1000/10s/5m. Added to the rules that there are, or instead of the one with the same name; NAME=off takes one out. May be given several times; docs/operations.md has the subjects and the rules that there are"},
		{name: "alert-secret-file", kind: text, unit: "FILE", check: checkPath,
			setting: func(s *settings) any { return &s.alerts.secretFile },
			help:    "A file with the secret, of 16 bytes at least, that alerts are signed with by HMAC-SHA-256. Without it they are not signed"},
	}},
	{"Process", []row{
		{name: "loops", kind: count, value: "0", auto: "one per CPU that the process may use", min: 1, max: 256, zero: "automatic",
			setting: func(s *settings) any { return &s.engine.Loops },
			help:    "Event loops"},
		{name: "workers", kind: count, value: "0", auto: "two per CPU", min: 1, max: 4096, zero: "automatic",
			setting: func(s *settings) any { return &s.engine.Workers },
			help:    "Goroutines for work that may block"},
		{name: "profile", kind: word, value: "default", words: []string{"default", "bench"},
			setting: func(s *settings) any { return &s.profile },
			help:    "bench lifts the per-source limits, those on a connection's bytes and max-unproven so far that one address can load-test the server, with every check still running. Flags that are given win over it"},
		{name: "log-level", kind: word, value: "info", words: []string{"debug", "info", "warn", "error"},
			setting: func(s *settings) any { return &s.logLevel },
			help:    "Least level that is logged"},
		{name: "log-format", kind: word, value: "console", words: []string{"console", "json"},
			setting: func(s *settings) any { return &s.logFormat },
			help:    "How log lines look"},
		{name: "log-to", kind: text, value: "stderr", unit: "OUTPUT", check: checkLogTo,
			setting: func(s *settings) any { return &s.logTo },
			help:    "Where log lines go: stderr, file:PATH, syslog, or journal, which is systemd's. Of a file, SIGHUP has another one begun if it was renamed"},
		{name: "log-max-size", kind: size, value: "100MiB", min: 1 << 20, max: 1 << 40, zero: "it is not rotated", when: (*settings).logsToFile,
			setting: func(s *settings) any { return &s.logMaxSize },
			help:    "How large a log file grows, in whole MiB, before it is renamed, with the time in its name, and another one begun"},
		{name: "log-keep", kind: count, value: "10", max: 100000, zero: "all", when: (*settings).logsToFile,
			setting: func(s *settings) any { return &s.logKeep },
			help:    "How many log files that were renamed stay"},
		{name: "config", kind: text, unit: "FILE",
			setting: func(s *settings) any { return &s.config }, action: true,
			help: "A file with one flag a line: its name without the dash, a space, its value. Lines that begin with # are comments. The command line wins over the environment, the environment over the file"},
		{name: "check", kind: toggle, value: "false", setting: func(s *settings) any { return &s.check }, action: true,
			help: "Check the configuration, say in one line what came of it, then for each practice whether it is on, weak or off and what changes that, and exit: with 1 when something is weak that others than this machine can reach"},
		{name: "check-format", kind: word, value: "text", words: []string{"text", "json"}, setting: func(s *settings) any { return &s.checkFormat }, action: true,
			help: "How -check says it"},
		{name: "check-accept", kind: names, unit: "ROW", check: posture.CheckRow, setting: func(s *settings) any { return &s.checkAccept }, action: true,
			help: "A row of -check, such as R10, or R10@NAME for one listener, that may be weak or off: it is told and does not make the exit status 1. May be given several times"},
		{name: "print-config", kind: toggle, value: "false", setting: func(s *settings) any { return &s.printConfig }, action: true,
			help: "Print every value in force, in the form that -config reads, and exit"},
		{name: "version", kind: toggle, value: "false", setting: func(s *settings) any { return &s.version }, action: true,
			help: "Print the version and exit"},
	}},
}

// rowNamed finds a flag, or nil.
func rowNamed(name string) *row {
	for g := range flags {
		for i := range flags[g].rows {
			if r := &flags[g].rows[i]; r.name == name {
				return r
			}
		}
	}
	return nil
}

// eachRow walks the table in order.
func eachRow(visit func(*row)) {
	for g := range flags {
		for i := range flags[g].rows {
			visit(&flags[g].rows[i])
		}
	}
}

// checkPath takes everything that could be the name of a file.
func checkPath(value string) error {
	if value == "" || strings.ContainsRune(value, 0) {
		return errors.New("must be the path of a file")
	}
	return nil
}

// checkDirectory takes any path; whether there is such a directory is seen when it is opened.
func checkDirectory(value string) error {
	if value == "" || strings.ContainsRune(value, 0) {
		return errors.New("must be the path of a directory")
	}
	return nil
}

// checkIndex takes a plain name, and off.
func checkIndex(value string) error {
	if value == "" || static.CheckIndex(value) != nil {
		return errors.New("must be off or the plain name of a file such as index.html")
	}
	return nil
}

// checkAdmin takes "off" and HOST:PORT with a literal address, localhost, or no host.
func checkAdmin(value string) error {
	wrong := errors.New("must be off or HOST:PORT such as 127.0.0.1:9090 or [::1]:9090")
	if value == "off" {
		return nil
	}
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return wrong
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || fmt.Sprint(n) != port {
		return wrong
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" && host != "" {
		return wrong
	}
	return nil
}
