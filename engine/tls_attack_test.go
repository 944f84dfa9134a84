package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/codec/length"
	"weir/engine/service/echo"
	"weir/guard"
)

// Each test here was an attack that worked once.

// forger writes TLS 1.3 records of any type on an established connection: it has the client's keys.
// Nothing else may be written there.
type forger struct {
	*tls.Conn
	raw  net.Conn
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

func dialForger(t *testing.T, addr string) *forger {
	t.Helper()
	var log strings.Builder
	cfg := clientTLS(tls.VersionTLS13)
	cfg.KeyLogWriter = &log
	f := &forger{raw: dial(t, addr)}
	f.Conn = tls.Client(f.raw, cfg)
	if err := f.Handshake(); err != nil {
		t.Fatal(err)
	}
	if s := f.ConnectionState().CipherSuite; s != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("skipped: this machine prefers %s", tls.CipherSuiteName(s))
	}
	for line := range strings.Lines(log.String()) {
		if fields := strings.Fields(line); fields[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, _ := hex.DecodeString(fields[2])
			expand := func(label string, n int) []byte { // RFC 8446 7.1
				info := binary.BigEndian.AppendUint16(nil, uint16(n))
				info = append(append(append(info, byte(6+len(label))), "tls13 "+label...), 0)
				key, err := hkdf.Expand(sha256.New, secret, string(info), n)
				if err != nil {
					t.Fatal(err)
				}
				return key
			}
			block, err := aes.NewCipher(expand("key", 16))
			if err != nil {
				t.Fatal(err)
			}
			f.aead, _ = cipher.NewGCM(block)
			f.iv = expand("iv", 12)
		}
	}
	return f
}

const (
	handshakeRecord = 22
	dataRecord      = 23
)

// record appends a record.
func (f *forger) record(dst []byte, kind byte, data string) []byte {
	head := []byte{23, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(data)+1+16))
	nonce := append([]byte(nil), f.iv...)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^f.seq)
	f.seq++
	return f.aead.Seal(append(dst, head...), nonce, append([]byte(data), kind), head)
}

// TestTLSMessagesThatNeverEnd: crypto/tls gathered up to 256 KiB of a handshake message after the
// handshake, which counted nowhere.
func TestTLSMessagesThatNeverEnd(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, nil)
	f := dialForger(t, addr)
	frame := string(length.Append(nil, []byte("good")))
	f.raw.Write(f.record(nil, dataRecord, frame))
	if _, err := io.ReadFull(f, make([]byte, len(frame))); err != nil {
		t.Fatal(err)
	}
	f.raw.Write(f.record(nil, handshakeRecord, "\x0b\x03\xff\xfc"+strings.Repeat("x", 8<<10)))
	ends(t, f.raw)
	if s := snap(e); s.Shed[guard.ShedRecords] != 1 {
		t.Errorf("%v", s.Shed)
	}
}

// Records without data are let through now and then, not all the time, whatever is in between.
func TestTLSEmptyRecords(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, nil)
	frame := string(length.Append(nil, []byte("x")))
	for _, c := range []struct {
		empty int
		shed  uint64
	}{{idleRecords - 1, 0}, {idleRecords + 10, 1}} {
		f := dialForger(t, addr)
		for range c.empty {
			f.raw.Write(f.record(f.record(nil, dataRecord, ""), dataRecord, frame))
		}
		n, err := io.CopyN(io.Discard, f, int64(c.empty*len(frame)))
		if (err == nil) != (c.shed == 0) {
			t.Errorf("%d empty records: %d bytes came back, %v", c.empty, n, err)
		}
		if s := snap(e); s.Shed[guard.ShedRecords] != c.shed {
			t.Errorf("%d empty records: %v", c.empty, s.Shed)
		}
	}
}

// TestTLSDrippingHandshakeGivesWay: one handshake that dripped a record now and then kept all stalled
// ones from being given up for newcomers.
func TestTLSDrippingHandshakeGivesWay(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, func(c *Config) { c.MaxHandshakes, c.Listeners[0].HandshakeTimeout = 4, time.Minute })
	hi := helloOf(t, tls.VersionTLS12)
	drip := dial(t, addr)
	drip.Write(hi)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			piece := "\x16\x03\x03\x00\x01\x00"
			if i == 0 {
				piece = "\x16\x03\x03\x00\x04\x10\x00\x10\x00" // a ClientKeyExchange of 4 KiB
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			if _, err := io.WriteString(drip, piece); err != nil {
				return
			}
		}
	})
	eventually(t, "one is under way", func() bool { return snap(e).HandshakesOpen == 1 })
	for range 3 {
		dial(t, addr).Write(hi)
	}
	eventually(t, "four are under way", func() bool { return snap(e).HandshakesOpen == 4 })
	peersTurn(t, e, 3)
	time.Sleep(2 * evictShakeAfter)
	for range 3 {
		roundTrip(t, dialTLS(t, addr, clientTLS(0)))
	}
	close(stop)
	wg.Wait()
}

