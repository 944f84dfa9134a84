// Package mqtt decodes what a client sends to an MQTT broker: control packets of versions 3.1, 3.1.1 and 5.
//
//	type and flags │ remaining length, 1 to 4 bytes │ variable header │ payload
//
// A packet is a Frame and, when there is more of it, Parts and an End. The Frame reaches as far as a guard
// wants to see: in CONNECT to the keep-alive, in PUBLISH to the topic, else to the remaining length. What is too
// large is refused when it is announced. Data is what stood on the wire, framing included, so that a relay
// passes on what was looked at and nothing else.
//
// Checked is what can be known without keeping the packet: that the first packet is CONNECT and no other
// is, that the type is one that a client may send in its version, the reserved flags, that the
// remaining length is in its shortest form and fits the type, and the topic of PUBLISH. What stands behind
// that is for the broker to judge. The package owns no buffer. Anybody may import it.
//
// The clauses in brackets are those of OASIS MQTT 3.1.1 and 5.0.
package mqtt

import (
	"bytes"
	"unicode/utf8"

	"weir/codec"
)

const (
	// DefaultMax is the largest packet when Decoder.Max is 0: 1 MiB.
	DefaultMax = 1 << 20
	// MaxMax is the largest packet that the protocol knows: five bytes, and 256 MiB less one.
	MaxMax = 5 + 1<<28 - 1
	// DefaultMaxTopic is the longest topic when Decoder.MaxTopic is 0.
	DefaultMaxTopic = 1 << 10
	// MaxMaxTopic is the longest topic that the protocol knows.
	MaxMaxTopic = 1<<16 - 1
	// MaxConnect is the longest CONNECT that is let through, in bytes: it comes before the client has proved
	// anything, and client name, will, user name and password fit in a quarter of it.
	MaxConnect = 16 << 10
)

// Type is that of a control packet [2.1.2].
type Type uint8

// The types.
const (
	Connect Type = 1 + iota
	Connack
	Publish
	Puback
	Pubrec
	Pubrel
	Pubcomp
	Subscribe
	Suback
	Unsubscribe
	Unsuback
	Pingreq
	Pingresp
	Disconnect
	Auth
)

// The versions, as CONNECT has them.
const (
	V31  = 3
	V311 = 4
	V5   = 5
)

// bridge is set beside the version by brokers that connect to another one, mosquitto for one; it is no part of the
// standard. The broker behind says what it makes of it.
const bridge = 0x80

// Decoder decodes one direction of one connection. The zero value is ready for use. It allocates
// nothing. Not for concurrent use.
type Decoder struct {
	// Max is the largest packet in bytes, 2 ≤ Max ≤ MaxMax. 0 and below mean DefaultMax; above MaxMax
	// means MaxMax. To be set before the first Decode.
	Max int
	// MaxTopic is the longest topic of a PUBLISH in bytes, 1 to MaxMaxTopic. 0 and below mean
	// DefaultMaxTopic, above MaxMaxTopic that. Up to so much is kept until it is whole.
	MaxTopic int

	typ       Type
	version   uint8 // 0: no CONNECT yet
	ended     bool  // DISCONNECT has come
	tail      bool  // the Frame has been told, the End has not
	partial   bool
	lacks     int
	left      int // of the packet, behind what was told
	keepAlive uint16
	topicAt   int // in the Frame's Data
	topicEnd  int
}

var _ codec.Decoder = (*Decoder)(nil)

// Decode returns a Frame with the beginning of a packet, Parts of the rest and an End when there is more of it, or
// More with N 0, or Bad with FrameTooLarge or BadMQTT. Data has N bytes. Its work is linear in N.
//
// hot: 0 allocs, see BenchmarkDecode
func (d *Decoder) Decode(b []byte) codec.Unit {
	if d.tail {
		return d.part(b)
	}
	if len(b) == 0 {
		d.partial, d.lacks = false, 2
		return codec.Unit{}
	}
	n, need, fault := d.head(b)
	switch {
	case fault != codec.OK:
		return codec.Unit{Kind: codec.Bad, Fault: fault}
	case n == 0:
		d.partial, d.lacks = true, need-len(b)
		return codec.Unit{}
	}
	d.tail, d.partial = d.left > 0, false
	d.lacks = 2
	return codec.Unit{Kind: codec.Frame, N: n, Data: b[:n:n]}
}

