// Package resp decodes what a client sends to a Redis server: commands in RESP (Redis serialization
// protocol, versions 2 and 3 alike), and inline commands.
//
//	*3 CR LF                        how many arguments
//	$3 CR LF SET CR LF              the first is the command's name
//	$1 CR LF k CR LF
//	$5 CR LF value CR LF
//
//	PING CR LF                      inline: words on a line, for people with a terminal
//
// A command is a Frame, up to and with its name; what follows comes as Parts, and an End. What is too
// large is refused when it is announced. Numbers are digits without a sign and without a leading
// zero: what Redis would read otherwise, or forgive, is refused. Data is what stood on the wire, framing
// included, so that a relay passes on what was looked at and nothing else.
//
// An inline command whose name is POST or Host: is refused, as Redis itself does: it is a browser or a
// server that was made to send HTTP here. The package knows no commands: a policy looks at
// [Decoder.Name]. It owns no buffer. Anybody may import it.
//
// The protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/.
package resp

import (
	"bytes"
	"math"

	"weir/codec"
)

const (
	// DefaultMax is the largest command when Decoder.Max is 0, framing included: 1 MiB. Redis itself
	// takes 512 MiB an argument.
	DefaultMax = 1 << 20
	// MaxMax is the largest command that can be allowed.
	MaxMax = math.MaxInt32
	// MaxArgs is the largest number of arguments, the name included: Redis's own limit.
	MaxArgs = 1 << 20
	// MaxName is the longest name of a command in bytes. Redis's longest have half of that.
	MaxName = 64
	// MaxInline is the longest inline command in bytes, its end included. Redis takes 64 KiB; a person
	// types less.
	MaxInline = 4 << 10
)

// MaxHead is the most that must be kept for a decoder that returned More, in bytes.
const MaxHead = max(MaxInline, 2*numberBytes+MaxName+2)

// numberBytes is the longest line with a number: its sign in front, ten digits, CR LF.
const numberBytes = 1 + 10 + 2

// step is what comes next in a command.
type step uint8

const (
	first  step = iota // its first byte
	count              // the number of arguments
	length             // the length of an argument
	name               // the first argument
	value              // another argument
	line               // the end of an inline command
)

// Decoder decodes one direction of one connection. The zero value is ready for use and allows
// commands of up to DefaultMax bytes, inline ones too. It allocates nothing. Not for concurrent use.
type Decoder struct {
	// Max is the largest command in bytes, framing included, 1 ≤ Max ≤ MaxMax. 0 and below mean
	// DefaultMax; above MaxMax means MaxMax. To be set before the first Decode.
	Max int
	// NoInline refuses inline commands.
	NoInline bool

	step    step
	tail    bool // the Frame has been told, the End has not
	partial bool
	seen    int // b[:seen] of the next call is right and not looked at again; 0 in the tail
	args    int // arguments that are not complete
	left    int // bytes of the present argument that are to come; of a value, with its CR LF
	total   int // bytes of the command that were taken or announced
	nameLen int
	name    [MaxName]byte
}

var _ codec.Decoder = (*Decoder)(nil)

// Decode returns a Frame with the beginning of a command up to and with its name, or the whole of one
// that is inline or has no further arguments; then Parts of the rest, and an End; or More with N 0; or
// Bad with FrameTooLarge, LineTooLong, LineBare or BadRESP. Data has N bytes. Its work is linear in N.
//
// hot: 0 allocs, ≤ 100 ns for a command of three arguments, see BenchmarkDecode
func (d *Decoder) Decode(b []byte) codec.Unit {
	if d.tail {
		return d.part(b)
	}
	fault := d.head(b)
	switch {
	case fault != codec.OK:
		return codec.Unit{Kind: codec.Bad, Fault: fault}
	case d.step != first || d.total == 0:
		d.partial = len(b) > 0
		return codec.Unit{}
	}
	n := d.seen
	d.seen = 0
	if d.tail = d.args > 0; d.tail {
		d.step = length
	} else {
		d.total, d.partial = 0, false
	}
	return codec.Unit{Kind: codec.Frame, N: n, Data: b[:n:n]}
}

// head looks for the whole beginning of a command: then step is first again and total is not 0.
func (d *Decoder) head(b []byte) codec.Fault {
	for {
		rest := b[d.seen:]
		switch d.step {
		case first:
			if len(rest) == 0 {
				return codec.OK
			}
			if d.step = count; rest[0] != '*' {
				d.step = line
			}
		case line:
			return d.inline(b)
		case count:
			v, n, fault := number(rest, '*')
			switch {
			case n == 0:
				return fault
			case v > MaxArgs:
				return codec.FrameTooLarge
			}
			d.seen, d.args, d.nameLen = n, v, 0
			if v == 0 { // Redis passes it over
				return d.begun()
			}
			d.step = length
		case length:
			v, n, fault := number(rest, '$')
			switch {
			case n == 0:
				return fault
			case v == 0 || v > MaxName:
				return codec.BadRESP
			}
			d.seen += n
			d.left, d.step = v, name
		default:
			if len(rest) < d.left+2 {
				return codec.OK
			}
			if rest[d.left] != '\r' || rest[d.left+1] != '\n' {
				return codec.BadRESP
			}
			d.nameLen = copy(d.name[:], rest[:d.left])
			d.seen += d.left + 2
			d.left = 0
			d.args--
			return d.begun()
		}
	}
}

