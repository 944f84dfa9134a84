package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
	"testing"

	"weir/codec"
)

// Compared with net/http's ReadRequest on the same bytes:
//
//   - What we accept it accepts, with the same method, target, host, length, coding, fields, body
//     and end of the request. There is no exception but the empty line in front of a request,
//     which net/http's server skips elsewhere.
//   - What it accepts and we refuse is refused for one of the reasons in stricter, each of them a
//     line of the package's documentation or a limit.
func FuzzAgainstNetHTTP(f *testing.F) {
	eachInput(func(in string) { f.Add(in) })
	f.Fuzz(compare)
}

func TestAgainstNetHTTP(t *testing.T) {
	eachInput(func(in string) { compare(t, in) })
}

func compare(t *testing.T, in string) {
	l := Default()
	r := NewRequest(l)
	d := NewDecoder(r)
	rest := []byte(in)
	u := d.Decode(rest)
	src := strings.NewReader(strings.TrimPrefix(in, "\r\n")) // we let one empty line pass in front, as RFC 9112 2.2 asks
	// The buffer holds any trailer section that we accept: net/http refuses longer ones.
	br := bufio.NewReaderSize(src, 64<<10)
	theirs, err := http.ReadRequest(br)

	switch u.Kind {
	case codec.More:
		if err == nil && !strings.Contains(in, "\n\n") && !strings.Contains(in, "\n\r\n") {
			t.Fatalf("%q: complete for net/http, not for us", in)
		}
		return
	case codec.Bad:
		if err == nil && !stricter(u.Fault, in, theirs) {
			t.Fatalf("%q: refused for %s, which net/http accepts and no listed reason explains", in, u.Fault.Label())
		}
		return
	}
	if err != nil {
		t.Fatalf("%q: accepted, but net/http says %v", in, err)
	}
	head := rest[:u.N]
	compareHeads(t, head, r, theirs)

	hasBody := r.Chunked || r.ContentLength > 0
	var body []byte
	for rest = rest[u.N:]; hasBody; rest = rest[u.N:] {
		if u = d.Decode(rest); u.Kind == codec.End {
			rest = rest[u.N:]
			break
		}
		if u.Kind != codec.Part {
			break // incomplete or wrong: what net/http makes of it is its own affair
		}
		body = append(body, u.Data...)
	}
	got, err := io.ReadAll(theirs.Body)
	switch {
	case hasBody && u.Kind == codec.Bad:
		if err == nil && !stricterBody(u.Fault, in[len(head):]) {
			t.Fatalf("%q: body refused for %s, which net/http accepts", in, u.Fault.Label())
		}
	case hasBody && u.Kind == codec.More:
		if err == nil && !strings.Contains(in[len(head):], "\n") {
			t.Fatalf("%q: body complete for net/http, not for us", in)
		}
	default:
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%q: body %q, net/http: %q %v", in, body, got, err)
		}
		if left := src.Len() + br.Buffered(); left != len(rest) {
			t.Fatalf("%q: %d bytes left, net/http: %d", in, len(rest), left)
		}
	}
}

func compareHeads(t *testing.T, head []byte, r *Request, theirs *http.Request) {
	t.Helper()
	same := func(what string, ours, theirs any) {
		t.Helper()
		if ours != theirs {
			t.Fatalf("%q: %s %v, net/http: %v", head, what, ours, theirs)
		}
	}
	same("method", string(r.Method()), theirs.Method)
	same("target", string(r.Target()), theirs.RequestURI)
	same("host", strings.ToLower(string(r.Host())), strings.ToLower(theirs.Host))
	same("query", string(r.Query()), theirs.URL.RawQuery)
	same("minor version", int(r.Minor), theirs.ProtoMinor)
	same("length", r.ContentLength, theirs.ContentLength)
	same("chunked", r.Chunked, len(theirs.TransferEncoding) == 1 && theirs.TransferEncoding[0] == "chunked")
	same("keep-alive", r.KeepAlive, !theirs.Close)
	if p := r.Path(); len(p) > 0 && p[0] == '/' && theirs.URL.Path != "" && bytes.IndexByte(p, '%') < 0 {
		same("path", string(p), theirs.URL.Path)
	}
	fields := http.Header{}
	for i := range r.NumFields() {
		name, value := r.Field(i)
		fields.Add(string(name), string(value))
	}
	for name, values := range fields {
		switch name {
		case "Host", "Transfer-Encoding", "Trailer": // net/http takes them out
			continue
		}
		same(name, strings.Join(values, "\n"), strings.Join(theirs.Header[textproto.CanonicalMIMEHeaderKey(name)], "\n"))
	}
}

