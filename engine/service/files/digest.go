package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"

	"weir/codec/http1"
)

// wantedDigest is the SHA-256 that a client says its upload has: by Content-Digest or Repr-Digest (RFC
// 9530), which are the same where nothing is encoded, or by the older Digest (RFC 3230). Other algorithms
// are passed over; trailers are not looked at. ok is false when it says something else than a SHA-256 under
// that name, or two different ones.
func wantedDigest(r *http1.Request) (sum [sha256.Size]byte, some, ok bool) {
	for _, field := range []string{"content-digest", "repr-digest", "digest"} {
		for i := r.Next(field, 0); i >= 0; i = r.Next(field, i+1) {
			_, list := r.Field(i)
			for len(list) > 0 {
				var item []byte
				item, list = cutList(list)
				name, value, found := bytes.Cut(item, []byte{'='})
				if !found || !equalFold(name, "sha-256") {
					continue
				}
				if field != "digest" { // a byte sequence of RFC 9651: :base64:, and parameters that say nothing to us
					value, _, _ = bytes.Cut(value, []byte{';'})
					value = trimSpace(value)
					if len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' {
						return sum, true, false
					}
					value = value[1 : len(value)-1]
				}
				var one [sha256.Size + 2]byte // what the decoder may write for 44 letters
				if len(value) != base64.StdEncoding.EncodedLen(sha256.Size) {
					return sum, true, false
				}
				if n, err := base64.StdEncoding.Strict().Decode(one[:], value); err != nil || n != sha256.Size {
					return sum, true, false
				}
				if some && [sha256.Size]byte(one[:sha256.Size]) != sum {
					return sum, true, false
				}
				sum, some = [sha256.Size]byte(one[:sha256.Size]), true
			}
		}
	}
	return sum, some, true
}
