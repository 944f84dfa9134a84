package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"weir/codec"
)

const (
	small = "GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"

	browser = "GET /assets/app.js?v=20240131 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"120\", \"Not_A Brand\";v=\"8\"\r\nsec-ch-ua-mobile: ?0\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n" +
		"Accept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n" +
		"Referer: https://www.example.com/\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\n" +
		"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n\r\n"

	upload = "POST /u HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n"
)

func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct{ name, in string }{{"GET3", small}, {"browser13", browser}} {
		b.Run(c.name, func(b *testing.B) {
			d := NewDecoder(NewRequest(Limits{}))
			in := []byte(c.in)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if d.Decode(in).Kind != codec.Frame {
					b.Fatal("no frame")
				}
			}
		})
	}
}

// BenchmarkNetHTTP is the standard library on the same bytes, for comparison.
func BenchmarkNetHTTP(b *testing.B) {
	for _, c := range []struct{ name, in string }{{"GET3", small}, {"browser13", browser}} {
		b.Run(c.name, func(b *testing.B) {
			src := strings.NewReader(c.in)
			br := bufio.NewReader(src)
			b.SetBytes(int64(len(c.in)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(c.in)
				br.Reset(src)
				if _, err := http.ReadRequest(br); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDrip presents a head one byte more at a time, as the slowest possible peer sends it. The
// cost per byte must not grow with the size.
func BenchmarkDrip(b *testing.B) {
	for _, shape := range []struct{ name, field string }{
		{"fields", "X-Padding-Field: " + strings.Repeat("v", 45) + "\r\n"},
		{"value", ""},
	} {
		for _, size := range []int{1 << 10, 4 << 10, 16 << 10} {
			b.Run(fmt.Sprintf("%s/%d", shape.name, size), func(b *testing.B) {
				in := append(make([]byte, 0, size), get...)
				if shape.field != "" {
					for len(in)+len(shape.field)+10 < size {
						in = append(in, shape.field...)
					}
				}
				in = append(in, "p: "...)
				in = append(in, strings.Repeat("v", size-len(in)-4)...)
				in = append(in, "\r\n\r\n"...)
				d := NewDecoder(NewRequest(Limits{MaxFields: 1000}))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					for n := 1; n < size; n++ {
						if d.Decode(in[:n]).Kind != codec.More {
							b.Fatal("not more")
						}
					}
					if d.Decode(in).Kind != codec.Frame {
						b.Fatal("no frame")
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/byte")
			})
		}
	}
}

// BenchmarkRefuse is the cost of the commonest garbage: a TLS hello on the plain port.
func BenchmarkRefuse(b *testing.B) {
	d := NewDecoder(NewRequest(Limits{}))
	in := []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	b.ReportAllocs()
	for b.Loop() {
		d.Reset(d.req)
		if d.Decode(in).Kind != codec.Bad {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkChunk1KiB(b *testing.B) {
	in := []byte(upload + strings.Repeat("x", 1024) + "\r\n0\r\n\r\n")
	d := NewDecoder(NewRequest(Limits{}))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := in; len(rest) > 0; {
			u := d.Decode(rest)
			if u.Kind == codec.Bad {
				b.Fatal(u.Fault)
			}
			rest = rest[u.N:]
		}
	}
}

// BenchmarkChunk1Byte is the worst framing a peer can choose: six bytes for one.
func BenchmarkChunk1Byte(b *testing.B) {
	const chunks = 1000
	in := []byte(chunked + strings.Repeat("1\r\nx\r\n", chunks) + "0\r\n\r\n")
	d := NewDecoder(NewRequest(Limits{}))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := in; len(rest) > 0; {
			u := d.Decode(rest)
			if u.Kind == codec.Bad {
				b.Fatal(u.Fault)
			}
			rest = rest[u.N:]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks, "ns/chunk")
}

// BenchmarkNetHTTPChunk1Byte is the standard library on the same bytes.
func BenchmarkNetHTTPChunk1Byte(b *testing.B) {
	const chunks = 1000
	in := chunked + strings.Repeat("1\r\nx\r\n", chunks) + "0\r\n\r\n"
	br := bufio.NewReader(nil)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		br.Reset(strings.NewReader(in))
		req, err := http.ReadRequest(br)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, req.Body); n != chunks || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkAppendHead(b *testing.B) {
	dst := make([]byte, 0, 512)
	h := Head{Status: 200, Date: []byte("Sun, 06 Nov 1994 08:49:37 GMT"), ContentType: "text/plain", Length: 13}
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendHead(dst[:0], h)
	}
	if !bytes.HasSuffix(dst, []byte("\r\n\r\n")) {
		b.Fatal("no end")
	}
}

func BenchmarkAppendError(b *testing.B) {
	dst := make([]byte, 0, 512)
	e := ErrorReply{Status: 429, Date: []byte("Sun, 06 Nov 1994 08:49:37 GMT"), Detail: "too many requests from your network", RetryAfter: 1}
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendError(dst[:0], e)
	}
}
