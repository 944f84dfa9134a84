package accounts

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// The most bytes of a name and of a password, before and after preparation.
const (
	MaxName     = 128
	MaxPassword = 1024
)

var (
	errName     = errors.New("a name is 1 to 128 bytes of visible characters without spaces, quotes, colons, equals signs, commas or backslashes")
	errPassword = errors.New("a password is 1 to 1024 bytes without control characters")
)

// PrepareName returns name as it is compared and stored: SASLprep (RFC 4013), as SCRAM demands, so
// that forms of one letter are one name; upper and lower case stay different. What remains must be
// fit for a log line, a file of fields and HTTP Basic: no spaces, control or invisible characters,
// quotes, and none of : = , \. Letters of different scripts that look alike are not told apart:
// whoever makes accounts must see to that.
func PrepareName(name string) (string, error) {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return "", errName
	}
	p, err := stringprep.SASLprep.Prepare(name)
	if err != nil || p == "" || len(p) > MaxName {
		return "", errName
	}
	for _, r := range p {
		if !unicode.IsPrint(r) || r == ' ' || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || strings.ContainsRune("\"'`:=,\\", r) {
			return "", errName
		}
	}
	return p, nil
}

// PreparePassword returns a password as it is hashed: SASLprep (RFC 4013), as SCRAM's clients do. The
// error does not quote it.
func PreparePassword(password string) (string, error) {
	if password == "" || len(password) > MaxPassword || !utf8.ValidString(password) {
		return "", errPassword
	}
	p, err := stringprep.SASLprep.Prepare(password)
	if err != nil || p == "" || len(p) > MaxPassword {
		return "", errPassword
	}
	return p, nil
}