var (
	bareEnd   = regexp.MustCompile(`(^|[^\r])\n|\r([^\n]|$)`)
	fold      = regexp.MustCompile(`\n[ \t]`)
	spaceName = regexp.MustCompile(`(?m)^[^:\r\n]* [^:\r\n]*:`)
	control   = regexp.MustCompile(`[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]`)
	framing   = regexp.MustCompile(`(?i)\ntrailer:.*(content-length|transfer-encoding|trailer)`)
	twoHosts  = regexp.MustCompile(`(?is)\nhost[ \t]*:.*\nhost[ \t]*:`)
	twoLength = regexp.MustCompile(`(?is)\ncontent-length:.*\ncontent-length:|\ncontent-length:[ \t]*([0-9]+[ \t]*,|[0-9]{20})`)
	twoCoding = regexp.MustCompile(`(?is)\ntransfer-encoding:`)
	longName  = regexp.MustCompile(`^[^ ]{33}`)
)

// stricter says whether in is a request that net/http accepts and that we mean to refuse with f.
func stricter(f codec.Fault, in string, theirs *http.Request) bool {
	head := in
	if fold.MatchString(head) {
		return true // the line that is continued may be wrong by itself
	}
	switch f {
	case codec.BadLineEnd: // bare LF; bare CR in a value
		return bareEnd.MatchString(head)
	case codec.BadField: // spaces in names, control bytes in values, Trailer
		many := strings.Contains(strings.ToLower(head), "\nconnection:") && (len(head) > maxOptions || strings.Count(head, ",")+strings.Count(head, "\n") > mostOptions)
		return spaceName.MatchString(head) || control.MatchString(head) || framing.MatchString(head) || many
	case codec.BadHost:
		// net/http's server checks some of this after ReadRequest: missing, twice, malformed,
		// or another than the target's.
		h := []byte(theirs.Host)
		return theirs.Host == "" || !validHost(h, false) || twoHosts.MatchString(head) || theirs.URL.Host != "" || theirs.Header.Get("Host") == ""
	case codec.BadLength: // twice and equal, or over 19 digits
		return twoLength.MatchString(head)
	case codec.LengthConflict:
		return len(theirs.TransferEncoding) > 0 || !theirs.ProtoAtLeast(1, 1)
	case codec.BadCoding: // ignored by net/http in HTTP/1.0
		return !theirs.ProtoAtLeast(1, 1) && twoCoding.MatchString(head)
	case codec.BadVersion: // 1.2 to 9.9
		return theirs.Proto != "HTTP/1.1" && theirs.Proto != "HTTP/1.0"
	case codec.BadRequestLine: // no target (CONNECT), a long method
		return theirs.RequestURI == "" || longName.MatchString(head)
	case codec.BadTarget:
		u := theirs.RequestURI
		return u[0] != '/' || strings.ContainsAny(u, "#") || strings.ContainsFunc(u, func(c rune) bool { return c > '~' }) || theirs.Method == "CONNECT"
	case codec.BadExpect:
		return !strings.EqualFold(theirs.Header.Get("Expect"), "100-continue") || len(theirs.Header["Expect"]) > 1
	case codec.TooManyFields, codec.HeadTooLarge, codec.TargetTooLong, codec.BodyTooLarge:
		return true // limits, which net/http sets elsewhere
	}
	return false
}

// stricterBody is the same for chunked bodies.
func stricterBody(f codec.Fault, body string) bool {
	switch f {
	case codec.BadChunk: // white space after the size, control bytes in extensions, their limit
		return strings.ContainsAny(body, " \t;")
	case codec.BadTrailer: // net/http parses them as it does heads
		return bareEnd.MatchString(body) || fold.MatchString(body) || spaceName.MatchString(body) || control.MatchString(body)
	case codec.BodyTooLarge: // 2^63 bytes in all
		return true
	}
	return false
}