// head looks at the beginning of a packet: n is how long the Frame is, or 0 when b must have at least need bytes
// before more can be said.
func (d *Decoder) head(b []byte) (n, need int, fault codec.Fault) {
	typ, flags := Type(b[0]>>4), b[0]&15
	if !d.mayCome(typ, flags) {
		return 0, 0, codec.BadMQTT
	}
	size, at, ok := remaining(b[1:])
	if !ok {
		return 0, 0, codec.BadMQTT
	}
	if at == 0 {
		return 0, len(b) + 1, codec.OK
	}
	at++
	if least, most := d.bounds(typ, flags); size < least || size > most {
		return 0, 0, codec.BadMQTT
	}
	if at+size > d.limit() || typ == Connect && at+size > MaxConnect {
		return 0, 0, codec.FrameTooLarge
	}
	d.topicAt, d.topicEnd = 0, 0
	n = at
	switch typ {
	case Connect:
		n, need, fault = d.connect(b, at, size)
	case Publish:
		n, need, fault = d.publish(b, at, size, flags)
	}
	if n == 0 {
		return 0, need, fault
	}
	d.typ, d.left = typ, at+size-n
	d.ended = typ == Disconnect
	return n, 0, codec.OK
}

// mayCome says whether a client may send such a packet now. Flags other than those of PUBLISH are reserved [2.2.2].
func (d *Decoder) mayCome(t Type, flags byte) bool {
	if d.ended || (t == Connect) != (d.version == 0) { // [3.1.0-1], [3.1.0-2], [3.14.4-1]
		return false
	}
	switch t {
	case Publish:
		return flags>>1&3 != 3 && (flags>>1&3 != 0 || flags&8 == 0) // no QoS 3, no duplicate of QoS 0 [3.3.1-4], [3.3.1-2]
	case Pubrel, Subscribe, Unsubscribe:
		return flags == 2 || flags == 10 && d.version == V31 // in version 3.1 they, too, say that they come again
	case Connect, Puback, Pubrec, Pubcomp, Pingreq, Disconnect:
		return flags == 0
	case Auth:
		return flags == 0 && d.version == V5
	}
	return false
}

// bounds are the least and the largest remaining length that a packet of that type can have.
func (d *Decoder) bounds(t Type, flags byte) (least, most int) {
	const any = MaxMax
	v5 := d.version == V5
	switch t {
	case Connect:
		return 12, any // "MQTT", level, flags, keep-alive, and an empty client name
	case Publish:
		return d.besideTopic(flags), any
	case Puback, Pubrec, Pubrel, Pubcomp:
		if v5 {
			return 2, any
		}
		return 2, 2
	case Subscribe:
		return 6, any // identifier, a filter of one letter, its options
	case Unsubscribe:
		return 5, any
	case Disconnect, Auth:
		if v5 {
			return 0, any
		}
		return 0, 0
	}
	return 0, 0 // PINGREQ
}

// remaining reads a remaining length. n is how many bytes it has, 0 when they are not all there. ok is false when it is
// longer than four bytes or than it has to be [1.5.5-1].
func remaining(b []byte) (size, n int, ok bool) {
	for i, c := range b[:min(len(b), 4)] {
		size |= int(c&127) << (7 * i)
		if c < 128 {
			return size, i + 1, i == 0 || c != 0
		}
	}
	return 0, 0, len(b) < 4
}

