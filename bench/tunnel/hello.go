package tunnel

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// A ClientHello as it begins on the wire (RFC 8446, 4.1.2 and 5.1):
//
//	22 3 1 len len | 1 len len len | 3 3 | random, 32 bytes | session id ...
//	record           handshake
const (
	recordHead  = 5
	helloRandom = recordHead + 4 + 2
	randomBytes = 32
)

// Hello is a complete, valid ClientHello in one record, made once: its key share is the same in every copy, as a server
// cannot tell, and its owner never learns the secret. What is made of it costs a copy and not a key. Not for
// concurrent use.
type Hello struct {
	record []byte
	random *rand.Rand
}

// NewHello returns the ClientHello of connections with cfg.
func NewHello(cfg *tls.Config) (*Hello, error) {
	c := New(cfg)
	defer c.Stop()
	if _, err := c.Step(nil); err != nil {
		return nil, fmt.Errorf("make a ClientHello: %w", err)
	}
	b := c.pipe.out
	if len(b) < helloRandom+randomBytes || int(binary.BigEndian.Uint16(b[3:])) != len(b)-recordHead {
		return nil, fmt.Errorf("make a ClientHello: %d bytes are not one record", len(b))
	}
	return &Hello{record: b, random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}, nil
}

// Next returns the record with random bytes that were not there before, good until the next call.
func (h *Hello) Next() []byte {
	for i := 0; i < randomBytes; i += 8 {
		binary.NativeEndian.PutUint64(h.record[helloRandom+i:], h.random.Uint64())
	}
	return h.record
}

// Dripped returns the ClientHello as it is dripped: as one record, or with every byte of the handshake in a
// record of its own.
func (h *Hello) Dripped(records bool) []byte {
	if !records {
		return h.record
	}
	var out []byte
	for _, b := range h.record[recordHead:] {
		out = append(out, h.record[0], h.record[1], h.record[2], 0, 1, b)
	}
	return out
}
