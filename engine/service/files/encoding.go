package files

import (
	"weir/codec/http1"
)

// encodings is a set of content codings.
type encodings uint8

const (
	brotli encodings = 1 << iota
	zstandard
	gzip
)

// allEncodings is in the order in which we prefer them, where the client has no preference.
var allEncodings = [...]encodings{brotli, zstandard, gzip}

func (e encodings) name() string {
	switch e {
	case brotli:
		return "br"
	case zstandard:
		return "zstd"
	}
	return "gzip"
}

func (e encodings) suffix() string {
	switch e {
	case brotli:
		return ".br"
	case zstandard:
		return ".zst"
	}
	return ".gz"
}

// appendVariant appends the key of a file's compressed form. No path has a NUL in it.
func appendVariant(dst []byte, e encodings, name string) []byte {
	return append(append(dst, byte(e), 0), name...)
}

// splitVariant undoes appendVariant; enc is 0 for a key that is a path.
func splitVariant(key string) (enc encodings, path string) {
	if len(key) > 2 && key[1] == 0 {
		return encodings(key[0]), key[2:]
	}
	return 0, key
}

// choose is the coding, of those that are there, that the client wants most; 0 is the file as it is.
// Codings that weigh the same are taken in our order, and before the file as it is (9110 12.5.3). A
// client that refuses identity and everything else gets identity all the same: 406 helps nobody.
func choose(r *http1.Request, there encodings) encodings {
	const unsaid = -1
	q := [...]int{unsaid, unsaid, unsaid} // thousandths, by place in allEncodings
	identity, any := unsaid, unsaid
	seen := false
	for i := r.Next("accept-encoding", 0); i >= 0; i = r.Next("accept-encoding", i+1) {
		_, list := r.Field(i)
		seen = true
		for len(list) > 0 {
			var item []byte
			item, list = cutList(list)
			name, weight := weigh(item)
			switch {
			case equalFold(name, "br"):
				q[0] = weight
			case equalFold(name, "zstd"):
				q[1] = weight
			case equalFold(name, "gzip"), equalFold(name, "x-gzip"):
				q[2] = weight
			case equalFold(name, "identity"):
				identity = weight
			case len(name) == 1 && name[0] == '*':
				any = weight
			}
		}
	}
	if !seen {
		return 0
	}
	best, weight := encodings(0), max(identity, 0)
	for i, e := range allEncodings {
		w := q[i]
		if w == unsaid {
			w = max(any, 0)
		}
		if there&e != 0 && w > 0 && (w > weight || best == 0 && w == weight) {
			best, weight = e, w
		}
	}
	return best
}

// weigh splits an item of Accept-Encoding into its name and its weight in thousandths, 1000 without
// one. A weight that is none counts as 0: then the coding is not used.
func weigh(item []byte) (name []byte, weight int) {
	for i, c := range item {
		if c == ';' {
			return trimSpace(item[:i]), parseWeight(trimSpace(item[i+1:]))
		}
	}
	return item, 1000
}

func parseWeight(p []byte) int {
	if len(p) < 3 || p[0]|0x20 != 'q' || p[1] != '=' || len(p) > 7 || p[2] != '0' && p[2] != '1' || len(p) > 3 && p[3] != '.' {
		return 0
	}
	w, unit := int(p[2]-'0')*1000, 100
	for _, c := range p[min(4, len(p)):] {
		if c-'0' > 9 {
			return 0
		}
		w += int(c-'0') * unit
		unit /= 10
	}
	return min(w, 1000)
}

// cutList returns the first element of a list, trimmed, and the rest.
func cutList(list []byte) (first, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trimSpace(list[:i]), list[i+1:]
		}
	}
	return trimSpace(list), nil
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold compares with a lower-case ASCII word.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}
