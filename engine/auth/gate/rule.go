package gate

import (
	"errors"
	"strings"

	"weir/engine/auth/accounts"
)

// Rule says which scope requests need.
type Rule struct {
	Method string // "" fits all, GET fits HEAD as well. In letters of either case, as servers behind may have it
	Prefix string // of the path, decoded; "" fits all. Letters of either case fit, so that no server behind can be fooled by another one
	Scope  string // "" is nothing but being known
}

// ParseRule reads a rule: SCOPE for all requests, /PREFIX=SCOPE or METHOD:/PREFIX=SCOPE.
func ParseRule(text string) (r Rule, err error) {
	where, scope, found := strings.Cut(text, "=")
	if !found {
		where, scope = "", text
	}
	if list, err := accounts.ParseScopes(scope); err != nil || len(list) != 1 || strings.HasPrefix(scope, "/") {
		return r, errors.New("must be SCOPE, /PREFIX=SCOPE or METHOD:/PREFIX=SCOPE")
	}
	r.Scope = scope
	if !found {
		return r, nil
	}
	at := strings.IndexByte(where, '/')
	if at > 0 && where[at-1] == ':' {
		r.Method = where[:at-1]
		if r.Method == "" || strings.Trim(r.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return r, errors.New("a METHOD is upper-case letters")
		}
		where = where[at:]
	}
	canonical, clear := canonical([]byte(where))
	if where == "" || where[0] != '/' || !clear || canonical != strings.ToLower(where) {
		return r, errors.New("a /PREFIX is a path without dots, empty parts or percent-escapes")
	}
	r.Prefix = canonical
	return r, nil
}

// needs returns the scopes that a request needs, and whether any rule fits it. clear is false for a path
// that a server behind might take for another one.
func (w *Web) needs(method, path []byte) (scopes []string, fit, clear bool) {
	var decoded string
	looked := false
	for _, r := range w.Rules {
		if r.Method != "" && !strings.EqualFold(r.Method, string(method)) && (r.Method != "GET" || !strings.EqualFold("HEAD", string(method))) {
			continue
		}
		if r.Prefix != "" {
			if !looked {
				looked = true
				if decoded, clear = canonical(path); !clear {
					return nil, true, false
				}
				if decoded == "*" || decoded == "" { // the server as a whole, or a tunnel through it
					decoded = "/"
				}
			}
			if !strings.HasPrefix(decoded, r.Prefix) {
				continue
			}
		}
		fit = true
		if r.Scope != "" {
			scopes = append(scopes, r.Scope)
		}
	}
	return scopes, fit, true
}

// canonical is a path, decoded once and in lower case; clear is false when servers may differ about which
// one it is: dots, empty parts, encoded slashes and percents, backslashes, parameters, control bytes.
func canonical(path []byte) (s string, clear bool) {
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) {
				return "", false
			}
			hi, lo := unhex(path[i+1]), unhex(path[i+2])
			if hi > 15 || lo > 15 {
				return "", false
			}
			if c = hi<<4 | lo; c == '/' || c == '%' {
				return "", false
			}
			i += 2
		}
		if c < ' ' || c == 0x7f || c == '\\' || c == ';' {
			return "", false
		}
		b = append(b, c)
	}
	s = strings.ToLower(string(b))
	if strings.Contains(s, "//") {
		return "", false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "." || part == ".." {
			return "", false
		}
	}
	return s, true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
