// Package signed makes and checks frames that carry a tag, so that nobody on the way can alter, drop,
// repeat, reorder or invent one unnoticed. It does not hide what they say: TLS does.
//
//	0                n             n+16
//	├─payload────────┼─tag─────────┤    = the payload of one frame of package length
//
// The tag is the first 16 bytes of HMAC-SHA-256 over 8 bytes of sequence number, big-endian, and
// the payload. The key is one direction's of one connection. The number counts that direction's
// frames from 0 and is not sent: the bytes come over TCP in order, so both ends know it, as in TLS
// 1.3. A frame that is repeated, left out, out of its place, from another connection or from the
// other direction fails by the same comparison as one that was altered: there is no second rule to
// get wrong. What was given up is to tell these apart in a counter, and 8 bytes a frame would have
// paid for it. 16 bytes of tag are what RFC 2104 allows at least: one wrong guess ends the
// connection, and there are 2^128.
//
// The keys come from the 32 bytes that a login gives to both ends (package sasl), by HKDF-Expand
// (RFC 5869) with SHA-256 and these labels:
//
//	client to server: "weir signed frames v1 client to server"
//	server to client: "weir signed frames v1 server to client"
//
// It knows no connection, no frames' lengths and no accounts. Anybody may import it.
package signed

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"

	"weir/codec"
)

const (
	// TagBytes is what a tag adds to each payload.
	TagBytes = 16
	// SecretBytes is the size of what a login gives, and of the keys.
	SecretBytes = 32
)

// Key is one direction's key.
type Key [SecretBytes]byte

// Keys derives both directions' keys of a connection from its login's secret. Any goroutine.
func Keys(secret [SecretBytes]byte) (clientToServer, serverToClient Key) {
	return derive(secret, "weir signed frames v1 client to server"), derive(secret, "weir signed frames v1 server to client")
}

func derive(secret [SecretBytes]byte, label string) (k Key) {
	b, err := hkdf.Expand(sha256.New, secret[:], label, len(k))
	if err != nil {
		panic("signed: " + err.Error()) // only for more than 8,160 bytes
	}
	copy(k[:], b)
	return k
}

// direction counts and tags one direction's frames.
type direction struct {
	mac hash.Hash
	seq uint64 // of the next frame; MaxUint64 is never used
	num [8]byte
	sum [sha256.Size]byte
}

func (d *direction) tag(payload []byte) []byte {
	binary.BigEndian.PutUint64(d.num[:], d.seq)
	d.mac.Reset()
	d.mac.Write(d.num[:])
	d.mac.Write(payload)
	return d.mac.Sum(d.sum[:0])[:TagBytes]
}

// Sealer signs the frames of one direction of one connection. Not for concurrent use.
type Sealer struct{ d direction }

// NewSealer makes a Sealer whose first frame is number 0. Two Sealers with one key are a mistake:
// each would accept what the other's peer recorded.
func NewSealer(k Key) *Sealer { return &Sealer{direction{mac: hmac.New(sha256.New, k[:])}} }

// Append appends payload and its tag to dst and returns the extended slice, to be sent as one frame of
// len(payload) + TagBytes. The payload is copied; it may be empty. dst's free room must not overlap it.
//
// hot: 0 allocs, see BenchmarkSeal
func (s *Sealer) Append(dst, payload []byte) []byte {
	if s.d.seq == math.MaxUint64 {
		panic("signed: the sequence has ended") // after 500 years of a frame a nanosecond
	}
	tag := s.d.tag(payload)
	s.d.seq++
	return append(append(dst, payload...), tag...)
}

// Opener checks the frames of one direction of one connection. Not for concurrent use.
type Opener struct {
	d   direction
	bad bool
}

// NewOpener makes an Opener that expects number 0 first.
func NewOpener(k Key) *Opener { return &Opener{d: direction{mac: hmac.New(sha256.New, k[:])}} }

// Open returns the payload of a frame, as a view into it, or BadSignature. After that it answers
// nothing else: the connection is to be closed. The comparison takes the same time wherever the
// tags differ.
//
// hot: 0 allocs, see BenchmarkOpen
func (o *Opener) Open(frame []byte) (payload []byte, f codec.Fault) {
	n := len(frame) - TagBytes
	if o.bad || n < 0 || o.d.seq == math.MaxUint64 || !hmac.Equal(o.d.tag(frame[:n]), frame[n:]) {
		o.bad = true
		return nil, codec.BadSignature
	}
	o.d.seq++
	return frame[:n:n], codec.OK
}
