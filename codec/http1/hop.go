package http1

import "strconv"

// What a relay passes on is appended here from the views that a decoder has made, so every byte of it
// was parsed: names are tokens, values hold no control byte but HTAB, a method and a target hold no
// white space. No line can end, and none can begin, but where one is appended.

// Hop reports whether the i-th field is for one connection only and is not passed on (9110 7.6.1):
// those that Connection lists, Connection itself, those that are always meant so, and those that
// concern framing, which who passes the message on writes anew. O(options of Connection, ≤ 16).
func (r *Request) Hop(i int) bool {
	name := r.view(r.fields[i].name)
	switch len(name) {
	case len("te"):
		if equalFold(name, "te") {
			return true
		}
	case len("trailer"): // and upgrade
		if equalFold(name, "trailer") || equalFold(name, "upgrade") {
			return true
		}
	case len("connection"): // and keep-alive
		if equalFold(name, "connection") || equalFold(name, "keep-alive") {
			return true
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			return true
		}
	case len("proxy-connection"):
		if equalFold(name, "proxy-connection") {
			return true
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			return true
		}
	case len("proxy-authenticate"):
		if equalFold(name, "proxy-authenticate") {
			return true
		}
	case len("proxy-authorization"):
		if equalFold(name, "proxy-authorization") {
			return true
		}
	case len("proxy-authentication-info"):
		if equalFold(name, "proxy-authentication-info") {
			return true
		}
	}
	return r.other && r.listed(name)
}

// listed reports whether Connection lists a name.
func (r *Request) listed(name []byte) bool {
	for i := r.Next("connection", 0); i >= 0; i = r.Next("connection", i+1) {
		list := r.view(r.fields[i].value)
		for len(list) > 0 {
			var option []byte
			if option, list = cutComma(list); sameHost(option, name) {
				return true
			}
		}
	}
	return false
}

// AppendLine appends the request line for the server behind: the method as it came, the target in
// origin form (9112 3.2.1), or "*" for OPTIONS of the server as a whole, and HTTP/1.1. Not for CONNECT.
func (r *Request) AppendLine(dst []byte) []byte {
	dst = append(append(dst, r.Method()...), ' ')
	switch t := r.pathAndQuery(); {
	case len(t) == 0 && string(r.Method()) == "OPTIONS":
		dst = append(dst, '*') // 9112 3.2.4
	case len(t) == 0 || t[0] == '?':
		dst = append(append(dst, '/'), t...)
	default:
		dst = append(dst, t...)
	}
	return append(dst, " HTTP/1.1\r\n"...)
}

// AppendField appends the line of the i-th field, as it was parsed.
func (r *Request) AppendField(dst []byte, i int) []byte {
	f := &r.fields[:r.n][i]
	dst = append(append(dst, r.view(f.name)...), ": "...)
	return append(append(dst, r.view(f.value)...), "\r\n"...)
}

// Hop is Request.Hop for a response.
func (r *Response) Hop(i int) bool { return r.q.Hop(i) }

// AppendLine appends the status line for the client: HTTP/1.1, which is what we speak (9112 2.3), with
// the code and the phrase as they came.
func (r *Response) AppendLine(dst []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(strconv.AppendInt(dst, int64(r.Status), 10), ' ')
	return append(append(dst, r.Reason()...), "\r\n"...)
}

// AppendField appends the line of the i-th field, as it was parsed.
func (r *Response) AppendField(dst []byte, i int) []byte { return r.q.AppendField(dst, i) }
