// Package proxyproto reads and writes the header with which a proxy in front of us says who its
// client is: the PROXY protocol, versions 1 and 2, after HAProxy's proxy-protocol.txt of
// 2026-04-27. Sections are named where a rule comes from.
//
//	v1 (2.1)   "PROXY TCP4 " source " " destination " " sport " " dport CRLF     ≤ 107 bytes
//	           "PROXY TCP6 " source " " destination " " sport " " dport CRLF
//	           "PROXY UNKNOWN" [ " " anything ] CRLF
//
//	v2 (2.2)   0            12        13       14      16         16+length ≤ Max
//	           ├─signature──┼ver─cmd──┼fam─pro─┼length─┼─addresses──┬─TLVs──────┤
//
//	signature  0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a
//	ver cmd    2, then 0 LOCAL or 1 PROXY
//	fam pro    0 UNSPEC, 1 INET, 2 INET6, 3 UNIX; then 0 UNSPEC, 1 STREAM, 2 DGRAM
//	addresses  INET 4+4+2+2, INET6 16+16+2+2, UNIX 108+108: source, destination, their ports
//	TLV        type 1, length 2, value
//
// # Whom to believe
//
// The package reads what is there; it does not decide who may say it. A header from a peer that is
// not a trusted proxy is a forged address (section 5): the caller looks at the real peer first,
// requires a header from trusted ones, never guesses, and may use Sniff to refuse the others' or to
// count them.
//
// # What a header means
//
// A Header with Command Local gives no address: the real peer counts. That is UNKNOWN in v1; in v2
// LOCAL, and PROXY with a family or a protocol that is UNSPEC or UNIX, which section 2.2 leaves to
// the receiver. Command Proxy always comes with two valid addresses.
//
// An IPv4-mapped IPv6 address, in the text of a TCP6 line or in a v2 INET6 block, is handed out as
// the IPv4 address it stands for, so that one client has one form, one bucket and one ban. If only
// one of the two is mapped, source and destination differ in family.
//
// # What is refused
//
// In v1 the first byte that cannot be right is a fault, whatever the packets were: another keyword
// or case, two spaces, a leading zero, a number out of range, an IPv6 address in a TCP4 line (mapped
// or not), an IPv4 address in a TCP6 line, a zone, anything between the last port and CRLF, and a
// bare CR or LF anywhere. What follows "UNKNOWN " is ignored up to CRLF, as section 2.1 demands.
// IPv6 text is what inet_pton takes, an IPv4 tail ("::ffff:192.0.2.1") included.
//
// In v2: another version or command; with PROXY another family or protocol, a length that does not
// hold the addresses, TLVs that do not fill the rest exactly, and a CRC32C TLV that is not four
// bytes, comes twice or does not match (2.2.3: MUST). With LOCAL the length alone is believed:
// "discard the protocol block including the family". So it is with PROXY and the family UNSPEC,
// which does not say where TLVs would begin.
//
// A header is not looked for again behind the first: what follows is data.
//
// The package does not read TLV values but the checksum. Anybody may import it.
package proxyproto
