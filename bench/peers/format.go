package main

import (
	"fmt"
	"strconv"
	"strings"
)

// micros writes microseconds with three digits that count.
func micros(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func tenths(v float64) string { return fmt.Sprintf("%.1f", v) }

// thousands writes a whole number with commas, from 1,000 on rounded to three digits that count.
func thousands(v float64) string {
	unit := 1.0
	for v/unit >= 1000 {
		unit *= 10
	}
	text := strconv.FormatFloat(float64(int64(v/unit+0.5))*unit, 'f', 0, 64)
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, parts...), ",")
}

// percent writes a share so that 100 means all of it.
func percent(v float64) string {
	switch {
	case v >= 100 || v <= 0:
		return fmt.Sprintf("%.0f %%", v)
	case v >= 99.95:
		return "99.9 %"
	}
	return fmt.Sprintf("%.1f %%", v)
}

// millis writes milliseconds with two digits that count.
func millis(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

// markdown is a table; the first column is of words, the others of numbers.
func markdown(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	b.WriteString("|---|" + strings.Repeat("---:|", len(head)-1) + "\n")
	for _, r := range rows {
		line(r)
	}
	return b.String()
}
