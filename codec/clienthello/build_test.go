package clienthello

import "strings"

// vec puts a length of n bytes in front of s.
func vec(n int, s string) string {
	out := ""
	for i := n - 1; i >= 0; i-- {
		out += string([]byte{byte(len(s) >> (8 * i))})
	}
	return out + s
}

func u16(v int) string { return string([]byte{byte(v >> 8), byte(v)}) }

// message makes a ClientHello with TLS 1.2 as its legacy_version and these extensions.
func message(extensions ...string) string {
	return "\x01" + vec(3, fixed("\x03\x03", "\x13\x01\x13\x02\xc0\x2f")+vec(2, strings.Join(extensions, "")))
}

// fixed is what stands in front of the extensions.
func fixed(legacy, suites string) string {
	return legacy + strings.Repeat("R", 32) + vec(1, strings.Repeat("S", 32)) + vec(2, suites) + vec(1, "\x00")
}

func ext(typ int, data string) string { return u16(typ) + vec(2, data) }

func sni(name string) string { return ext(0, vec(2, "\x00"+vec(2, name))) }

func alpn(names ...string) string {
	list := ""
	for _, name := range names {
		list += vec(1, name)
	}
	return ext(16, vec(2, list))
}

func versions(v ...int) string {
	list := ""
	for _, v := range v {
		list += u16(v)
	}
	return ext(43, vec(1, list))
}

// records cuts m into records of these sizes and puts what is left, if anything, into one more.
func records(m string, sizes ...int) string {
	out := ""
	for _, n := range sizes {
		n = min(n, len(m))
		if n == 0 {
			break
		}
		out += "\x16\x03\x01" + vec(2, m[:n])
		m = m[n:]
	}
	if len(m) > 0 {
		out += "\x16\x03\x01" + vec(2, m)
	}
	return out
}

// every cuts m into records of n bytes.
func every(n int, m string) string {
	sizes := make([]int, len(m)/n)
	for i := range sizes {
		sizes[i] = n
	}
	return records(m, sizes...)
}

// chrome is a hello in the shape of Chrome's of 2024: GREASE in front, behind and among, ALPS, ECH
// GREASE and a post-quantum key share.
func chrome(name string) string {
	return message(
		ext(0x4a4a, ""), sni(name), ext(23, ""), ext(0xff01, "\x00"),
		ext(10, vec(2, u16(0x2a2a)+u16(0x6399)+u16(29)+u16(23))), ext(11, vec(1, "\x00")), ext(35, ""),
		alpn("h2", "http/1.1"), ext(5, "\x01\x00\x00\x00\x00"),
		ext(13, vec(2, u16(0x0403)+u16(0x0804))), ext(18, ""),
		ext(51, vec(2, u16(0x2a2a)+vec(2, "\x00")+u16(0x6399)+vec(2, strings.Repeat("K", 1216))+u16(29)+vec(2, strings.Repeat("k", 32)))),
		ext(45, vec(1, "\x01")), versions(0xdada, 0x0304, 0x0303), ext(27, vec(1, u16(2))),
		ext(17513, vec(2, vec(1, "h2"))), ext(0xfe0d, "\x00"+u16(1)+u16(1)+"\x07"+vec(2, strings.Repeat("e", 32))+vec(2, strings.Repeat("E", 144))), ext(0xbaba, "\x00"),
	)
}
