package clienthello

// typeSet is the set of the extension types of a hello. Comparing each with each would make a
// hello of 4096 empty extensions cost eight million comparisons, so the set is small and quick for
// what clients send and gives way to distinct for what only an attacker sends.
type typeSet struct {
	low  uint64     // types below 64, nearly all that are registered
	high [16]uint16 // others: GREASE twice, ALPS, ECH, renegotiation_info; six at most have been seen
	n    int        // of high
}

type added uint8

const (
	fresh added = iota
	again       // the type was in the set
	full        // there is no room to say
)

func (s *typeSet) add(typ uint16) added {
	if typ < 64 {
		if s.low&(1<<typ) != 0 {
			return again
		}
		s.low |= 1 << typ
		return fresh
	}
	for _, have := range s.high[:s.n] {
		if have == typ {
			return again
		}
	}
	if s.n == len(s.high) {
		return full
	}
	s.high[s.n] = typ
	s.n++
	return fresh
}

// distinct reports whether all are extensions of different types. It takes one pass and 8 KiB of
// stack, and is a function of its own so that the usual path needs neither.
//
//go:noinline
func distinct(all cursor) bool {
	var bits [1 << 16 / 64]uint64
	for len(all) > 0 {
		typ, _ := all.uint16()
		if _, ok := all.vector16(); !ok || bits[typ/64]&(1<<(typ%64)) != 0 {
			return false
		}
		bits[typ/64] |= 1 << (typ % 64)
	}
	return true
}
