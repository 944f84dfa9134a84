package say

import (
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
		why  string
	}{
		{"0", 0, true, "nothing is a size"},
		{"512", 512, true, "plain numbers are bytes"},
		{"512B", 512, true, "and may say so"},
		{"64KiB", 64 << 10, true, "binary units"},
		{"10MiB", 10 << 20, true, "binary units"},
		{"8388607TiB", 0, false, "no unit above GiB"},
		{"8589934591GiB", 8589934591 << 30, true, "the greatest that fits an int64"},
		{"8589934592GiB", 0, false, "one more overflows"},
		{"9223372036854775808", 0, false, "overflows without a unit"},
		{"64KB", 0, false, "decimal units would be off by 2 %, silently"},
		{"64k", 0, false, "one way to write it"},
		{"1.5MiB", 0, false, "fractions of bytes"},
		{"-1", 0, false, "signs"},
		{"+1", 0, false, "signs"},
		{"1 KiB", 0, false, "spaces end a value in a file"},
		{"KiB", 0, false, "a unit alone"},
		{"", 0, false, "nothing"},
		{"0x10", 0, false, "hexadecimal"},
		{"1_000", 0, false, "Go's separators"},
	} {
		if got, ok := ParseSize(c.text); got != c.want || ok != c.ok {
			t.Errorf("ParseSize(%q) = %d, %v; want %d, %v: %s", c.text, got, ok, c.want, c.ok, c.why)
		}
	}
}

func TestSizeTextIsReadBack(t *testing.T) {
	for _, n := range []int64{0, 1, 1023, 1024, 1025, 64 << 10, 10 << 20, 1 << 30, 1<<30 + 1, 1 << 40} {
		if got, ok := ParseSize(Size(n)); !ok || got != n {
			t.Errorf("%d is written %s and read as %d", n, Size(n), got)
		}
	}
}

func TestTextForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Size(65536), "64KiB"},
		{SizeAbout(0), "0 B"},
		{SizeAbout(700), "700 B"},
		{SizeAbout(1536), "1.5 KiB"},
		{SizeAbout(5 << 30), "5.0 GiB"},
		{SizeAbout(123 << 20), "123 MiB"},
		{Grouped(7), "7"},
		{Grouped(1234), "1,234"},
		{Grouped(1234567), "1,234,567"},
		{Duration(0), "0"},
		{Duration(75 * time.Second), "75s"},
		{Duration(10 * time.Minute), "10m"},
		{Duration(150 * time.Second), "2m30s"},
		{Duration(8760 * time.Hour), "8760h"},
		{Duration(90 * time.Minute), "1h30m"},
		{Duration(1500 * time.Millisecond), "1.5s"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}
