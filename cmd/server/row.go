package main

import (
	"strings"

	"weir/internal/say"
	"weir/internal/scheme"
)

// kind says how a flag's value is written.
type kind int

const (
	count    kind = iota // a whole number
	size                 // bytes
	rate                 // a whole number per second
	byteRate             // bytes per second
	duration
	toggle // true or false
	word   // one of row.words
	text   // anything that row.check takes

	// Those that may be given several times.
	listURLs
	prefixes
	names // that row.check takes
	files // paths
)

// isList reports whether a flag may be given several times.
func (r *row) isList() bool { return r.kind >= listURLs }

// pieces are the values in one: lists may come with commas or spaces between, paths with commas. A
// comma in a URL ends it only where another one begins: lists are written in parameters, too.
func (r *row) pieces(value string) []string {
	if !r.isList() {
		return []string{value}
	}
	list := strings.FieldsFunc(value, func(c rune) bool {
		return c == ',' && r.kind != listURLs || r.kind != files && (c == ' ' || c == '\t' || c == '\n')
	})
	if r.kind != listURLs {
		return list
	}
	var urls []string
	for _, piece := range list {
		for i, part := range strings.FieldsFunc(piece, func(c rune) bool { return c == ',' }) {
			if i > 0 && !strings.Contains(part, "://") {
				urls[len(urls)-1] += "," + part
			} else {
				urls = append(urls, part)
			}
		}
	}
	return urls
}

// usage is the flag with what -help calls its value.
func (r *row) usage() string {
	unit := r.unit
	if unit == "" {
		unit = [...]string{"number", "size", "number/s", "size/s", "duration", "", "word", "text", "URL", "CIDR", "NAME", "FILE"}[r.kind]
	}
	return strings.TrimSpace("-" + r.name + " " + unit)
}

// row is one flag. The table of them, flags, is the only place that knows the flags: parsing,
// -help, -print-config and the table in docs/operations.md all come from it.
type row struct {
	name  string
	kind  kind
	value string // the default, as one would type it; "" when it depends on the machine
	auto  string // what the default is then, in words
	bench string // the value under -profile bench, "" for the same

	min, max int64  // range of numbers, in the unit's smallest: bytes, nanoseconds
	zero     string // what 0 means, when 0 is allowed beside or below min
	zeroIs   int64  // what is stored for 0

	unit  string             // how -help calls the value, "" as its kind
	words []string           // of a word
	check func(string) error // of a text or a name
	off   bool               // the word off stands for none, of prefixes
	help  string             // one or two sentences without the final default and range
	needs scheme.Ability     // what a listener's scheme can do that it is for, 0 for all

	// when reports whether it matters with these settings, for the start block; nil is always.
	when func(*settings) bool

	// setting is the field of the process. limit, when set, is the field of one listener: then
	// the flag is also a query parameter of -listen, and its value is every listener's default.
	setting func(*settings) any
	limit   func(*limits) any

	secret bool // the value is never printed

	// action rows say what to do instead of what holds; -print-config leaves them out.
	action bool
}

// fits reports whether a row is for listeners of a scheme.
func (r *row) fits(of scheme.Scheme) bool { return of.Can(r.needs) }

// listenersOf names listeners by their schemes: "http:// and https:// listeners".
func listenersOf(schemes []string) string { return urlsOf(schemes) + " listeners" }

func urlsOf(schemes []string) string {
	list := make([]string, len(schemes))
	for i, name := range schemes {
		list[i] = name + "://"
	}
	return say.AllOf(list)
}

// field is where the row's value goes in s.
func (r *row) field(s *settings) any {
	if r.setting != nil {
		return r.setting(s)
	}
	return r.limit(&s.limits)
}

// span is the range in words: "a duration such as 75s, 0 (no limit) to 24h".
func (r *row) span() string {
	var what string
	switch r.kind {
	case count:
		what = "a whole number"
	case size:
		what = "a size such as 64KiB"
	case rate:
		what = "a whole number per second"
	case byteRate:
		what = "bytes per second such as 10MiB"
	case duration:
		what = "a duration such as 75s"
	case toggle:
		return "true or false"
	case word:
		return say.OneOf(r.words)
	default:
		return ""
	}
	return what + ", " + r.bounds()
}

// bounds is the range alone: "0 (no limit) to 24h", "0 (automatic) or 4KiB to 1GiB".
func (r *row) bounds() string {
	to := " to " + r.numeral(r.max)
	switch {
	case r.zero == "":
		return r.numeral(r.min) + to
	case r.min <= 1:
		return "0 (" + r.zero + ")" + to
	}
	return "0 (" + r.zero + ") or " + r.numeral(r.min) + to
}
