// Package http1 is HTTP/1.1 on the wire, for a server and for what relays to one: it decodes requests
// and, from servers behind, responses, strictly, and appends both. It follows RFC 9112 (the syntax) and RFC 9110 (the meaning); clauses are
// named where a rule comes from.
//
//	request    = [ CRLF ] line *( field CRLF ) CRLF [ body ]
//	line       = method SP target SP ( "HTTP/1.1" / "HTTP/1.0" ) CRLF
//	field      = token ":" OWS value OWS
//	body       = Content-Length bytes
//	           | *( size [ ";" extension ] CRLF data CRLF ) 1*"0" CRLF *( trailer CRLF ) CRLF
//
// and what Decode makes of it:
//
//	Frame          a head; Data is its bytes, the Request holds the views into them
//	Part ... End   its body, when it has one: views, never copies. A request without a body,
//	               or with Content-Length: 0, is a Frame and nothing else
//	Bad            anything that two readers could understand in two ways
//
// # Faults come early and do not depend on packets
//
// The decoder is an automaton over bytes: what is wrong is said at the first byte that cannot be
// right, so garbage (a TLS hello, an HTTP/2 preface) is refused within a few bytes and no limit
// needs to be reached first. However the input is split the units and the fault are the same. A
// byte of a head is looked at once as it arrives and, if the head came in more than one piece, once
// more when it is complete; a byte of a body once.
//
// # Where it is stricter than the RFC
//
// Refused although the RFC lets a server accept it, because somebody in front of or behind us may
// read it differently:
//
//   - a bare LF as the end of a line (9112 2.2), obs-fold (9112 5.2)
//   - Content-Length twice with the same value or as a list of equal values (9112 6.3 item 5),
//     or in more than 19 digits
//   - Content-Length with Transfer-Encoding (9112 6.3 item 3); Transfer-Encoding in HTTP/1.0;
//     any coding but chunked, once, and without a comma
//   - white space before the ";" of a chunk extension (9112 7.1.1)
//   - an absolute-form or authority-form target that differs from Host in more than the case of
//     ASCII letters (9112 3.2.2 would have the target win); schemes other than http and https
//   - a Host that is empty, percent-encoded or has sub-delims: no name in the DNS has them, and a
//     comma is how a doubled Host looks after a proxy merged it
//   - methods longer than 32 bytes, HTTP/1.2 and above (9110 2.5), more than one empty line before
//     a request (9112 2.2)
//   - more than 16 options of Connection, or one such field of more than 256 bytes
//   - a Trailer field that announces Content-Length, Transfer-Encoding or Trailer (9110 6.5.1)
//
// Where it is looser: a target may hold any visible ASCII byte except "#" (browsers send "|", "{"
// and the like bare), and a "%" in the query is not checked; in the path it must begin a triplet.
// Values may hold bytes of 0x80 and above (obs-text, 9110 5.5).
//
// # Responses
//
// A ResponseDecoder reads a server that a relay has asked; it is told of each request, which its answer
// cannot be read without. The same strictness holds, and besides:
//
//   - bytes that nobody asked for, a status outside of 100 to 599 and a 101 that nobody asked for are
//     refused
//   - 1xx and 204 with Transfer-Encoding, or with a Content-Length other than 0 (9110 8.6)
//   - the SP behind the status code may be missing, as several servers write it; the phrase is text
//
// What is passed on is appended from views of what was parsed, field by field (hop.go): nothing that
// was not parsed can reach the other side.
//
// The package does not open files, decode percent-escapes, know media types or time. Anybody may
// import it.
package http1
