package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// AppendV1 appends h as a line of version 1 and returns the extended slice. UNKNOWN is what comes
// of Local, of addresses that are not valid, and of Datagram, which the version has no word for;
// TLVs have no place in it. Addresses of two families become TCP6 with the IPv4 one mapped, which
// inet_pton reads; zones are left out. At most MaxV1 bytes. Any goroutine.
func AppendV1(dst []byte, h Header) []byte {
	source, dest, ok := addresses(h)
	if !ok || h.Datagram {
		return append(dst, "PROXY UNKNOWN\r\n"...)
	}
	if source.Is4() {
		dst = append(dst, "PROXY TCP4 "...)
	} else {
		dst = append(dst, "PROXY TCP6 "...)
	}
	dst = append(source.AppendTo(dst), ' ')
	dst = append(dest.AppendTo(dst), ' ')
	dst = append(strconv.AppendUint(dst, uint64(h.Source.Port()), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(h.Destination.Port()), 10)
	return append(dst, '\r', '\n')
}

// AppendV2 appends h as a header of version 2 and returns the extended slice. LOCAL, alone and
// without TLVs (2.2: the length should be zero), is what comes of Local and of addresses that are
// not valid. Addresses of two families become INET6 with the IPv4 one mapped. h.TLVs are copied; a
// checksum among them (AppendChecksum) is computed anew. TLVs that are not well-formed, that hold
// two checksums or that do not fit the 65535 bytes which follow the fixed part are a mistake of the
// caller, who would otherwise have every byte of the connection misread, and panic. Any goroutine.
func AppendV2(dst []byte, h Header) []byte {
	begin := len(dst)
	dst = append(dst, signatureV2...)
	source, dest, ok := addresses(h)
	if !ok {
		return append(dst, versionV2<<4, familyUnspec<<4|protocolUnspec, 0, 0)
	}
	family, protocol := byte(familyINET), byte(protocolStream)
	if source.Is6() {
		family = familyINET6
	}
	if h.Datagram {
		protocol = protocolDgram
	}
	n := addressBytes[family] + len(h.TLVs)
	if n > MaxMax-headerBytesV2 {
		panic("proxyproto: TLVs too long")
	}
	dst = append(dst, versionV2<<4|commandProxy, family<<4|protocol)
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	dst = appendAddr(appendAddr(dst, source), dest)
	dst = binary.BigEndian.AppendUint16(dst, h.Source.Port())
	dst = binary.BigEndian.AppendUint16(dst, h.Destination.Port())
	at := len(dst) - begin
	dst = append(dst, h.TLVs...)

	header := dst[begin:]
	crcAt, ok := walkTLVs(header, at)
	if !ok {
		panic("proxyproto: malformed TLVs")
	}
	if crcAt > 0 {
		binary.BigEndian.PutUint32(header[crcAt:], checksum(header, crcAt))
	}
	return dst
}

// addresses returns both addresses of h in one family and without zones. ok is false when they are
// not to be written.
func addresses(h Header) (source, dest netip.Addr, ok bool) {
	source, dest = h.Source.Addr().Unmap().WithZone(""), h.Destination.Addr().Unmap().WithZone("")
	if h.Command != Proxy || !source.IsValid() || !dest.IsValid() {
		return source, dest, false
	}
	if source.Is4() != dest.Is4() {
		source, dest = netip.AddrFrom16(source.As16()), netip.AddrFrom16(dest.As16())
	}
	return source, dest, true
}

func appendAddr(dst []byte, a netip.Addr) []byte {
	if a.Is4() {
		b := a.As4()
		return append(dst, b[:]...)
	}
	b := a.As16()
	return append(dst, b[:]...)
}
