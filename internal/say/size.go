package say

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The units of a size, largest first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// ParseSize reads a size in bytes: a whole number, with or without one of the units B, KiB, MiB
// and GiB right behind it. It reports false for anything else, for signs and fractions, and for
// what does not fit an int64.
func ParseSize(text string) (bytes int64, ok bool) {
	unit := int64(1)
	for _, u := range sizeUnits {
		if digits, cut := strings.CutSuffix(text, u.name); cut {
			text, unit = digits, u.bytes
			break
		}
	}
	n, ok := ParseCount(text)
	if !ok || n > (1<<63-1)/unit {
		return 0, false
	}
	return n * unit, true
}

// ParseCount reads a whole number without a sign. It reports false for anything else.
func ParseCount(text string) (n int64, ok bool) {
	u, err := strconv.ParseUint(text, 10, 63)
	return int64(u), err == nil
}

// Size is the shortest exact form that ParseSize reads back: 65536 is "64KiB".
func Size(bytes int64) string {
	for _, u := range sizeUnits {
		if bytes != 0 && bytes%u.bytes == 0 && u.bytes > 1 {
			return strconv.FormatInt(bytes/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(bytes, 10)
}

// SizeAbout is a size for people: three digits at most, rounded.
func SizeAbout(bytes int64) string {
	for _, u := range sizeUnits {
		if bytes >= u.bytes {
			v := float64(bytes) / float64(u.bytes)
			if v < 10 && u.bytes > 1 {
				return fmt.Sprintf("%.1f %s", v, u.name)
			}
			return fmt.Sprintf("%.0f %s", v, u.name)
		}
	}
	return "0 B"
}

// Duration is Go's form without the zero parts that nobody types: 75s, 1m30s, 10m, 8760h.
func Duration(d time.Duration) string {
	if d > 0 && d < 2*time.Minute && d%time.Second == 0 {
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	if text == "0s" {
		return "0"
	}
	return text
}