// begun ends the beginning of a command, which is b[:seen].
func (d *Decoder) begun() codec.Fault {
	d.step, d.total = first, d.seen
	if d.total > d.limit() {
		return codec.FrameTooLarge
	}
	return codec.OK
}

// part takes what has come of the arguments behind the name.
func (d *Decoder) part(b []byte) codec.Unit {
	if d.args == 0 {
		d.step, d.tail, d.partial, d.total = first, false, false, 0
		return codec.Unit{Kind: codec.End}
	}
	n, fault := 0, codec.OK
	for n < len(b) && d.args > 0 {
		var took int
		if took, fault = d.tailStep(b[n:]); took == 0 {
			break
		}
		n += took
	}
	switch {
	case n > 0: // what is wrong behind it is told by the next call
		return codec.Unit{Kind: codec.Part, N: n, Data: b[:n:n]}
	case fault != codec.OK:
		return codec.Unit{Kind: codec.Bad, Fault: fault}
	}
	return codec.Unit{}
}

// tailStep takes one piece of the arguments, and nothing when it is wrong or not all there.
func (d *Decoder) tailStep(b []byte) (n int, fault codec.Fault) {
	switch {
	case d.step == length:
		v, n, fault := number(b, '$')
		switch {
		case n == 0:
			return 0, fault
		case v > d.limit()-d.total-n-2:
			return 0, codec.FrameTooLarge
		}
		d.total += n + v + 2
		d.left, d.step = v+2, value
		return n, codec.OK
	case d.left > 2:
		n = min(d.left-2, len(b))
	case b[0] != "\n\r"[d.left-1]:
		return 0, codec.BadRESP
	default:
		n = 1
	}
	if d.left -= n; d.left == 0 {
		d.args--
		d.step = length
	}
	return n, codec.OK
}

// number reads a line of a sign and a number. n is the length of the line, 0 when it is not all there or is wrong.
func number(b []byte, sign byte) (_, n int, fault codec.Fault) {
	v := int64(0) // ten digits fit
	for i, c := range b[:min(len(b), numberBytes)] {
		switch {
		case i == 0:
			if c != sign {
				return 0, 0, codec.BadRESP
			}
		case c >= '0' && c <= '9':
			if i == 2 && b[1] == '0' || i > 10 {
				return 0, 0, codec.BadRESP
			}
			v = v*10 + int64(c-'0')
		case c == '\r' && i > 1:
			switch {
			case v > MaxMax:
				return 0, 0, codec.FrameTooLarge
			case i+1 == len(b):
				return 0, 0, codec.OK
			case b[i+1] != '\n':
				return 0, 0, codec.BadRESP
			}
			return int(v), i + 2, codec.OK
		default:
			return 0, 0, codec.BadRESP
		}
	}
	return 0, 0, codec.OK
}

// inline looks for a whole line.
func (d *Decoder) inline(b []byte) codec.Fault {
	if d.NoInline {
		return codec.BadRESP
	}
	w := b[:min(len(b), MaxInline)]
	i := bytes.IndexByte(w[d.seen:], '\n')
	text := w[d.seen:]
	if i >= 0 {
		text = text[:i]
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return codec.LineBare
	}
	if i < 0 {
		if len(w) == MaxInline {
			return codec.LineTooLong
		}
		d.seen = len(w)
		return codec.OK
	}
	end := d.seen + i
	word := bytes.TrimLeft(w[:end], " \t\r\v\f") // what Redis takes for blanks
	if k := bytes.IndexAny(word, " \t\r\v\f"); k >= 0 {
		word = word[:k]
	}
	// With quotes and their escapes a name can be written in many ways: none that needs them is one.
	if bytes.ContainsAny(word, `"'\`) || len(word) > MaxName || bytes.EqualFold(word, []byte("post")) || bytes.EqualFold(word, []byte("host:")) {
		return codec.BadRESP
	}
	d.nameLen = copy(d.name[:], word)
	d.seen, d.args = end+1, 0
	return d.begun()
}

// Name is the name of the command that the last Frame began, as it was written: Redis takes no notice
// of case. Empty for one without arguments and for an empty line. A view into d, valid until the next
// Frame.
func (d *Decoder) Name() []byte { return d.name[:d.nameLen] }

// Lacks is 1 but inside a name, which is told when it is whole.
func (d *Decoder) Lacks() int { return 1 }

// Partial reports whether a command has begun and is not complete.
func (d *Decoder) Partial() bool { return d.partial || d.tail }

func (d *Decoder) limit() int {
	switch {
	case d.Max <= 0:
		return DefaultMax
	case d.Max > MaxMax:
		return MaxMax
	}
	return d.Max
}
