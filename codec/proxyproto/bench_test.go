package proxyproto

import (
	"testing"

	"weir/codec"
)

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"v1-TCP4", linesV1[0].in[:47]},
		{"v1-TCP6", linesV1[2].in},
		{"v1-UNKNOWN", linesV1[4].in},
		{"v2-TCP4", v2("21 11 000c" + inet)},
		{"v2-TCP6", v2("21 21 0024" + inet6)},
		{"v2-AWS-checksum", v2(aws)},
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

// BenchmarkDrip presents a header one byte more at a time. The cost per byte must not grow with the
// size of the header.
func BenchmarkDrip(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"v1-56", linesV1[1].in},
		{"v1-107", linesV1[4].in},
		{"v2-52", v2("21 21 0024" + inet6)},
		{"v2-4096", string(AppendV2(nil, Header{Command: Proxy, Source: ap("1.2.3.4:5"), Destination: ap("1.2.3.4:6"),
			TLVs: AppendTLV(AppendChecksum(nil), TypeNoOp, make([]byte, DefaultMax-28-7-3))}))},
	} {
		b.Run(c.name, func(b *testing.B) {
			in := []byte(c.in)
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

func BenchmarkAppend(b *testing.B) {
	h := Header{Command: Proxy, Source: ap("[2001:db8::1]:5"), Destination: ap("[2001:db8::2]:6")}
	dst := make([]byte, 0, 256)
	b.Run("v1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			AppendV1(dst, h)
		}
	})
	b.Run("v2", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			AppendV2(dst, h)
		}
	})
}
