package service

// Source is an answer that is pulled: the engine asks for a piece whenever the peer has taken what it
// had, a bounded number of bytes a wake, so that a peer that stops reading holds no more than one
// piece. Where the engine can it sends files without reading them (File); with TLS, and where there is
// no file, it asks for bytes (Read).
//
// All calls come on the loop's goroutine, inside the wake of the connection that it was given to. A
// Source must neither block nor call Write: what may block goes through Conn.Work, with Pause as the
// answer.
type Source interface {
	// Read puts the bytes that come next into p, which is never empty, and says how it goes on
	// behind them. They count as sent. n may be 0 with any Flow but More.
	Read(c Conn, p []byte) (n int, f Flow)
	// File says where the bytes that come next are, when they are a range of a regular file that
	// the page cache holds; an N of 0 with More means that they have to be asked for by Read. Sent
	// follows.
	File(c Conn) (r Range, f Flow)
	// Sent says that the first n bytes of the range are on their way: 0 < n ≤ N.
	Sent(n int)
	// Release says that the source is not used again: it has ended, or its connection has. It is
	// called exactly once.
	Release()
}

// Range is a part of an open regular file. The descriptor must stay open until Release.
type Range struct {
	FD     int
	Offset int64
	N      int64
}

// Flow says how a Source goes on.
type Flow uint8

const (
	More   Flow = iota // more comes
	End                // that was all
	Pause              // nothing can be had before Conn.Ready, or the end of work that was begun meanwhile
	Later              // nothing can be had now; ask again in a hundredth of a second
	Broken             // what was promised cannot be had: the connection is cut, so that its peer notices
)
