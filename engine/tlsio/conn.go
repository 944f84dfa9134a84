package tlsio

import (
	"crypto/tls"
	"errors"
)

// Conn is an established TLS connection.
type Conn struct {
	tls    *tls.Conn
	wire   wire
	shaken int // bytes that the peer sent for the handshake
}

// Held is about how many bytes a Conn keeps beyond the 8 KiB that all do: crypto/tls's buffers grow
// with the longest record and the longest handshake message, up to twice as far, and never shrink;
// and a client's certificates stay.
func (c *Conn) Held() int {
	const usual = 2 << 10
	return max(0, c.wire.longest-usual)*9/8 + 2*max(0, c.shaken-usual)
}

// Opened is what Open found.
type Opened struct {
	// Used bytes of the input are finished with: whole records. The rest must be presented again
	// with what arrives next.
	Used int
	// Lacks is a lower bound of the bytes that the record at the end of the input lacks; at least 1.
	Lacks int
	// Records is how many records were opened, Idle how many of them brought no data, where a long
	// one counts as one for each 64 bytes: an update of keys has 27, and what crypto/tls keeps of a
	// message that is not complete may be long.
	Records, Idle int
	// Err is io.EOF when the peer has said that it sends nothing more (close_notify). Any other
	// error ends the connection: the peer broke the protocol, or says that we did. Nothing is
	// opened after an error; the same is returned again.
	Err error
}

// idleUnit is how many bytes of a record without data count as one such record.
const idleUnit = 64

// room is what Open needs to be free in its buffer before each record: a record's data, 16 KiB.
const room = 16 << 10

// Open decrypts the records at the front of b, up to most of them, appends their data to plain and
// returns it. What the connection has to answer, an update of keys or an alert, is appended to *out.
// b is not changed and is the caller's again on return. It allocates 24 bytes a record, in
// crypto/tls.
func (c *Conn) Open(plain, b []byte, most int, out *[]byte) ([]byte, Opened) {
	var o Opened
	c.wire.out = out
	defer func() { c.wire.in, c.wire.out = nil, nil }()
	for {
		n, ok := recordLen(b[o.Used:])
		if !ok || o.Records == most {
			if n == 0 {
				n = headerLen
			}
			o.Lacks = max(1, n-(len(b)-o.Used))
			return plain, o
		}
		c.wire.in, c.wire.record = b[o.Used:o.Used+n], 0 // a record at a time
		o.Used += n
		o.Records++
		if cap(plain)-len(plain) < room {
			plain = append(make([]byte, 0, 2*cap(plain)+room), plain...)
		}
		got, err := c.tls.Read(plain[len(plain) : len(plain)+room])
		plain = plain[:len(plain)+got]
		if got == 0 {
			o.Idle += 1 + n/idleUnit
		}
		if err != nil && !errors.Is(err, errDry) {
			o.Err, o.Lacks = err, 1
			return plain, o
		}
	}
}

// Seal encrypts p and appends the records to *out. An error means that the connection is finished:
// CloseWrite came before, or Open returned an error other than io.EOF.
func (c *Conn) Seal(p []byte, out *[]byte) error {
	c.wire.out = out
	_, err := c.tls.Write(p)
	c.wire.out = nil
	return err
}

// CloseWrite appends to *out that nothing more will be sent (close_notify). The peer may go on.
func (c *Conn) CloseWrite(out *[]byte) {
	c.wire.out = out
	_ = c.tls.CloseWrite() // an error means that an alert has been sent already, which says the same
	c.wire.out = nil
}

// State is what was agreed on.
func (c *Conn) State() tls.ConnectionState { return c.tls.ConnectionState() }
