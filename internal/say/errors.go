package say

import (
	"strings"

	"weir/internal/events"
)

// WrongValue says which flag has which wrong value, and what would be right.
type WrongValue struct {
	Where string // the flag, variable, or file and line
	Value string
	Must  string // "must be ..." or another reason
}

// Wrong makes a WrongValue.
func Wrong(where, value, must string) *WrongValue { return &WrongValue{where, value, must} }

func (e *WrongValue) Error() string {
	return e.Where + " " + Shown(e.Value) + ": " + e.Must
}

// UsageError is a command line that cannot be read, apart from wrong values.
type UsageError struct{ text string }

// Usage makes a UsageError.
func Usage(text string) *UsageError { return &UsageError{text} }

func (e *UsageError) Error() string { return e.text }

// LineError puts what package flag says about a command line into one line with a hint. takes says what a flag takes,
// "" when there is nothing to say; nil is the same for all flags.
func LineError(err error, takes func(flag string) string) *UsageError {
	said := err.Error()
	if name, ok := strings.CutPrefix(said, "flag provided but not defined: "); ok {
		return Usage(events.Clean(name, 80) + ": no such flag; -help lists them")
	}
	if name, ok := strings.CutPrefix(said, "flag needs an argument: "); ok {
		if takes != nil {
			if what := takes(strings.TrimPrefix(name, "-")); what != "" {
				return Usage(name + ": needs a value: " + what)
			}
		}
		return Usage(name + ": needs a value; -help tells more")
	}
	return Usage(events.Clean(said, 160) + "; -help lists the flags")
}
