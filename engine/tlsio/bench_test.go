package tlsio

import (
	"crypto/tls"
	"fmt"
	"testing"
)

// BenchmarkOpenSeal opens a record of a message and seals its echo.
func BenchmarkOpenSeal(b *testing.B) {
	for _, size := range []int{64, 1024, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c, client, sealed := established(b)
			message := make([]byte, size)
			var plain, out []byte
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				client.Write(message)
				in := sealed.take()
				b.StartTimer()
				for len(in) > 0 {
					var o Opened
					plain, o = c.Open(plain[:0], in, 1<<20, &out)
					if o.Err != nil {
						b.Fatal(o.Err)
					}
					in = in[o.Used:]
					if err := c.Seal(plain, &out); err != nil {
						b.Fatal(err)
					}
					out = out[:0]
				}
			}
		})
	}
}

// BenchmarkFirstStep is what a ClientHello costs: everything up to the server's Finished. The other
// half of it is what a goroutine of its own would cost.
func BenchmarkFirstStep(b *testing.B) {
	hello := helloOf(b)
	cfg := serverConfig(nil)
	b.Run("coroutine", func(b *testing.B) {
		b.ReportAllocs()
		var out []byte
		for b.Loop() {
			h := NewHandshake(cfg, nil, nil)
			if h.Step(hello, &out) {
				b.Fatal(h.Err())
			}
			h.Abort()
			out = out[:0]
		}
	})
	b.Run("goroutine", func(b *testing.B) {
		b.ReportAllocs()
		done := make(chan struct{})
		for b.Loop() {
			go func() {
				w := &wire{in: hello, out: new([]byte)}
				_ = tls.Server(w, cfg).Handshake() // ends where it needs more
				done <- struct{}{}
			}()
			<-done
		}
	})
}
