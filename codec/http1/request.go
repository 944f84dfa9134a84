package http1

import "bytes"

// Request is the head of the request that was decoded last, as views into the bytes it was decoded
// from. One Request serves all connections of a loop: it is valid after a Frame until the next call
// of Decode of any Decoder that shares it, and its views only as long as the bytes behind them. What
// is needed longer, for a body that is still to come, must be copied.
//
// The fields and the views are for reading only. On the loop's goroutine only.
type Request struct {
	// Minor is the HTTP version: 1.Minor, 0 or 1.
	Minor uint8
	// Head reports that the method is HEAD: the answer is the head of what GET would get, with
	// no body (9110 9.3.2).
	Head bool
	// Chunked reports that a body of unknown length follows. ContentLength is then -1.
	Chunked bool
	// ContentLength is the length of the body in bytes, 0 without one, -1 when it is chunked.
	ContentLength int64
	// KeepAlive reports that the peer allows another request on the connection: HTTP/1.1
	// without "close", or HTTP/1.0 with "keep-alive" and without "close" (9112 9.3).
	KeepAlive bool
	// ExpectContinue reports that the peer waits for Continue before it sends the body that
	// follows. It is false without a body and in HTTP/1.0 (9110 10.1.1).
	ExpectContinue bool
	// Upgrade reports that Connection lists "upgrade" (9110 7.8). Never in HTTP/1.0.
	Upgrade bool

	limits Limits
	head   []byte
	method int // head[:method]
	target span
	host   span // of the Host value; empty without the field
	fields []span2
	n      int     // fields[:n] are set
	other  bool    // Connection lists more than close, keep-alive and upgrade
	answer bool    // it is the scratch of a Response
	by     uintptr // the Decoder that has filled it last; not a pointer, whose storing costs a write barrier
}

// span is a range of the head. 32 bits hold any head: see topHead. Offsets rather than slices,
// because storing a slice costs a write barrier while the collector runs.
type span struct{ from, to uint32 }

type span2 struct{ name, value span }

// NewRequest makes the scratch that the decoders of one loop and one set of limits share. It
// allocates 16 bytes per field and nothing later. Any goroutine, before the decoders that share it.
func NewRequest(l Limits) *Request {
	l = l.settled()
	return &Request{limits: l, fields: make([]span2, l.MaxFields)}
}

// Limits returns the limits in force: no zeros except in MaxBody.
func (r *Request) Limits() Limits { return r.limits }

// Method returns the method, in the peer's letters: methods are case-sensitive (9110 9.1). Never
// empty. Comparing string(r.Method()) with a constant does not allocate.
func (r *Request) Method() []byte { return r.head[:r.method] }

// Target returns the request target as it was sent, percent-escapes and all. Never empty.
func (r *Request) Target() []byte { return r.view(r.target) }

// Path returns the path of the target, percent-escapes and all, without the query. It begins with
// "/", except that it is "*" for the asterisk form and empty for the authority form (CONNECT). An
// absolute form without a path has "/" (9110 4.2.3). Each "%" in it begins a triplet; what the
// triplets mean, NUL and "/" included, is the reader's to judge.
func (r *Request) Path() []byte {
	path, _, _ := bytes.Cut(r.pathAndQuery(), question)
	if len(path) == 0 && r.target.from < r.target.to && string(r.Method()) != "CONNECT" {
		return slash
	}
	return path
}

// Query returns what follows the first "?" of the target, unchecked but for its bytes being
// visible ASCII without "#"; nil without a "?".
func (r *Request) Query() []byte {
	_, query, found := bytes.Cut(r.pathAndQuery(), question)
	if !found {
		return nil
	}
	return query
}

var question, slash = []byte{'?'}, []byte{'/'}

func (r *Request) pathAndQuery() []byte {
	t := r.Target()
	if len(t) == 0 || t[0] == '/' || t[0] == '*' {
		return t
	}
	_, rest := splitAbsolute(t)
	return rest
}

// Host returns the host and, if it was given, the port, in the peer's letters: the value of the
// Host field or, in HTTP/1.0 without one, the authority of an absolute target. Empty only in
// HTTP/1.0. It holds letters, digits and "-._~:[]" only.
func (r *Request) Host() []byte {
	if h := r.view(r.host); len(h) > 0 {
		return h
	}
	if t := r.Target(); len(t) > 0 && t[0] != '/' && t[0] != '*' {
		authority, _ := splitAbsolute(t)
		return authority
	}
	return nil
}

// NumFields returns the number of fields, 0 to Limits.MaxFields, repeated names counted each.
func (r *Request) NumFields() int { return r.n }

// Field returns the i-th field in the order of arrival, 0 ≤ i < NumFields. The name is a token in
// the peer's letters; the value has no white space at its ends and no control bytes but HTAB.
func (r *Request) Field(i int) (name, value []byte) {
	f := &r.fields[:r.n][i]
	return r.view(f.name), r.view(f.value)
}

// Get returns the value of the first field with the name, which must be given in lower case, and
// whether there is one. It does not allocate. O(fields).
func (r *Request) Get(name string) (value []byte, found bool) {
	i := r.Next(name, 0)
	if i < 0 {
		return nil, false
	}
	return r.view(r.fields[i].value), true
}

// Next returns the index of the first field at or after i with the name, which must be given in
// lower case, or -1. It finds the repetitions that Get does not show.
func (r *Request) Next(name string, i int) int {
	for ; i < r.n; i++ {
		if equalFold(r.view(r.fields[i].name), name) {
			return i
		}
	}
	return -1
}

func (r *Request) view(s span) []byte { return r.head[s.from:s.to:s.to] }
