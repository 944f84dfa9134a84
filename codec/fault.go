package codec

// Fault says what is wrong with a peer's bytes. It is a closed list of small integers: comparing
// and counting cost nothing and nothing is built for it on the hot path. It satisfies error.
type Fault uint8

// The list. A protocol uses those that fit it; package http1 maps them to status codes.
const (
	OK             Fault = iota // nothing is wrong
	FrameTooLarge               // a length above the limit, refused from the header alone
	FrameEmpty                  // a length of zero where a frame must carry something
	LineTooLong                 // no line end within the limit
	LineBare                    // a CR without LF, or a NUL, inside a line
	HeadTooLarge                // request line and fields exceed the limit on their bytes
	TooManyFields               // more header fields than the limit
	TargetTooLong               // the request target alone exceeds the limit
	BadRequestLine              // not method SP target SP version CRLF
	BadVersion                  // an HTTP version other than 1.0 and 1.1
	BadTarget                   // a target that is none of RFC 9112's four forms, or has bytes it may not have
	BadField                    // a malformed field line: bad name, space before the colon, control byte, obs-fold
	BadLineEnd                  // a bare LF or bare CR where CRLF must be
	BadHost                     // Host missing in HTTP/1.1, given twice, or malformed
	BadLength                   // Content-Length malformed, duplicated or overflowing
	LengthConflict              // Content-Length together with Transfer-Encoding
	BadCoding                   // a Transfer-Encoding other than exactly "chunked", or in HTTP/1.0
	BadChunk                    // a malformed chunk size, extension or missing CRLF
	BadTrailer                  // malformed trailers, or more bytes of them than allowed
	BodyTooLarge                // the body exceeds the limit, known before a byte of it is kept
	BadExpect                   // an Expect other than 100-continue
	Truncated                   // the stream ended inside a message

	BadProxy            // not a PROXY protocol header, or one that contradicts its specification
	ProxyTooLarge       // a PROXY header above the limit: v1 at its first byte too many, v2 from its length field
	NotTLS              // the first bytes are not those of a TLS handshake record
	BadClientHello      // a TLS handshake that does not begin with a well-formed ClientHello
	ClientHelloTooLarge // a ClientHello above the limit on its bytes or its records

	BadRESP // not a command as Redis's clients write it, or one that only looks like it
	BadMQTT // not a packet that an MQTT client may send at that point

	BadSignature // a signed frame that was altered, repeated, left out or moved
	BadStatus    // not an HTTP status line, or a response that nobody has asked for
	faultCount
)

// Faults is the number of faults, OK included: valid values are 0 ≤ f < Faults.
const Faults = int(faultCount)

var faultText = [Faults][2]string{
	OK:             {"ok", "nothing is wrong"},
	FrameTooLarge:  {"frame-too-large", "the frame's length is above the limit"},
	FrameEmpty:     {"frame-empty", "the frame's length is zero"},
	LineTooLong:    {"line-too-long", "the line exceeds the limit"},
	LineBare:       {"line-bare", "the line holds a bare CR or a NUL"},
	HeadTooLarge:   {"head-too-large", "the request head exceeds the limit"},
	TooManyFields:  {"too-many-fields", "the request has too many header fields"},
	TargetTooLong:  {"target-too-long", "the request target exceeds the limit"},
	BadRequestLine: {"bad-request-line", "the request line is malformed"},
	BadVersion:     {"bad-version", "the HTTP version is not supported"},
	BadTarget:      {"bad-target", "the request target is malformed"},
	BadField:       {"bad-field", "a header field is malformed"},
	BadLineEnd:     {"bad-line-end", "a line does not end in CRLF"},
	BadHost:        {"bad-host", "the Host field is missing, repeated or malformed"},
	BadLength:      {"bad-length", "Content-Length is malformed or repeated"},
	LengthConflict: {"length-conflict", "Content-Length and Transfer-Encoding are both present"},
	BadCoding:      {"bad-coding", "the transfer coding is not supported"},
	BadChunk:       {"bad-chunk", "the chunked body is malformed"},
	BadTrailer:     {"bad-trailer", "the trailers are malformed or too long"},
	BodyTooLarge:   {"body-too-large", "the body exceeds the limit"},
	BadExpect:      {"bad-expect", "the expectation is not supported"},
	Truncated:      {"truncated", "the stream ended inside a message"},

	BadProxy:            {"bad-proxy-header", "the PROXY protocol header is missing or malformed"},
	ProxyTooLarge:       {"proxy-header-too-large", "the PROXY protocol header exceeds the limit"},
	NotTLS:              {"not-tls", "the first bytes are not TLS"},
	BadClientHello:      {"bad-client-hello", "the TLS ClientHello is malformed"},
	BadRESP:             {"bad-resp", "the command is not well-formed RESP"},
	BadMQTT:             {"bad-mqtt", "the packet is not one that an MQTT client may send here"},
	BadSignature:        {"bad-signature", "the signed frame was altered, or is not the next one of this connection"},
	BadStatus:           {"bad-status", "the response's status line is malformed, or nobody asked for it"},
	ClientHelloTooLarge: {"client-hello-too-large", "the TLS ClientHello exceeds the limit"},
}

// Label is the fault's stable name for metrics and logs: lower case, hyphens, no spaces.
func (f Fault) Label() string {
	if int(f) < Faults {
		return faultText[f][0]
	}
	return "unknown"
}

// Error is one sentence for a person.
func (f Fault) Error() string {
	if int(f) < Faults {
		return faultText[f][1]
	}
	return "unknown fault"
}
