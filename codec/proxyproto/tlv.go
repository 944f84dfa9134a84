package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
)

// Type is the kind of a TLV (2.2).
type Type uint8

// The registered types. 0xE0 to 0xEF are for applications, 0xF0 to 0xF7 for experiments.
const (
	TypeALPN      Type = 0x01 // the protocol name chosen by ALPN
	TypeAuthority Type = 0x02 // the host name the client asked for, such as the SNI
	TypeCRC32C    Type = 0x03 // the checksum of the whole header, 4 bytes
	TypeNoOp      Type = 0x04 // padding
	TypeUniqueID  Type = 0x05 // the connection's name among the proxies, up to 128 bytes
	TypeSSL       Type = 0x20 // client 1, verify 4, then TLVs of the types below
	TypeNetNS     Type = 0x30 // the name of the network namespace

	TypeSSLVersion    Type = 0x21 // "TLSv1.3"
	TypeSSLCN         Type = 0x22 // the client certificate's common name
	TypeSSLCipher     Type = 0x23
	TypeSSLSigAlg     Type = 0x24
	TypeSSLKeyAlg     Type = 0x25
	TypeSSLGroup      Type = 0x26
	TypeSSLSigScheme  Type = 0x27
	TypeSSLClientCert Type = 0x28 // the client certificate in DER
)

const (
	tlvBytes = 3 // type and length
	crcBytes = 4
)

// TLVs are the bytes of any number of TLVs, one behind the other. The value of TypeSSL holds some
// itself: TLVs(value[5:]).
type TLVs []byte

// All yields type and value of each but TypeNoOp, in order. A value is a view. If t is not
// well-formed, which a Header's TLVs are but a nested one may not be, it stops there. It allocates
// nothing.
func (t TLVs) All() iter.Seq2[Type, []byte] {
	return func(yield func(Type, []byte) bool) {
		for rest := t; ; {
			typ, value, next, ok := rest.first()
			if !ok || typ != TypeNoOp && !yield(typ, value) {
				return
			}
			rest = next
		}
	}
}

// Find returns the value of the first TLV of the type, a view, and whether there is one. It takes
// time proportional to the number of TLVs.
func (t TLVs) Find(typ Type) (value []byte, ok bool) {
	for rest := t; ; {
		have, value, next, ok := rest.first()
		if !ok || have == typ {
			return value, ok
		}
		rest = next
	}
}

// first takes the first TLV off t. ok is false when t does not begin with a whole one.
func (t TLVs) first() (typ Type, value []byte, rest TLVs, ok bool) {
	if len(t) < tlvBytes {
		return 0, nil, t, false
	}
	end := tlvBytes + int(binary.BigEndian.Uint16(t[1:]))
	if end > len(t) {
		return 0, nil, t, false
	}
	return Type(t[0]), t[tlvBytes:end:end], t[end:], true
}

// AppendTLV appends one TLV and returns the extended slice. The value is copied. A value of more
// than 65535 bytes is a mistake of the caller and panics. Any goroutine.
func AppendTLV(dst []byte, typ Type, value []byte) []byte {
	if len(value) > 1<<16-1 {
		panic("proxyproto: TLV too long")
	}
	dst = append(dst, byte(typ), byte(len(value)>>8), byte(len(value)))
	return append(dst, value...)
}

// AppendChecksum appends a TLV for the checksum, which AppendV2 fills in. Any goroutine.
func AppendChecksum(dst []byte) []byte {
	return AppendTLV(dst, TypeCRC32C, zeros[:])
}

// checkTLVs reports whether b[at:], the rest of the header b, is whole TLVs, and the checksum
// among them right.
func checkTLVs(b []byte, at int) bool {
	crcAt, ok := walkTLVs(b, at)
	return ok && (crcAt == 0 || binary.BigEndian.Uint32(b[crcAt:]) == checksum(b, crcAt))
}

// walkTLVs walks b[at:] and returns where in b the value of the checksum is, or 0 without one. ok
// is false when a length lies or when there are two checksums: neither could be computed.
func walkTLVs(b []byte, at int) (crcAt int, ok bool) {
	for rest := TLVs(b[at:]); len(rest) > 0; {
		typ, value, next, ok := rest.first()
		if !ok {
			return 0, false
		}
		if typ == TypeCRC32C {
			if crcAt > 0 || len(value) != crcBytes {
				return 0, false
			}
			crcAt = len(b) - len(next) - crcBytes
		}
		rest = next
	}
	return crcAt, true
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	zeros      [crcBytes]byte // never written; on the stack it would be moved to the heap
)

// checksum is the CRC32C of b with the four bytes at crcAt taken as zero (2.2.3).
func checksum(b []byte, crcAt int) uint32 {
	sum := crc32.Update(0, castagnoli, b[:crcAt])
	sum = crc32.Update(sum, castagnoli, zeros[:])
	return crc32.Update(sum, castagnoli, b[crcAt+crcBytes:])
}
