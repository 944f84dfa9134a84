package tlsio

import (
	"io"
	"net"
	"time"
)

// wire is the net.Conn under a tls.Conn.
type wire struct {
	in            []byte              // whole records that have arrived, or one whose header is wrong
	record        int                 // bytes left of the record that is being read
	longest       int                 // of the records that were read
	out           *[]byte             // where records to be sent are appended
	yield         func(struct{}) bool // during the handshake: waits for more in; false: give up
	local, remote net.Addr
}

// Read gives out the record at the front, never a byte of the next one.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.in) == 0 {
		switch {
		case w.yield == nil:
			return 0, errDry
		case !w.yield(struct{}{}):
			return 0, net.ErrClosed
		}
	}
	if w.record == 0 {
		if w.record, _ = recordLen(w.in); w.record == 0 { // not whole records: who steps has a bug
			return 0, io.ErrUnexpectedEOF
		}
		w.longest = max(w.longest, w.record)
	}
	n := copy(p[:min(len(p), w.record)], w.in)
	w.in = w.in[n:]
	w.record -= n
	return n, nil
}

// Write appends, and never fails.
func (w *wire) Write(p []byte) (int, error) {
	*w.out = append(*w.out, p...)
	return len(p), nil
}

func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return w.local }
func (w *wire) RemoteAddr() net.Addr             { return w.remote }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// dry is the error of a Read that is out of bytes.
type dry struct{}

func (dry) Error() string   { return "tlsio: no more bytes yet" }
func (dry) Timeout() bool   { return true }
func (dry) Temporary() bool { return true }

var errDry net.Error = dry{}

const (
	headerLen = 5 // type, version, version, length, length
	// MaxRecord is the longest record that crypto/tls takes, header included: 16 KiB and, in TLS
	// 1.2, 2 KiB for what a cipher adds (RFC 5246 6.2.3).
	MaxRecord = headerLen + 16<<10 + 2<<10
)

// recordLen is the length of the record at the front of b, as far as its header tells: 0 while that
// is not complete. A header that no TLS record has is said to be a whole record of its own: so
// crypto/tls sees it, and answers, without waiting for what it promises.
func recordLen(b []byte) (n int, ok bool) {
	if len(b) < headerLen {
		return 0, false
	}
	const changeCipherSpec, heartbeat = 20, 24
	if b[0] < changeCipherSpec || b[0] > heartbeat || b[1] != 3 {
		return headerLen, true
	}
	n = headerLen + int(b[3])<<8 + int(b[4])
	if n > MaxRecord {
		return headerLen, true
	}
	return n, len(b) >= n
}

// Whole returns how many bytes at the front of b are whole records, and, when b ends inside a
// record, at least how many bytes that one lacks. It looks at the headers only.
func Whole(b []byte) (n, lacks int) {
	for {
		r, ok := recordLen(b[n:])
		if !ok {
			if r == 0 {
				r = headerLen
			}
			return n, r - (len(b) - n)
		}
		n += r
	}
}
