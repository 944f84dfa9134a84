package main

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// terminalSize returns the size of the terminal that w is or, where it does not say, what COLUMNS and LINES say, or
// 80 by 24. A terminal that says 0 columns, as some serial lines do, does not say.
func terminalSize(w io.Writer) (columns, rows int) {
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 && size.Row > 0 {
			return int(size.Col), int(size.Row)
		}
	}
	return fromEnvironment("COLUMNS", 80), fromEnvironment("LINES", 24)
}

func fromEnvironment(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 && n < 10_000 {
		return n
	}
	return otherwise
}
