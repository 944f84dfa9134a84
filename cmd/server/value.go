package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"weir/internal/say"
)

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

// mustStore is store for values of the table itself, which a test walks.
func (r *row) mustStore(field any, value string) {
	if must := r.store(field, value); must != "" {
		panic("flag " + r.name + ": default " + value + ": " + must)
	}
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
