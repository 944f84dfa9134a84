package proxyproto

import "net/netip"

// decimal reads a number digit by digit. The zero value has none yet.
type decimal struct {
	value  uint32
	digits uint8
}

// take adds the digit c. It reports false for what is not a digit, for a second digit behind a
// leading zero (section 2.1: octal to some readers) and for a value above max.
func (n *decimal) take(c byte, max uint32) bool {
	if c < '0' || c > '9' || n.digits > 0 && n.value == 0 {
		return false
	}
	n.value = n.value*10 + uint32(c-'0')
	n.digits++
	return n.value <= max
}

// addrText reads an address byte by byte and knows with each whether it can still become one. It
// takes what netip.ParseAddr takes for the family, zones excepted. To begin with begin.
//
// netip's own parser is not used because it wants a string, which would be an allocation, and the
// whole of it, which would be a second look at every byte.
type addrText struct {
	bytes  [16]byte
	n      uint8   // bytes known
	gap    int8    // where "::" stood among the bytes; -1 without one
	digits uint8   // hexadecimal digits of the present group
	colons uint8   // colons since the last digit, 0 to 2
	dots   uint8   // dots of the IPv4 address
	v4     bool    // an IPv4 address, or the IPv4 tail of an IPv6 one: decimal from here
	v6     bool    // the family asked for
	hex    uint16  // the present group
	octet  decimal // the present octet
}

func (a *addrText) begin(v6 bool) { *a = addrText{gap: -1, v6: v6, v4: !v6} }

// take adds the byte c and reports whether an address can begin like this.
func (a *addrText) take(c byte) bool {
	switch {
	case c == '.':
		return a.dot()
	case a.v4:
		return a.octet.take(c, 255)
	case c == ':':
		return a.colon()
	}
	return a.hexDigit(c)
}

func (a *addrText) hexDigit(c byte) bool {
	v := unhex(c)
	if v > 15 || a.digits == 4 {
		return false
	}
	if a.digits == 0 {
		if a.n == 0 && a.colons == 1 || a.n+2 > a.room() { // ":1", a ninth group
			return false
		}
		a.hex, a.colons = 0, 0
	}
	a.digits++
	a.hex = a.hex<<4 | uint16(v)
	return true
}

func (a *addrText) colon() bool {
	if a.digits > 0 {
		a.group()
		a.colons = 1
		return a.n < a.room()
	}
	a.colons++
	switch {
	case a.n == 0 && a.colons == 1: // the first of a leading "::"
		return true
	case a.gap >= 0: // ":::" or a second "::"
		return false
	}
	a.gap = int8(a.n)
	return a.colons == 2
}

// dot ends an octet. In an IPv6 address the first one turns the present group into the first of
// the four, for which exactly the last two groups must be left.
func (a *addrText) dot() bool {
	if !a.v4 {
		if a.n+4 > a.room() || a.gap < 0 && a.n != 12 || !a.regroup() {
			return false
		}
	}
	a.dots++
	return a.dots <= 3 && a.endOctet()
}

// regroup reads the digits of the present group as a decimal number and goes on in decimal.
func (a *addrText) regroup() bool {
	a.v4 = true
	for ; a.digits > 0; a.digits-- {
		if v := byte(a.hex >> (4 * (a.digits - 1)) & 15); v > 9 || !a.octet.take('0'+v, 255) {
			return false
		}
	}
	return true // without digits, endOctet says no
}

func (a *addrText) endOctet() bool {
	if a.octet.digits == 0 {
		return false
	}
	a.bytes[a.n] = byte(a.octet.value)
	a.n++
	a.octet = decimal{}
	return true
}

func (a *addrText) group() {
	a.bytes[a.n], a.bytes[a.n+1] = byte(a.hex>>8), byte(a.hex)
	a.n += 2
	a.digits = 0
}

// room is how many bytes may be written out: "::" stands for one group at least.
func (a *addrText) room() uint8 {
	if a.gap >= 0 {
		return 14
	}
	return 16
}

// addr ends the text and reports whether it is an address. An IPv4-mapped one comes back as IPv4.
func (a *addrText) addr() (netip.Addr, bool) {
	switch {
	case a.v4:
		if a.dots != 3 || !a.endOctet() {
			return netip.Addr{}, false
		}
		if !a.v6 {
			return netip.AddrFrom4([4]byte(a.bytes[:4])), true
		}
	case a.digits > 0:
		a.group()
	case a.colons != 2: // nothing, or a single colon at the end
		return netip.Addr{}, false
	}
	if a.gap < 0 {
		return netip.AddrFrom16(a.bytes).Unmap(), a.n == 16
	}
	var whole [16]byte
	copy(whole[:], a.bytes[:a.gap])
	copy(whole[16-int(a.n)+int(a.gap):], a.bytes[a.gap:a.n])
	return netip.AddrFrom16(whole).Unmap(), true
}

// unhex is the value of a hexadecimal digit, or 255.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