// TestTLSHerd: of 300 clients that came at once a queue of 128 shed a quarter.
func TestTLSHerd(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, func(c *Config) {
		c.Loops = 2
		l := &c.Listeners[0]
		l.SourceConnRate, l.SourceConns, l.SourceUnproven, l.SourceHandshakeRate = 0, 0, 0, 0
		l.HandshakeTimeout, l.FirstFrameTimeout = time.Minute, time.Minute // 300 take a slow machine their time
		c.Guard.MaxUnproven = 2000
	})
	var wg sync.WaitGroup
	for range 300 {
		wg.Go(func() {
			c, err := tls.Dial("tcp", addr, clientTLS(0))
			if err != nil {
				t.Error(err, snap(e).Shed)
				return
			}
			defer c.Close()
			frame := length.Append(nil, []byte("one of many"))
			c.Write(frame)
			if _, err := io.ReadFull(c, make([]byte, len(frame))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestTLSHandshakesAreBounded: a client's part of a handshake could be 130 KiB, in any number of
// steps, and nothing of it counted.
func TestTLSHandshakesAreBounded(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, func(c *Config) { c.Listeners[0].HandshakeTimeout = time.Minute })
	hi := helloOf(t, tls.VersionTLS12)
	c := dial(t, addr)
	c.Write(hi)
	eventually(t, "it counts", func() bool { return snap(e).Buffered >= shakeHolds })
	sent := 0
	for range 20 { // a ClientKeyExchange of 64 KiB
		piece := "\x16\x03\x03\x10\x00\x10\x01\x00\x00" + strings.Repeat("x", 4096-4)
		n, err := io.WriteString(c, piece)
		if sent += n; err != nil {
			break
		}
		eventually(t, "it is read, or refused", func() bool {
			s := snap(e)
			return s.BytesIn == uint64(len(hi)+sent) || s.Shed[guard.ShedTLS] > 0
		})
	}
	ends(t, c)
	eventually(t, "it is refused", func() bool { return snap(e).Shed[guard.ShedTLS] == 1 })
	if s := snap(e); s.BytesIn > 48<<10 {
		t.Errorf("%d bytes were read", s.BytesIn)
	}
	many := dial(t, addr)
	many.Write(hi)
	for i := range 4 << 10 { // as long as that message is
		piece := "\x16\x03\x03\x00\x01\x00"
		if i == 0 {
			piece = "\x16\x03\x03\x00\x04\x10\x00\x10\x00"
		}
		if _, err := io.WriteString(many, piece); err != nil {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	ends(t, many)
	eventually(t, "so are many steps", func() bool { return snap(e).Shed[guard.ShedTLS] == 2 })
	eventually(t, "nothing is left", func() bool { s := snap(e); return s.Buffered == 0 && s.HandshakesOpen == 0 })
}

// TestTLSBytesBehindTheHello: a few bytes behind a ClientHello, less than a record's header, had the
// only worker spin for ever.
func TestTLSBytesBehindTheHello(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, func(c *Config) {
		c.HandshakeWorkers = 1
		c.Listeners[0].HandshakeTimeout = 3 * time.Second
	})
	for _, hi := range [][]byte{helloOf(t, tls.VersionTLS12), helloOf(t, 0)} {
		for _, behind := range []string{"\x16", "\x17\x03\x03", "\x17\x03\x03\x00", "\x17\x03\x03\x00\x10", "\x17\x03\x03\x00\x10x"} {
			dial(t, addr).Write(append(hi[:len(hi):len(hi)], behind...))
		}
	}
	roundTrip(t, dialTLS(t, addr, clientTLS(0)))
	eventually(t, "all but the good one are given up", func() bool {
		s := snap(e)
		return s.Conns == 1 && s.HandshakesOpen == 0 && s.HandshakesQueued == 0
	})
}

// TestTLSLongHellosCount: what crypto/tls keeps of a long ClientHello for as long as the connection
// lives counted nowhere.
func TestTLSLongHellosCount(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, nil)
	usual := dialTLS(t, addr, clientTLS(0))
	roundTrip(t, usual)
	eventually(t, "a usual one counts little", func() bool { s := snap(e); return s.HandshakesOpen == 0 && s.Buffered < 2<<10 })
	cfg := clientTLS(0)
	for i := range 55 {
		cfg.NextProtos = append(cfg.NextProtos, strings.Repeat("x", 245)+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	roundTrip(t, dialTLS(t, addr, cfg))
	if s := snap(e); s.Buffered < 25<<10 {
		t.Errorf("%d bytes counted after a hello of 14 KB", s.Buffered)
	}
}

// TestTLSCostOfWhoHasGone: a reset in the middle of an expensive handshake spared its source the cost.
func TestTLSCostOfWhoHasGone(t *testing.T) {
	slow := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		for begun := time.Now(); time.Since(begun) < 50*time.Millisecond; {
		}
		c := testCert()
		return &c, nil
	}}
	e, addr := serve(t, echo.Frames(1000), 1004, tlsWith(slow, func(c *Config) {
		c.HandshakeWorkers = 1
		c.Listeners[0].SourceHandshakeRate, c.Listeners[0].SourceHandshakeBurst = 1, 10
	}))
	hi := helloOf(t, 0)
	for i := range 10 {
		c := dial(t, addr)
		c.Write(hi)
		eventually(t, "it is begun, or shed", func() bool {
			s := snap(e)
			return s.HandshakesBegun+s.Shed[guard.ShedSourceHandshakes] == uint64(i+1)
		})
		c.SetLinger(0)
		c.Close()
		eventually(t, "the worker is done with it", func() bool { return snap(e).HandshakesOpen == 0 })
	}
	if s := snap(e); s.HandshakesBegun > 4 || s.Shed[guard.ShedSourceHandshakes] < 6 {
		t.Errorf("%d begun, %d shed", s.HandshakesBegun, s.Shed[guard.ShedSourceHandshakes])
	}
}
