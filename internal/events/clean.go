package events

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The most bytes of a string and of a stack that a log line carries.
const (
	maxText  = 512
	maxStack = 8 << 10
)

// Clean makes text from outside safe to print: line ends, control bytes, ANSI escapes, characters
// that turn the direction of writing or take no room, and bytes that are no UTF-8 become Go escapes
// such as \r, \x1b and \u202e; a backslash becomes two. At most limit bytes of s are looked at; of a
// longer one the rest is told as a count. Any goroutine.
func Clean(s string, limit int) string {
	cut := 0
	if len(s) > limit {
		end := limit
		for end > 0 && limit-end < utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s, cut = s[:end], len(s)-end
	}
	if cut == 0 && isClean(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += n
	}
	if cut > 0 {
		fmt.Fprintf(&b, " (and %d bytes)", cut)
	}
	return b.String()
}

func isClean(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// cleanStack is Clean for a stack, whose lines stay lines: the encoders write them as \n.
func cleanStack(stack []byte) string {
	lines := strings.Split(string(stack[:min(len(stack), maxStack)]), "\n")
	for i := range lines {
		lines[i] = strings.ReplaceAll(Clean(strings.ReplaceAll(lines[i], "\t", "  "), maxText), `\\`, `\`)
	}
	return strings.Join(lines, "\n")
}

// CleanCore wraps core so that every message and every text among the fields goes through Clean,
// whoever logs it. It is the last line of defence: zap's console encoder writes messages as they
// are, and its JSON encoder lets bidirectional and C1 control characters pass. Any goroutine.
func CleanCore(core zapcore.Core) zapcore.Core { return cleanCore{core} }

type cleanCore struct{ zapcore.Core }

func (c cleanCore) With(fields []zapcore.Field) zapcore.Core {
	return cleanCore{c.Core.With(cleanFields(fields))}
}

func (c cleanCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c cleanCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.Message = Clean(e.Message, maxText)
	return c.Core.Write(e, cleanFields(fields))
}

func cleanFields(fields []zapcore.Field) []zapcore.Field {
	out := make([]zapcore.Field, len(fields))
	for i, f := range fields {
		switch f.Type {
		case zapcore.StringType:
			if f.Key != stackKey {
				f.String = Clean(f.String, maxText)
			}
		case zapcore.ByteStringType:
			b, _ := f.Interface.([]byte)
			f = zap.String(f.Key, Clean(string(b), maxText))
		case zapcore.ErrorType:
			err, _ := f.Interface.(error)
			f = zap.String(f.Key, Clean(fmt.Sprint(err), maxText))
		case zapcore.StringerType, zapcore.ReflectType, zapcore.ArrayMarshalerType, zapcore.ObjectMarshalerType, zapcore.InlineMarshalerType:
			f = zap.String(f.Key, Clean(plain(f), maxText))
		}
		out[i] = f
	}
	return out
}

// plain is the text of a field that is no plain value.
func plain(f zapcore.Field) string {
	if f.Type == zapcore.StringerType || f.Type == zapcore.ReflectType {
		return fmt.Sprint(f.Interface)
	}
	enc := zapcore.NewMapObjectEncoder()
	f.AddTo(enc)
	if v, ok := enc.Fields[f.Key]; ok {
		return fmt.Sprint(v)
	}
	return fmt.Sprint(enc.Fields)
}
