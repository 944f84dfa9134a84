package files

import (
	"net/http"
	"time"

	"weir/codec/http1"
)

const httpTime = http.TimeFormat

// precondition judges a request's preconditions against a file, in the order of 9110 13.2.2: 200 to go
// on, 304 or 412.
func precondition(r *http1.Request, e *entry) int {
	if i := r.Next("if-match", 0); i >= 0 {
		if !e.matches(r, "if-match", false) {
			return 412
		}
	} else if v, some := r.Get("if-unmodified-since"); some {
		if t, ok := parseDate(v, e); ok && e.modified.After(t) {
			return 412
		}
	}
	if i := r.Next("if-none-match", 0); i >= 0 {
		if e.matches(r, "if-none-match", true) {
			return 304
		}
	} else if v, some := r.Get("if-modified-since"); some {
		if t, ok := parseDate(v, e); ok && !e.modified.After(t) {
			return 304
		}
	}
	return 200
}

// matches reports whether the list of tags in a field, which may be repeated, has the file's; weak says
// that weak tags count (9110 8.8.3.2).
func (e *entry) matches(r *http1.Request, field string, weak bool) bool {
	for i := r.Next(field, 0); i >= 0; i = r.Next(field, i+1) {
		_, list := r.Field(i)
		if len(list) == 1 && list[0] == '*' {
			return true
		}
		for len(list) > 0 {
			list = trimSpace(list)
			if len(list) > 0 && list[0] == ',' {
				list = list[1:]
				continue
			}
			tag, isWeak, rest, ok := cutTag(list)
			if !ok {
				break
			}
			if string(tag) == e.etag && (weak || !isWeak && !e.weak) {
				return true
			}
			list = rest
		}
	}
	return false
}

// cutTag takes an entity tag, quotes included, from the front of b.
func cutTag(b []byte) (tag []byte, weak bool, rest []byte, ok bool) {
	if len(b) > 2 && b[0] == 'W' && b[1] == '/' {
		weak, b = true, b[2:]
	}
	if len(b) < 2 || b[0] != '"' {
		return nil, false, nil, false
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return b[:i+1], weak, b[i+1:], true
		case c <= ' ' || c == 0x7f:
			return nil, false, nil, false
		}
	}
	return nil, false, nil, false
}

// ifRange reports whether a Range may be answered as one: there is no If-Range, or it names the file as
// it is, by a strong tag or by its exact date (9110 13.1.5).
func ifRange(r *http1.Request, e *entry) bool {
	v, some := r.Get("if-range")
	if !some {
		return true
	}
	if tag, weak, rest, ok := cutTag(v); ok {
		return len(rest) == 0 && !weak && !e.weak && string(tag) == e.etag
	}
	return !e.weak && string(v) == e.lastMod
}

// parseDate reads a date; that of the file itself, which most clients send back, costs a comparison.
func parseDate(v []byte, e *entry) (time.Time, bool) {
	if string(v) == e.lastMod {
		return e.modified, true
	}
	t, err := http.ParseTime(string(v))
	return t, err == nil
}
