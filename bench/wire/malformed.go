package wire

import (
	"strings"

	"weir/bench/target"
)

// Wrong is a complete string of bytes that breaks a protocol.
type Wrong struct {
	Why   string // what is wrong, in a few words
	Bytes string
	Cut   bool // it is wrong because nothing follows: the sender says that it ends there
}

// Script returns the bytes as a stream that ends.
func (w Wrong) Script() *Stream { return &Stream{first: []byte(w.Bytes)} }

// Malformed returns what breaks t's protocol in as many ways as are known here. For HTTP each is to be answered with
// an error or at least with the end of the connection (RFC 9112); whoever answers one with success, or twice, may
// disagree with the next server about where a request ends, which is what smuggling is. What frames and lines allow
// is up to the server.
func Malformed(t target.Target) []Wrong {
	switch t.Scheme {
	case target.HTTP:
		return malformedHTTP(t)
	case target.Frames:
		return malformedFrames
	}
	return malformedLines
}

func malformedHTTP(t target.Target) []Wrong {
	host := "Host: " + t.Host + "\r\n"
	get := "GET " + t.Path + " HTTP/1.1\r\n"
	post := "POST " + t.Path + " HTTP/1.1\r\n" + host
	smuggled := get + host + "\r\n"
	chunked := post + "Transfer-Encoding: chunked\r\n\r\n"
	all := []Wrong{
		// Where the body ends: RFC 9112, 6.
		{Why: "length and chunks", Bytes: post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG" + smuggled},
		{Why: "chunks and length", Bytes: post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + smuggled + "\r\n0\r\n\r\n"},
		{Why: "two lengths", Bytes: post + "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"},
		{Why: "a list of lengths", Bytes: post + "Content-Length: 0, 5\r\n\r\nhello"},
		{Why: "chunks on HTTP/1.0", Bytes: "POST " + t.Path + " HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n"},
	}
	for _, v := range []string{"+5", "-1", "0x5", "5 5", "", "5a", "5.0", "18446744073709551616", "\t+5", "\"5\"", "٥"} {
		all = append(all, Wrong{Why: "length " + v, Bytes: post + "Content-Length: " + v + "\r\n\r\nhello" + smuggled})
	}
	for _, v := range []string{"xchunked", "chunked, identity", "identity, chunked, x", "\x0bchunked", "chunked\x00", "chunked, chunked", "chunk", ",", "\"chunked\""} {
		all = append(all, Wrong{Why: "coding " + v, Bytes: post + "Transfer-Encoding: " + v + "\r\n\r\n0\r\n\r\n" + smuggled})
	}
	for _, f := range []string{"Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked", "X: y\n Transfer-Encoding: chunked", "Transfer\x00-Encoding: chunked", "X: y\rTransfer-Encoding: chunked"} {
		all = append(all, Wrong{Why: "hidden coding " + f, Bytes: post + "Content-Length: 3\r\n" + f + "\r\n\r\n0\r\n\r\n" + smuggled})
	}
	for _, v := range []string{"xyz\r\n", "-1\r\n", "+1\r\na\r\n", "0x1\r\na\r\n", " 1\r\na\r\n", "\r\na\r\n", "fffffffffffffffff\r\n", "10000000000000000\r\n",
		"1\na\n", "1\ra\r\n", "1\r\nab", "1;\x00\r\na\r\n", "1;a\nb\r\na\r\n", "5\r\nhello0\r\n\r\n", "0\r\nContent Length: 5\r\n\r\n", "0\r\n X: y\r\n\r\n", "0\r\nX\r\n\r\n"} {
		all = append(all, Wrong{Why: "chunk " + v, Bytes: chunked + v + "0\r\n\r\n" + smuggled})
	}
	// Fields: RFC 9112, 5; RFC 9110, 5.5.
	for _, f := range []string{"X: a\r\n folded: yes", "X : y", ": no name", "no colon", "X: nul\x00", "X: bell\x07", "X\x00: y", "X: bare\rcr", "X y: z", "X(y): z", "Ä: z", "X: del\x7f", "\x00", "\r"} {
		all = append(all, Wrong{Why: "field " + f, Bytes: get + host + f + "\r\n\r\n"})
	}
	// Host: RFC 9112, 3.2.
	for _, f := range []string{"", host + host, "Host: a\r\nHost: b\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: a@b\r\n", "Host: [::1\r\n", "Host: a:99999x\r\n"} {
		all = append(all, Wrong{Why: "host " + f, Bytes: get + f + "\r\n"})
	}
	// Request lines: RFC 9112, 3.
	for _, l := range []string{"GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET\t/\tHTTP/1.1", "GET / http/1.1", "GET / HTTP/1.", "GET / HTTP/11", "GET / HTTP/3.0",
		"GET / HTTP/1.1x", "GET / FTP/1.1", "GET a HTTP/1.1", "GET /\x00 HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /a b HTTP/1.1", "G\x00T / HTTP/1.1", "G(T / HTTP/1.1", " / HTTP/1.1", "GET * HTTP/1.1", "CONNECT / HTTP/1.1"} {
		all = append(all, Wrong{Why: "line " + l, Bytes: l + "\r\n" + host + "\r\n"})
	}
	return append(all,
		Wrong{Why: "bare LF", Bytes: strings.ReplaceAll(smuggled, "\r\n", "\n")},
		Wrong{Why: "bare CR", Bytes: strings.ReplaceAll(smuggled, "\r\n", "\r")},
		Wrong{Why: "CR CR LF", Bytes: strings.ReplaceAll(smuggled, "\r\n", "\r\r\n")},
		Wrong{Why: "HTTP/2 preface", Bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		Wrong{Why: "ClientHello", Bytes: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x5a", 154) + "\n\n"},
		Wrong{Why: "another protocol", Bytes: "SSH-2.0-OpenSSH_9.6\r\n\r\n"},
		Wrong{Why: "PROXY header", Bytes: "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + smuggled},
		Wrong{Why: "bytes above ASCII", Bytes: strings.Repeat("\xff\xfe", 500) + "\r\n\r\n"},
		Wrong{Why: "NUL", Bytes: strings.Repeat("\x00", 1000) + "\r\n\r\n"},
		Wrong{Why: "body cut", Bytes: post + "Content-Length: 10\r\n\r\nhello", Cut: true},
		Wrong{Why: "chunk cut", Bytes: chunked + "a\r\nhello", Cut: true},
		Wrong{Why: "head cut", Bytes: get + host, Cut: true},
	)
}

var malformedFrames = []Wrong{
	{Why: "length 0", Bytes: "\x00\x00\x00\x00"},
	{Why: "lengths of 0 in a row", Bytes: strings.Repeat("\x00\x00\x00\x00", 1000)},
	{Why: "the most there can be", Bytes: "\xff\xff\xff\xffhello"},
	{Why: "the sign bit", Bytes: "\x80\x00\x00\x00hello"},
	{Why: "the most without it", Bytes: "\x7f\xff\xff\xffhello"},
	{Why: "length in the wrong order", Bytes: "\x05\x00\x00\x00hello"},
	{Why: "length as text", Bytes: "0005hello"},
	{Why: "a good one, then nonsense", Bytes: "\x00\x00\x00\x05hello\xff\xff\xff\xff"},
	{Why: "HTTP", Bytes: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
	{Why: "ClientHello", Bytes: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x5a", 154)},
	{Why: "length cut", Bytes: "\x00\x00", Cut: true},
	{Why: "frame cut", Bytes: "\x00\x00\x00\x0ahello", Cut: true},
	{Why: "nothing after the length", Bytes: "\x00\x00\x00\x0a", Cut: true},
}

var malformedLines = []Wrong{
	{Why: "NUL", Bytes: "he\x00llo\n"},
	{Why: "NULs alone", Bytes: strings.Repeat("\x00", 1000) + "\n"},
	{Why: "bare CR", Bytes: "he\rllo\n"},
	{Why: "CR CR LF", Bytes: "hello\r\r\n"},
	{Why: "controls", Bytes: "\x1b[2J\x1b]0;title\x07\n"},
	{Why: "no UTF-8", Bytes: "\xff\xfe\xc0\xaf\xed\xa0\x80\n"},
	{Why: "overlong UTF-8", Bytes: "\xe0\x80\xaf\xf0\x80\x80\xaf\n"},
	{Why: "too long", Bytes: strings.Repeat("long ", 20_000) + "\n"},
	{Why: "empty lines", Bytes: strings.Repeat("\n", 1000)},
	{Why: "ClientHello", Bytes: "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x5a", 154) + "\n"},
	{Why: "cut", Bytes: "hello", Cut: true},
}

// MalformedTLS returns what is no TLS, or none that a server should go along with, as the first bytes of a connection.
func MalformedTLS() []Wrong {
	// record returns one of the given type with the length that is said, true or not.
	record := func(kind byte, said int, body string) string {
		return string([]byte{kind, 3, 1, byte(said >> 8), byte(said)}) + body
	}
	hello := func(said int, body string) string {
		body = string([]byte{1, byte(said >> 16), byte(said >> 8), byte(said)}) + body
		return record(22, len(body), body)
	}
	random := strings.Repeat("\x5a", 32)
	whole := "\x03\x03" + random + "\x00" + "\x00\x02\x13\x01" + "\x01\x00"
	return []Wrong{
		{Why: "HTTP", Bytes: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{Why: "SSLv2", Bytes: "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + random},
		{Why: "unknown record", Bytes: record(99, 5, "hello")},
		{Why: "unknown version", Bytes: "\x16\x09\x09\x00\x05hello"},
		{Why: "record too long", Bytes: record(22, 0xffff, strings.Repeat("a", 0xffff))},
		{Why: "empty records", Bytes: strings.Repeat(record(22, 0, ""), 500)},
		{Why: "hello of the largest length", Bytes: hello(0xffffff, whole)},
		{Why: "hello of no length", Bytes: hello(0, "")},
		{Why: "no hello", Bytes: record(22, 4, "\x02\x00\x00\x00")},
		{Why: "session id too long", Bytes: hello(80, "\x03\x03"+random+"\xff"+strings.Repeat("a", 45))},
		{Why: "no ciphers", Bytes: hello(39, "\x03\x03"+random+"\x00"+"\x00\x00"+"\x01\x00")},
		{Why: "odd ciphers", Bytes: hello(40, "\x03\x03"+random+"\x00"+"\x00\x01\x13"+"\x01\x00")},
		{Why: "ciphers past the end", Bytes: hello(41, "\x03\x03"+random+"\x00"+"\xff\xff\x13\x01"+"\x01\x00")},
		{Why: "extensions past the end", Bytes: hello(45, whole+"\xff\xff\x00\x00")},
		{Why: "an extension past the end", Bytes: hello(47, whole+"\x00\x04\x00\x00\xff\xff")},
		{Why: "the same extension twice", Bytes: hello(51, whole+"\x00\x08\x00\x17\x00\x00\x00\x17\x00\x00")},
		{Why: "SSLv3", Bytes: hello(41, "\x03\x00"+whole[2:])},
		{Why: "alert first", Bytes: record(21, 2, "\x02\x28")},
		{Why: "warnings first", Bytes: strings.Repeat(record(21, 2, "\x01\x5a"), 200)},
		{Why: "data first", Bytes: record(23, 5, "hello")},
		{Why: "change of ciphers first", Bytes: strings.Repeat(record(20, 1, "\x01"), 200)},
		{Why: "NUL", Bytes: strings.Repeat("\x00", 1000)},
		{Why: "PROXY header", Bytes: "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + hello(41, whole)},
		{Why: "hello cut", Bytes: hello(41, whole)[:20], Cut: true},
		{Why: "record cut", Bytes: "\x16\x03", Cut: true},
	}
}
