package proxyproto

import (
	"encoding/binary"
	"net/netip"

	"weir/codec"
)

const headerBytesV2 = 16 // signature, version and command, family and protocol, length

// The nibbles of bytes 12 and 13 (2.2).
const (
	versionV2 = 2

	commandProxy = 1 // 0 is LOCAL

	familyUnspec = 0
	familyINET   = 1
	familyINET6  = 2
	familyUNIX   = 3

	protocolUnspec = 0
	protocolStream = 1
	protocolDgram  = 2
)

// addressBytes is the size of both addresses and their ports, by family.
var addressBytes = [...]int{familyUnspec: 0, familyINET: 12, familyINET6: 36, familyUNIX: 216}

// decodeV2 goes on with the header at the front of b. n is its size, or 0 when it is not complete.
func (d *Decoder) decodeV2(b []byte) (n int, fault codec.Fault) {
	if d.need == 0 {
		if fault := d.fixedV2(b); fault != codec.OK || d.need == 0 {
			return 0, fault
		}
	}
	if len(b) < d.need {
		d.lacks = d.need - len(b)
		return 0, codec.OK
	}
	if !d.restV2(b[:d.need]) {
		return 0, codec.BadProxy
	}
	return d.need, codec.OK
}

// fixedV2 judges the first 16 bytes as they arrive. When all are there, d.need is the size of the
// header, and it holds the addresses of its family.
func (d *Decoder) fixedV2(b []byte) codec.Fault {
	end := min(len(b), len(signatureV2))
	if d.seen < end && string(b[d.seen:end]) != signatureV2[d.seen:end] {
		return codec.BadProxy
	}
	d.seen = end
	if len(b) <= 12 {
		return codec.OK
	}
	command := b[12] & 15
	if b[12]>>4 != versionV2 || command > commandProxy {
		return codec.BadProxy
	}
	if len(b) == 13 {
		return codec.OK
	}
	family, protocol := b[13]>>4, b[13]&15
	if command == commandProxy && (family > familyUNIX || protocol > protocolDgram) {
		return codec.BadProxy
	}
	if len(b) < headerBytesV2 {
		d.lacks = headerBytesV2 - len(b)
		return codec.OK
	}
	size := headerBytesV2 + int(binary.BigEndian.Uint16(b[14:]))
	if size > d.limit() {
		return codec.ProxyTooLarge
	}
	if command == commandProxy && size < headerBytesV2+addressBytes[family] {
		return codec.BadProxy
	}
	d.need = size
	return codec.OK
}

// restV2 reads the addresses and checks the TLVs of b, a whole header whose fixed part is right.
func (d *Decoder) restV2(b []byte) bool {
	d.header = Header{Version: 2}
	h := &d.header
	family, protocol := b[13]>>4, b[13]&15
	if b[12]&15 != commandProxy || family == familyUnspec {
		return true
	}
	at := headerBytesV2 + addressBytes[family]
	if at < len(b) {
		if !checkTLVs(b, at) {
			return false
		}
		h.TLVs = TLVs(b[at:len(b):len(b)])
	}
	if family == familyUNIX || protocol == protocolUnspec {
		return true
	}
	h.Command, h.Datagram = Proxy, protocol == protocolDgram
	a := b[headerBytesV2:at]
	var source, dest netip.Addr
	if family == familyINET {
		source, dest, a = netip.AddrFrom4([4]byte(a)), netip.AddrFrom4([4]byte(a[4:])), a[8:]
	} else {
		source, dest, a = netip.AddrFrom16([16]byte(a)).Unmap(), netip.AddrFrom16([16]byte(a[16:])).Unmap(), a[32:]
	}
	h.Source = netip.AddrPortFrom(source, binary.BigEndian.Uint16(a))
	h.Destination = netip.AddrPortFrom(dest, binary.BigEndian.Uint16(a[2:]))
	return true
}
