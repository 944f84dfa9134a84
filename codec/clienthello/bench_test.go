package clienthello

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"weir/codec"
)

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"openssl", captures(b)["openssl-tls13"]},
		{"go-pq", helloOf(b, &tls.Config{ServerName: "example.com", NextProtos: []string{"h2", "http/1.1"}})},
		{"chrome-pq", records(chrome("www.example.com"))},
		{"capitals", records(message(sni("WWW.Example.com")))},
		{"records-512", captures(b)["openssl-fragments"]},
		{"records-1", every(1, chrome("www.example.com"))},
		{"extensions-4000", records(manyExtensions(4000))},
	} {
		b.Run(c.name, func(b *testing.B) {
			in := []byte(c.in)
			var d Decoder
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

// BenchmarkCryptoTLS is the standard library up to GetConfigForClient on the same bytes: what is
// saved for each hello that is refused here.
func BenchmarkCryptoTLS(b *testing.B) {
	in := records(chrome("www.example.com"))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if serverReads(in) == nil {
			b.Fatal("not accepted")
		}
	}
}

// BenchmarkRefuse is what a peer costs that sends something else.
func BenchmarkRefuse(b *testing.B) {
	in := []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		var d Decoder
		if d.Decode(in).Kind != codec.Bad {
			b.Fatal("not bad")
		}
	}
}

// BenchmarkDrip presents a hello one byte more at a time. The cost per byte must not grow with the
// size of the hello or the number of its records.
func BenchmarkDrip(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 10, 16 << 10} {
		for _, record := range []int{5, maxRecord} {
			m := message(ext(21, strings.Repeat("\x00", size-100)))
			b.Run(fmt.Sprintf("%dKiB-records-%d", size>>10, record), func(b *testing.B) {
				in := []byte(every(record, m))
				var d Decoder
				b.SetBytes(int64(len(in)))
				b.ReportAllocs()
				for b.Loop() {
					for n := 1; n < len(in); n++ {
						if d.Decode(in[:n]).Kind != codec.More {
							b.Fatal("not more")
						}
					}
					if d.Decode(in).Kind != codec.Frame {
						b.Fatal("no frame")
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(in)), "ns/byte")
			})
		}
	}
}
