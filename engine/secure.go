package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/valyala/bytebufferpool"

	"weir/engine/service"
	"weir/engine/tlsio"
	"weir/guard"
	"weir/guard/mono"
)

const (
	// turnRecords bounds what a connection's turn decrypts: 0.1 ms when they are small. Of large
	// ones a read brings four.
	turnRecords = 256
	// smallRecord is what a TLS record counts at least against the byte budgets: opening one costs
	// as much as half a KiB of copying, however little is in it.
	smallRecord = 512
	// idleRecords bounds the records that bring no data: so many at once, and one a second. TLS
	// 1.3 asks for new keys after 2^24.5 full records (RFC 8446 5.5). Long ones count as several
	// (tlsio.Opened): crypto/tls would gather 256 KiB of a message that is never completed.
	idleRecords = 32
)

// secure is an established TLS connection.
type secure struct {
	*tlsio.Conn
	rawBytes
	more  bool      // raw holds whole records: the turn was over
	bye   bool      // close_notify or an alert is sent
	lacks int       // bytes that the record at the end of raw lacks, at least
	idle  mono.Time // when all idleRecords will be there again
}

var errShakeTooLong = errors.New("the client's part of the handshake is too long")

// cipherFor is where records for the peer go: behind what the kernel did not take, or to what the
// present wake sends. Before c.tls is there nothing else is written, and they go like plain bytes.
func (l *loop) cipherFor(c *conn) *[]byte {
	switch {
	case c.out != nil:
		return &c.out.B
	case c.tls == nil:
		return &l.out
	}
	return &l.cipher
}

// seal encrypts p for a TLS connection. When an alert has been sent that was the last word.
func (c *conn) seal(p []byte, out *[]byte) {
	if err := c.tls.Seal(p, out); err != nil {
		c.tls.bye = true
		c.state |= closing | politely
	}
}

// rawBytes are what has come of a TLS connection and is not opened: a part of a record, or whole ones
// that had no turn yet.
type rawBytes struct {
	raw *bytebufferpool.ByteBuffer // nil when there is nothing
}

// keepRaw keeps what is not finished with of b, which is raw.B when there is one.
func (r *rawBytes) keepRaw(b []byte, used int) {
	switch {
	case used == len(b):
		r.dropRaw()
	case r.raw == nil:
		r.raw = borrow(len(b) - used)
		r.raw.B = append(r.raw.B, b[used:]...)
	default:
		r.raw.B = r.raw.B[:copy(r.raw.B, b[used:])]
	}
}

func (r *rawBytes) dropRaw() {
	if r.raw != nil {
		giveBack(r.raw)
		r.raw = nil
	}
}

// mayIdle reports whether n more records without data are within the bound.
func (s *secure) mayIdle(n int, now mono.Time) bool {
	s.idle = max(s.idle, now) + mono.Time(n)*mono.Time(time.Second)
	return s.idle-now <= idleRecords*mono.Time(time.Second)
}

// decrypt takes the bytes of a read on an established TLS connection.
func (l *loop) decrypt(c *conn, b []byte) {
	s := c.tls
	if s.raw != nil {
		s.raw.B = append(s.raw.B, b...)
		b = s.raw.B
	}
	plain, o := s.Open(l.plain[:0], b, turnRecords, l.cipherFor(c))
	l.plain = plain[:0]
	s.keepRaw(b, o.Used)
	s.lacks = o.Lacks
	s.more = s.raw != nil && o.Records == turnRecords && o.Err == nil
	if o.Idle > 0 && !s.mayIdle(o.Idle, l.g.Now()) {
		l.drop(c, guard.ShedRecords)
		return
	}
	if len(plain) > 0 {
		l.take(c, plain)
	}
	if c.state&(gone|closing) != 0 {
		return
	}
	if v := l.g.Surcharge(c.id, o.Records*smallRecord-o.Used); v.Wait > 0 {
		l.throttle(c, v)
	}
	switch {
	case o.Err == nil:
		if s.more && c.state&(stops|again) == 0 {
			l.yield(c)
		}
	case errors.Is(o.Err, io.EOF):
		s.dropRaw()
		c.state |= eof
		l.proceed(c)
	default:
		l.failed(c, o.Err)
	}
}

// failed ends a connection whose TLS failed. An alert, if there is one to be sent, goes out first.
func (l *loop) failed(c *conn, err error) {
	l.shedEvent(c, guard.ShedTLS, err.Error(), nil)
	if c.intro != nil {
		l.endIntro(c)
	}
	if c.tls != nil {
		c.tls.bye = true // the alert says it
	}
	if c.outstanding() == 0 {
		l.end(c, true)
		return
	}
	c.state |= closing | politely
}

// farewell tells the peer of a connection that is about to end that nothing more comes.
func (l *loop) farewell(c *conn) {
	if s := c.tls; s != nil && !s.bye {
		s.bye = true
		s.CloseWrite(l.cipherFor(c))
		l.flush(c)
	}
}

// appendAlert appends a fatal TLS alert as it is sent before anything is agreed on (RFC 8446 6).
func appendAlert(dst []byte, description byte) []byte {
	const alert, fatal = 21, 2
	return append(dst, alert, 3, 1, 0, 2, fatal, description)
}

// TLS is service.Conn's.
func (c *conn) TLS() *service.TLS {
	if c.tls == nil {
		return nil
	}
	s := c.tls.State()
	t := &service.TLS{
		Version: tls.VersionName(s.Version), CipherSuite: tls.CipherSuiteName(s.CipherSuite),
		ServerName: s.ServerName, Protocol: s.NegotiatedProtocol, Resumed: s.DidResume,
		Export: s.ExportKeyingMaterial,
	}
	switch {
	case c.ln.VerifiedClient != nil:
		t.Client = c.ln.VerifiedClient(s)
	case len(s.VerifiedChains) > 0:
		t.Client = s.VerifiedChains[0][0]
	}
	return t
}

// countShake counts a handshake that succeeded.
func (l *loop) countShake(s *tls.ConnectionState) {
	k := TLS12
	if s.Version == tls.VersionTLS13 {
		k = TLS13
	}
	if s.DidResume {
		k++ // the resumed one
	}
	l.count.shakes[k]++
}
