package files

import (
	"bytes"
	"unicode/utf8"

	"weir/engine/service"
)

const (
	maxName = 255  // bytes of one component: what Linux file systems take
	maxPath = 4000 // bytes of a path: below what a system call takes
)

// clean decodes the path of a request's target, once, and judges it. key is the path below the root,
// with a slash at the end when it asks for a directory, and "" for the root itself; it is a view of raw
// or, when anything was encoded, of *scratch. status is 0, or what refuses the path:
//
//   - 400: a byte that no name may have (NUL, any control byte, a backslash, an encoded slash), a
//     component "." or "..", however it is written, bytes that are not UTF-8 (overlong forms of dots
//     and slashes are not);
//   - 404: what nothing can be called: an empty component, one longer than 255 bytes, a name that
//     Windows keeps for a device; what is hidden: a component that begins with a dot; and, in any case,
//     what uploads under way are called;
//   - 414: a path longer than a system call takes.
//
// What is encoded twice has "%" in its name, and is looked for under that.
func clean(raw []byte, scratch *[]byte, dotFiles bool) (key []byte, status int) {
	if len(raw) == 0 || raw[0] != '/' {
		return nil, 400
	}
	key = raw[1:]
	if bytes.IndexByte(key, '%') >= 0 {
		if key, status = decode((*scratch)[:0], key); status != 0 {
			return nil, status
		}
		*scratch = key
	}
	return judge(key, dotFiles)
}

// judge is what clean does with a path that is decoded, and begins behind its first slash.
func judge(key []byte, dotFiles bool) (_ []byte, status int) {
	if len(key) > maxPath {
		return nil, 414
	}
	ascii := true
	for _, c := range key {
		if c < ' ' || c == 0x7f || c == '\\' {
			return nil, 400
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(key) {
		return nil, 400
	}
	for from := 0; from < len(key); {
		n := bytes.IndexByte(key[from:], '/')
		if n < 0 {
			n = len(key) - from
		}
		switch name := key[from : from+n]; {
		case n == 0:
			status = 404 // but look at the others: one of them may be worse
		case string(name) == "." || string(name) == "..":
			return nil, 400
		case n > maxName, name[0] == '.' && (!dotFiles || isTemp(name)) && (from > 0 || string(name) != ".well-known"), isDevice(name):
			status = 404
		}
		from += n + 1
	}
	return key, status
}

// report tells the operator of a path that no honest client asks for: judge has said 400. On a loop.
func report(c service.Conn, path []byte, status int) {
	if status == 400 {
		c.Report(service.Traversal, "", string(path[:min(len(path), 200)]))
	}
}

// decode replaces each %XX. An encoded slash is refused: it is no separator, and no name has one.
func decode(dst, raw []byte) ([]byte, int) {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) {
				return dst, 400
			}
			high, low := hexValue(raw[i+1]), hexValue(raw[i+2])
			if high > 15 || low > 15 {
				return dst, 400
			}
			if c = high<<4 | low; c == '/' {
				return dst, 400
			}
			i += 2
		}
		dst = append(dst, c)
	}
	return dst, 0
}

func hexValue(c byte) byte {
	switch {
	case c-'0' < 10:
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}

// isDevice reports whether Windows takes a name for that of a device, whatever its extension: a tree
// may be served from a share, and such a name is asked for by probes only.
func isDevice(name []byte) bool {
	if i := bytes.IndexByte(name, '.'); i >= 0 {
		name = name[:i]
	}
	name = bytes.TrimRight(name, " ")
	var b [7]byte
	if len(name) < 3 || len(name) > len(b) {
		return false
	}
	for i, c := range name {
		if c-'A' < 26 {
			c |= 0x20
		}
		b[i] = c
	}
	switch low := string(b[:len(name)]); low {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	default:
		return len(low) == 4 && (low[:3] == "com" || low[:3] == "lpt") && low[3]-'0' < 10
	}
}

// appendEscaped appends a decoded path as it may stand in a Location or a link: everything but
// unreserved characters and slashes is encoded (3986 2.3), so nothing in it can end a field or an
// attribute.
func appendEscaped(dst, path []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range path {
		if c-'0' < 10 || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '.' || c == '_' || c == '~' || c == '/' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}
