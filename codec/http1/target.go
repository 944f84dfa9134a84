package http1

import (
	"bytes"

	"weir/codec"
)

// checkTarget says whether target is one of the four forms of 9112 3.2 and the one that the method
// takes: authority for CONNECT and nothing else, asterisk for OPTIONS only. The bytes are visible
// ASCII without "#" already, and there is at least one.
func checkTarget(method, target []byte) codec.Fault {
	connect := string(method) == "CONNECT"
	switch {
	case connect:
		if !validHost(target, true) {
			return codec.BadTarget
		}
	case target[0] == '/':
		return checkPath(target)
	case len(target) == 1 && target[0] == '*':
		if string(method) != "OPTIONS" {
			return codec.BadTarget
		}
	default:
		authority, rest := splitAbsolute(target)
		if len(authority) == len(target) || !validHost(authority, false) {
			return codec.BadTarget
		}
		return checkPath(rest)
	}
	return codec.OK
}

// splitAbsolute splits an absolute form into its authority and what follows that, which is empty
// or begins with "/" or "?". A target that does not begin with http:// or https:// is returned
// whole as the authority. The scheme is compared without regard to case (3986 3.1); others than
// these two name nothing that a connection to us could answer.
func splitAbsolute(target []byte) (authority, rest []byte) {
	const http, https = "http://", "https://"
	switch {
	case len(target) > len(http) && equalFold(target[:len(http)], http):
		target = target[len(http):]
	case len(target) > len(https) && equalFold(target[:len(https)], https):
		target = target[len(https):]
	default:
		return target, nil
	}
	for i, c := range target {
		if c == '/' || c == '?' {
			return target[:i], target[i:]
		}
	}
	return target, nil
}

// checkPath says whether each "%" before the query begins a triplet (3986 2.1). The query is left
// alone: a bare "%" there is common, and means nothing to us.
func checkPath(target []byte) codec.Fault {
	if bytes.IndexByte(target, '%') < 0 {
		return codec.OK
	}
	for i := 0; i < len(target) && target[i] != '?'; i++ {
		if target[i] != '%' {
			continue
		}
		if i+2 >= len(target) || hexValue(target[i+1]) > 15 || hexValue(target[i+2]) > 15 {
			return codec.BadTarget
		}
	}
	return codec.OK
}

// validHost says whether h is a host with or without a port, as we take it in Host, in an absolute
// form and, then with a port, in an authority form (9110 7.2, 3986 3.2.2): an IPv6 address in
// brackets, or one or more letters, digits and "-._~"; the port up to 65535, and it may be empty
// after its colon except where one is needed. No user information, no percent-encoding.
func validHost(h []byte, needPort bool) bool {
	var port []byte
	if len(h) > 0 && h[0] == '[' {
		end := bytes.IndexByte(h, ']')
		if end < 0 || !validIPv6(h[1:end]) {
			return false
		}
		port = h[end+1:]
	} else {
		n := 0
		for n < len(h) && class[h[n]]&isName != 0 {
			n++
		}
		if n == 0 {
			return false
		}
		port = h[n:]
	}
	if len(port) == 0 {
		return !needPort
	}
	if port[0] != ':' || len(port) > 6 || needPort && len(port) == 1 {
		return false
	}
	number := 0
	for _, c := range port[1:] {
		if c-'0' > 9 {
			return false
		}
		number = number*10 + int(c-'0')
	}
	return number <= 65535
}

// validIPv6 says whether b is an IPv6 address of 4291 2.2 without a zone. netip.ParseAddr would do
// but keeps its argument in its error, which would cost an allocation for each bad Host.
func validIPv6(b []byte) bool {
	groups, gap := 0, false
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = true, b[2:]
	}
	for len(b) > 0 {
		n := 0
		for n < len(b) && n < 5 && hexValue(b[n]) < 16 {
			n++
		}
		if n < len(b) && b[n] == '.' { // the last 32 bits may be an IPv4 address
			groups += 2
			if !validIPv4(b) {
				return false
			}
			break
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		b = b[n:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap {
				return false
			}
			gap, b = true, b[1:]
		}
	}
	if gap {
		return groups < 8 // "::" stands for one group at least
	}
	return groups == 8
}

// validIPv4 says whether b is four numbers up to 255 without leading zeros (3986 3.2.2).
func validIPv4(b []byte) bool {
	for part := range 4 {
		n, number := 0, 0
		for n < len(b) && n < 4 && b[n]-'0' < 10 {
			number = number*10 + int(b[n]-'0')
			n++
		}
		if n == 0 || n > 3 || number > 255 || n > 1 && b[0] == '0' {
			return false
		}
		b = b[n:]
		if part == 3 {
			break
		}
		if len(b) == 0 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
	return len(b) == 0
}
