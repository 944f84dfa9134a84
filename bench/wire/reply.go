package wire

import (
	"bytes"
	"errors"

	"weir/bench/target"
)

// Replies counts the complete replies in what a server sends on one connection. Not for concurrent use. The
// zero value must be given its request with [Replies.Reset] first.
type Replies struct {
	request *Request
	http    httpReplies
	at      int  // frames and lines: bytes of the reply under way that came and were right
	broken  bool // the stream makes no sense any more
}

// Count is what one call saw.
type Count struct {
	OK    int  // complete replies that were good
	Bad   int  // complete HTTP replies with a status outside 200 to 399
	Close bool // the server said that it closes after the last of them
}

// ErrReply says that what came is not a reply to what was sent. The connection is of no more use.
var ErrReply = errors.New("reply does not match the request")

// Reset makes r ready for a new connection on which q is sent.
func (r *Replies) Reset(q *Request) {
	*r = Replies{request: q, http: httpReplies{line: r.http.line[:0]}}
}

// Feed takes the next bytes of the connection, which may hold any part of any number of replies, and says what
// they completed. Feed keeps nothing of b. After an error it returns that error only.
func (r *Replies) Feed(b []byte) (Count, error) {
	var c Count
	if r.broken {
		return c, ErrReply
	}
	if r.request.scheme == target.HTTP {
		if !r.http.feed(b, &c) {
			r.broken = true
			return c, ErrReply
		}
		return c, nil
	}
	want := r.request.echo
	for len(b) > 0 {
		n := min(len(b), len(want)-r.at)
		if !bytes.Equal(b[:n], want[r.at:r.at+n]) {
			r.broken = true
			return c, ErrReply
		}
		b = b[n:]
		if r.at += n; r.at == len(want) {
			r.at = 0
			c.OK++
		}
	}
	return c, nil
}

// End says that the server closed its side in an orderly way, and counts the reply that this completes, if any: an
// HTTP body without a length ends so.
func (r *Replies) End() Count {
	var c Count
	if r.request.scheme == target.HTTP && r.http.state == untilClose {
		r.http.done(&c)
	}
	return c
}
