package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"weir/engine"
	"weir/internal/say"
	"weir/internal/scheme"
)

// limits are what a listener may have of its own: the engine's, and those of the services.
type limits struct {
	engine.Limits
	maxFrame, maxLine, maxHeader, maxBody int64 // bytes
	deferAccept                           time.Duration
	proxyFrom                             []netip.Prefix
	tlsMin, clientAuth                    string // words of -tls-min and -tls-client-auth

	files, index   string // a directory, "" for none, and a name in it, "off" for none
	list, dotFiles bool
	maxAge         time.Duration
	up             uploading
	relay          relaying
	auth           proving
}

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

// row is one flag. The table of them in flags.go is the only place that knows the flags: parsing,
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

// store reads value and puts it where field points, or returns what the value must be.
func (r *row) store(field any, value string) (must string) {
	switch r.kind {
	case toggle:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return "must be true or false"
		}
		*field.(*bool) = b
	case word:
		for _, w := range r.words {
			if w == value {
				*field.(*string) = value
				return ""
			}
		}
		return "must be " + say.OneOf(r.words)
	case text:
		if r.check != nil {
			if err := r.check(value); err != nil {
				return err.Error()
			}
		}
		*field.(*string) = value
	case listURLs, names, files:
		if r.check != nil {
			if err := r.check(value); err != nil {
				return err.Error()
			}
		}
		list := field.(*[]string)
		*list = append(*list, value)
	case prefixes:
		list := field.(*[]netip.Prefix)
		if r.off && value == "off" {
			*list = nil
			return ""
		}
		p, err := parsePrefix(value)
		if err != nil {
			return "must be a network such as 10.0.0.0/8 or 2001:db8::/32, or one address"
		}
		*list = append(*list, p)
	default:
		n, ok := r.number(value)
		if !ok || n > r.max || n < r.min && !(n == 0 && r.zero != "") {
			return "must be " + r.span()
		}
		if n == 0 {
			n = r.zeroIs
		}
		switch f := field.(type) {
		case *int:
			*f = int(n)
		case *int64:
			*f = n
		case *time.Duration:
			*f = time.Duration(n)
		}
	}
	return ""
}

// number reads a value of one of the numeric kinds.
func (r *row) number(value string) (n int64, ok bool) {
	switch r.kind {
	case size, byteRate:
		return say.ParseSize(value)
	case duration:
		d, err := time.ParseDuration(value)
		return int64(d), err == nil
	}
	return say.ParseCount(value)
}

// numeral writes a number as number reads it.
func (r *row) numeral(n int64) string {
	switch r.kind {
	case size, byteRate:
		return say.Size(n)
	case duration:
		return say.Duration(time.Duration(n))
	}
	return strconv.FormatInt(n, 10)
}

// written is the value in force, as one would type it. Lists have one entry each.
func (r *row) written(field any) []string {
	switch f := field.(type) {
	case *int:
		return []string{r.numeral(int64(*f))}
	case *int64:
		return []string{r.numeral(*f)}
	case *time.Duration:
		return []string{r.numeral(int64(*f))}
	case *bool:
		return []string{strconv.FormatBool(*f)}
	case *string:
		return []string{*f}
	case *[]string:
		return *f
	case *[]netip.Prefix:
		var all []string
		for _, p := range *f {
			all = append(all, p.String())
		}
		return all
	}
	panic(fmt.Sprintf("flag %s: no written form for %T", r.name, field))
}

// inWords is the value in force in one line, "off" for an empty list.
func (r *row) inWords(field any) string {
	if text := strings.Join(r.written(field), " "); text != "" || !r.isList() {
		return text
	}
	return "off"
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

// parsePrefix reads a network, or an address as the network of itself alone. Bits beyond the
// prefix are cleared, and IPv4-mapped IPv6 becomes IPv4.
func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("not an address: %q", text)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, err
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("neither IPv4 nor IPv6: %q", text)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
