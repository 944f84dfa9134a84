package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"weir/codec"
)

// FuzzResponse: nothing panics, the units do not depend on how the input is split, and what we accept
// net/http's ReadResponse accepts with the same status, framing, fields and body. The other way round
// it is much more lenient; the table says what we refuse.
func FuzzResponse(f *testing.F) {
	eachResponse(func(asked, in string) { f.Add(in, asked == "h", uint16(len(in)/2)) })
	f.Fuzz(func(t *testing.T, in string, head bool, at uint16) {
		if len(in) > 2048 {
			return
		}
		asked := map[bool]string{true: "h"}[head]
		want := feedResponse(t, tightResponse, asked, true, in)
		i := int(at) % (len(in) + 1)
		if got := feedResponse(t, tightResponse, asked, true, in[:i], in[i:]); got != want {
			t.Fatalf("%q split at %d:\n%s\nwhole:\n%s", in, i, got, want)
		}
		compareResponse(t, in, head)
	})
}

func TestResponsesAgainstNetHTTP(t *testing.T) {
	eachResponse(func(asked, in string) { compareResponse(t, in, asked == "h") })
}

func compareResponse(t *testing.T, in string, head bool) {
	r := NewResponse(Limits{})
	d := NewResponseDecoder(r)
	d.Ask(Asked{Head: head})
	rest := []byte(in)
	u := d.Decode(rest)
	if u.Kind != codec.Frame || r.Status < 200 { // net/http takes an interim response for the final one
		return
	}
	method := map[bool]string{true: "HEAD", false: "GET"}[head]
	br := bufio.NewReaderSize(strings.NewReader(in), 64<<10)
	theirs, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: accepted, but net/http says %v", in, err)
	}
	same := func(what string, ours, theirs any) {
		t.Helper()
		if ours != theirs {
			t.Fatalf("%q: %s %v, net/http: %v", in, what, ours, theirs)
		}
	}
	same("status", r.Status, theirs.StatusCode)
	same("version", int(r.Minor), theirs.ProtoMinor)
	same("chunked", r.Chunked && r.Body, len(theirs.TransferEncoding) == 1 && theirs.TransferEncoding[0] == "chunked" && r.Body)
	if r.Body && !r.Chunked {
		same("length", r.ContentLength, theirs.ContentLength)
	}
	if r.Body && !r.UntilClose {
		same("keep-alive", r.KeepAlive, !theirs.Close)
	}
	fields := http.Header{}
	for i := range r.NumFields() {
		name, value := r.Field(i)
		fields.Add(string(name), string(value))
	}
	for name, values := range fields {
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Transfer-Encoding", "Trailer", "Content-Length", "Connection":
			continue
		}
		same(name, strings.Join(values, "\n"), strings.Join(theirs.Header[textproto.CanonicalMIMEHeaderKey(name)], "\n"))
	}
	var body []byte
	end := !r.Body
	for rest = rest[u.N:]; !end; rest = rest[u.N:] {
		if u = d.Decode(rest); u.Kind == codec.Part {
			body = append(body, u.Data...)
			continue
		}
		if u.Kind == codec.More {
			u = d.EOF()
		}
		if end = u.Kind == codec.End; !end {
			return // incomplete or wrong: what net/http makes of it is its own affair
		}
	}
	got, err := io.ReadAll(theirs.Body)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("%q: body %q, net/http: %q %v", in, body, got, err)
	}
}

func BenchmarkResponse(b *testing.B) {
	in := []byte("HTTP/1.1 200 OK\r\nServer: nginx/1.26.0\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/html\r\nContent-Length: 13\r\nETag: \"5e9f-1234\"\r\n\r\n")
	body := []byte("hello, world!")
	b.Run("decode", func(b *testing.B) {
		d := NewResponseDecoder(NewResponse(Limits{}))
		b.SetBytes(int64(len(in)))
		b.ReportAllocs()
		for b.Loop() {
			d.Ask(Asked{})
			if d.Decode(in).Kind != codec.Frame || d.Decode(body).Kind != codec.Part || d.Decode(nil).Kind != codec.End {
				b.Fatal("not decoded")
			}
		}
	})
	b.Run("append", func(b *testing.B) {
		r := NewResponse(Limits{})
		d := NewResponseDecoder(r)
		d.Ask(Asked{})
		d.Decode(in)
		dst := make([]byte, 0, 512)
		b.ReportAllocs()
		for b.Loop() {
			dst = r.AppendLine(dst[:0])
			for i := range r.NumFields() {
				if !r.Hop(i) {
					dst = r.AppendField(dst, i)
				}
			}
		}
	})
}
