package proxyproto

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var (
	tcpLine     = regexp.MustCompile(`^PROXY TCP([46]) ([^ ]+) ([^ ]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n$`)
	unknownLine = regexp.MustCompile(`(?s)^PROXY UNKNOWN( [^\r\n]*)?\r\n$`)
)

// modelV1 reads a v1 line the slow way: whole, with regular expressions, netip and strconv. It
// returns what feed would, but "" for all that is not a good line.
func modelV1(in string) string {
	end := strings.Index(in, "\r\n")
	if end < 0 || end+2 > 107 {
		return ""
	}
	n := end + 2
	if unknownLine.MatchString(in[:n]) {
		return fmt.Sprintf("%s to %d", describe(Header{Version: 1}), n)
	}
	m := tcpLine.FindStringSubmatch(in[:n])
	if m == nil {
		return ""
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(m[2+i])
		port, err2 := strconv.ParseUint(m[4+i], 10, 16)
		if err != nil || err2 != nil || addr.Zone() != "" || addr.Is4() != (m[1] == "4") {
			return ""
		}
		ends[i] = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	}
	return fmt.Sprintf("%s to %d", describe(Header{Version: 1, Command: Proxy, Source: ends[0], Destination: ends[1]}), n)
}

// modelV2 reads a v2 header the slow way, whole. It returns what feed would.
func modelV2(in string, limit int) string {
	b := []byte(in)
	switch { // what is wrong before the length is known
	case string(b[:min(12, len(b))]) != signatureV2[:min(12, len(b))],
		len(b) > 12 && b[12] != 0x20 && b[12] != 0x21,
		len(b) > 13 && b[12] == 0x21 && (b[13] >= 0x40 || b[13]&15 > 2):
		return bad
	case len(b) < 16:
		return "more"
	}
	n := 16 + int(b[14])*256 + int(b[15])
	size := map[byte]int{0: 0, 1: 12, 2: 36, 3: 216}[b[13]>>4]
	switch {
	case n > limit:
		return tooLarge
	case b[12] == 0x21 && n < 16+size:
		return bad
	case len(b) < n:
		return "more"
	}
	h := Header{Version: 2}
	if b[12] == 0x21 && b[13]>>4 != 0 {
		for rest := b[16+size : n]; len(rest) > 0; {
			if len(rest) < 3 || len(rest) < 3+int(rest[1])*256+int(rest[2]) {
				return bad
			}
			rest = rest[3+int(rest[1])*256+int(rest[2]):]
		}
		if n > 16+size {
			h.TLVs = b[16+size : n]
		}
		if !modelChecksum(b[:n], 16+size) {
			return bad
		}
		if p := b[13] & 15; p != 0 && size < 216 {
			h.Command, h.Datagram = Proxy, p == 2
			addr := (size - 4) / 2
			source, _ := netip.AddrFromSlice(b[16 : 16+addr])
			dest, _ := netip.AddrFromSlice(b[16+addr : 16+2*addr])
			h.Source = netip.AddrPortFrom(source.Unmap(), uint16(b[12+size])<<8|uint16(b[13+size]))
			h.Destination = netip.AddrPortFrom(dest.Unmap(), uint16(b[14+size])<<8|uint16(b[15+size]))
		}
	}
	return fmt.Sprintf("%s to %d", describe(h), n)
}

// modelChecksum follows section 2.2.3: store the value aside, zero it, compute over everything.
func modelChecksum(header []byte, at int) bool {
	found := 0
	for typ, value := range TLVs(header[at:]).All() {
		if typ != 0x03 {
			continue
		}
		if found++; found > 1 || len(value) != 4 {
			return false
		}
		want := binary.BigEndian.Uint32(value)
		clear(value)
		got := slowCRC32C(header)
		binary.BigEndian.PutUint32(value, want)
		if got != want {
			return false
		}
	}
	return true
}

// slowCRC32C is RFC 4960, appendix B, bit by bit.
func slowCRC32C(b []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range b {
		crc ^= uint32(c)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78&-(crc&1)
		}
	}
	return ^crc
}
