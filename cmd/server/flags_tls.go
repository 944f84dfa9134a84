package main

import (
	"weir/internal/acme"
	"weir/internal/scheme"
)

var tlsFlags = group{"TLS", []row{
	{name: "cert", kind: files,
		setting: func(s *settings) any { return &s.certs },
		help:    "A PEM file with a certificate and its chain, the certificate first. May be given several times, each with a -key, and then the name that a client asks for picks one; the first is for all other names. In one value commas stand between several. The files are read again when they change, and on SIGHUP"},
	{name: "key", kind: files,
		setting: func(s *settings) any { return &s.keys },
		help:    "The PEM file with the private key of the -cert in the same place. One that every user of the machine may read is warned of"},
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
}}

var acmeFlags = group{"ACME", []row{
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
}}
