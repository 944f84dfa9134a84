// Package acme keeps certificates for a fixed list of domains, obtained from a certificate authority
// that speaks ACME (RFC 8555), such as Let's Encrypt. It proves a domain with TLS-ALPN-01 (RFC 8737):
// the CA connects to port 443 of the domain, offers the protocol acme-tls/1, and must be shown a
// certificate that only the holder of the account could have made. So the server's own TLS listener
// answers, and this package opens none.
//
// A [Keeper] works in the background, one goroutine a domain. Handshakes look up what is there and
// never wait: [Keeper.Certificate] and [Keeper.Challenge] are a map and a pointer. While the CA does not
// answer, everything else goes on, and it is asked again after 1 minute, 2, 4 and so on up to 6 hours.
//
// # When a certificate is renewed
//
// When the CA says so, if it has renewal information (RFC 9773, ARI); it is asked for that every 6
// hours or as often as it wants, and so it can have certificates replaced early that it must revoke.
// Without, when a third of its life is left, or half when it lives for less than 10 days.
//
// # What is on disk
//
// In the cache directory, one directory for each CA. Both are made with mode 0700; one that belongs to
// another user, or is open to a group or to all, is refused. In it
//
//	account.key    the account's key; the account itself is looked up with it
//	DOMAIN.pem     a private key and the certificate with its chain, replaced as a whole
//	*.lock         empty; held while something is obtained
//
// A process that starts serves what is there and asks nobody. Processes that share a cache take turns,
// and whoever comes second takes what the first has obtained.
//
// The protocol is github.com/mholt/acmez's; decision 0007 has the reasons.
package acme