// connect looks at a CONNECT's variable header [3.1.2], whose first byte is b[at].
func (d *Decoder) connect(b []byte, at, size int) (n, need int, fault codec.Fault) {
	h := b[at:]
	if len(h) < 2 {
		return 0, at + 2, codec.OK
	}
	name, levels := "MQTT", []byte{V311, V5}
	if h[0] == 0 && h[1] == 6 {
		name, levels = "MQIsdp", []byte{V31}
	} else if h[0] != 0 || h[1] != 4 {
		return 0, 0, codec.BadMQTT
	}
	end := 2 + len(name) + 4
	if end+2 > size {
		return 0, 0, codec.BadMQTT
	}
	if len(h) < end {
		return 0, at + end, codec.OK
	}
	level, flags := h[end-4], h[end-3]
	if level&^bridge <= V311 {
		level &^= bridge
	}
	if string(h[2:2+len(name)]) != name || bytes.IndexByte(levels, level) < 0 {
		return 0, 0, codec.BadMQTT
	}
	const reserved, will, qos, retain, password, user = 1, 1 << 2, 3 << 3, 1 << 5, 1 << 6, 1 << 7
	switch {
	case flags&reserved != 0, // [3.1.2-3]
		flags&will == 0 && flags&(qos|retain) != 0, // [3.1.2-11], [3.1.2-13]
		flags&qos == qos, // [3.1.2-12]
		level != V5 && flags&user == 0 && flags&password != 0: // [3.1.2-22] of 3.1.1
		return 0, 0, codec.BadMQTT
	}
	d.version = level
	d.keepAlive = uint16(h[end-2])<<8 | uint16(h[end-1])
	return at + end, 0, codec.OK
}

// besideTopic is what a PUBLISH has at least beside the letters of its topic and its payload.
func (d *Decoder) besideTopic(flags byte) int {
	n := 2 // the topic's length
	if flags>>1&3 != 0 {
		n += 2 // packet identifier
	}
	if d.version == V5 {
		n++ // length of the properties
	}
	return n
}

// publish looks at the topic of a PUBLISH, whose variable header begins at b[at].
func (d *Decoder) publish(b []byte, at, size int, flags byte) (n, need int, fault codec.Fault) {
	if len(b) < at+2 {
		return 0, at + 2, codec.OK
	}
	length := int(b[at])<<8 | int(b[at+1])
	switch {
	case length == 0 && d.version != V5: // in version 5 a number may stand for it [3.3.2.3.4]
		return 0, 0, codec.BadMQTT
	case length > d.topicLimit():
		return 0, 0, codec.FrameTooLarge
	case length+d.besideTopic(flags) > size:
		return 0, 0, codec.BadMQTT
	}
	end := at + 2 + length
	if len(b) < end {
		return 0, end, codec.OK
	}
	topic := b[at+2 : end]
	if bytes.IndexByte(topic, 0) >= 0 || bytes.IndexByte(topic, '+') >= 0 || bytes.IndexByte(topic, '#') >= 0 || !utf8.Valid(topic) { // [1.5.4-1], [1.5.4-2], [3.3.2-2]
		return 0, 0, codec.BadMQTT
	}
	d.topicAt, d.topicEnd = at+2, end
	return end, 0, codec.OK
}

// part takes what has come of the rest of a packet.
func (d *Decoder) part(b []byte) codec.Unit {
	if d.left == 0 {
		d.tail, d.partial = false, false
		return codec.Unit{Kind: codec.End}
	}
	n := min(d.left, len(b))
	if n == 0 {
		d.lacks = 1
		return codec.Unit{}
	}
	d.left -= n
	return codec.Unit{Kind: codec.Part, N: n, Data: b[:n:n]}
}

// Type is that of the packet that the last Frame began; 0 before the first.
func (d *Decoder) Type() Type { return d.typ }

// Version is what the client's CONNECT said: V31, V311 or V5; 0 before it.
func (d *Decoder) Version() int { return int(d.version) }

// KeepAlive is the number of seconds within which the client has promised to send a packet, from its CONNECT; 0: it has not.
func (d *Decoder) KeepAlive() int { return int(d.keepAlive) }

// Topic is that of a PUBLISH, given its Frame's Data; empty for all others and where a number stands for it.
func (d *Decoder) Topic(data []byte) []byte {
	if d.topicEnd > len(data) {
		return nil
	}
	return data[d.topicAt:d.topicEnd]
}

// Lacks is exact inside the beginning of a packet. At least 1.
func (d *Decoder) Lacks() int { return max(1, d.lacks) }

// Partial reports whether a packet has begun and is not complete.
func (d *Decoder) Partial() bool { return d.partial || d.tail }

func (d *Decoder) limit() int {
	switch {
	case d.Max <= 0:
		return DefaultMax
	case d.Max > MaxMax:
		return MaxMax
	}
	return d.Max
}

func (d *Decoder) topicLimit() int {
	switch {
	case d.MaxTopic <= 0:
		return DefaultMaxTopic
	case d.MaxTopic > MaxMaxTopic:
		return MaxMaxTopic
	}
	return d.MaxTopic
}
