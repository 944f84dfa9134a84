package files

import (
	"bytes"
	"encoding/hex"
	"math"
	"strconv"

	"weir/codec"
	"weir/codec/length"
	"weir/engine/service"
)

// The frame protocol, in frames of package length; docs/protocols.md has it byte by byte. A frame that begins
// with a NUL carries data behind it, any other is a line of text without its end:
//
//	client                                          server
//	STAT /PATH                                      OK file SIZE MTIME TAG | OK directory
//	GET [OFFSET [LENGTH]] [sha256] /PATH            OK LENGTH SIZE MTIME TAG, data ..., END [sha256=HEX]
//	PUT SIZE [sha256=HEX] [if-absent|replace] /PATH SEND MOST
//	data ...                                        OK created|replaced SIZE TAG sha256=HEX
//	anything                                        ERR CODE WORDS
//
// Data that belongs to no upload is dropped without a word: it was on its way when its upload was refused.
// So data is never taken for a request, whatever a client does not wait for.

const (
	// mostFrame is the largest payload that is sent, which a client has to hold; mostTaken the largest that is
	// taken: what a frame that has not arrived whole can make us hold.
	mostFrame = 128 << 10
	mostTaken = 64 << 10
	dataMark  = 0
)

// frameMost and takenMost are the largest payloads of a site's frames, sent and taken.
func (s *Site) frameMost() int { return min(s.cfg.MaxFrame, mostFrame) }
func (s *Site) takenMost() int { return min(s.cfg.MaxFrame, mostTaken) }

// frameSession is one connection that speaks the frame protocol.
type frameSession struct {
	length.Decoder
	asker
	o  *opener
	up *upload // under way, else nil
}

func (o *opener) openFrames() service.Session {
	return &frameSession{Decoder: length.Decoder{Max: o.site.takenMost()}, o: o}
}

// Decode is codec.Decoder's. Data of an upload are parts of a body: as frames each of them would be a
// message that has arrived in time, and a drip of small ones would hold a place for as long as it likes.
func (s *frameSession) Decode(b []byte) codec.Unit {
	u := s.Decoder.Decode(b)
	if u.Kind == codec.Frame && s.up != nil && u.Data[0] == dataMark {
		u.Kind = codec.Part
	}
	return u
}

// Stage is service.Session's. An upload is a body: its minimum rate holds between frames, too.
func (s *frameSession) Stage() service.Stage {
	switch {
	case s.up != nil:
		return service.InBody
	case s.Partial():
		return service.InFrame
	}
	return service.Between
}

// Serve is service.Session's.
func (s *frameSession) Serve(c service.Conn, u codec.Unit) int {
	if u.Data[0] == dataMark {
		if s.up != nil {
			s.data(c, u.Data[1:])
		}
		return len(u.Data)
	}
	if s.up != nil { // the client has given its upload up, or counts wrong
		s.refused(c, s.up, Cut, 0, "another request came instead of data")
	}
	if !s.request(c, u.Data) {
		return 0
	}
	if s.answered(); c.Draining() && s.up == nil {
		c.Close()
	}
	return len(u.Data)
}

// request answers a frame of text, and reports whether it has.
func (s *frameSession) request(c service.Conn, line []byte) bool {
	verb, rest, _ := bytes.Cut(line, []byte{' '})
	at := bytes.IndexByte(rest, '/')
	if at < 0 || at > 0 && rest[at-1] != ' ' {
		s.err(c, 400, "a request is a verb, options and a path that begins with a slash")
		return true
	}
	options, key := bytes.Fields(rest[:at]), rest[at+1:]
	get, stat := string(verb) == "GET", string(verb) == "STAT"
	switch {
	case get || stat:
		if s.o.site.tree == nil {
			s.err(c, 405, "nothing is served here")
			return true
		}
	case string(verb) != "PUT":
		s.err(c, 400, "the verbs are STAT, GET and PUT")
		return true
	case s.o.site.store == nil:
		s.err(c, 405, "nothing is taken here")
		return true
	}
	key, status := judge(key, s.o.site.cfg.DotFiles)
	if status != 0 {
		report(c, rest[at:], status)
	}
	if string(verb) == "PUT" {
		s.put(c, options, key, status)
		return true
	}
	var from, n int64 = 0, math.MaxInt64
	hashed := false
	for i, v := range options {
		number, tail, ok := digits(v)
		switch {
		case get && i < 2 && ok && len(tail) == 0 && !hashed:
			if i == 0 {
				from = number
			} else {
				n = number
			}
		case get && string(v) == "sha256" && !hashed:
			hashed = true
		default:
			s.err(c, 400, "an option that is none")
			return true
		}
	}
	if status != 0 {
		s.err(c, status, statusWords(status))
		return true
	}
	e, what := s.o.find(c, &s.asker, key)
	switch what {
	case wait:
		return false
	case busy:
		s.err(c, 503, statusWords(503))
		return true
	}
	switch {
	case e.kind == found && from > e.file.is.size:
		s.err(c, 416, "the file ends before that")
	case e.kind == found:
		s.found(c, e, stat, span{from, from + min(n, e.file.is.size-from)}, hashed)
	case e.kind == redirect || e.kind == listing || e.status == 403 && len(key) > 0 && key[len(key)-1] == '/' || len(key) == 0:
		if stat {
			s.say(c, "OK directory")
		} else {
			s.err(c, 403, "a directory")
		}
	default:
		s.err(c, e.status, statusWords(e.status))
	}
	return true
}

// found answers with a file or what is asked for of it.
func (s *frameSession) found(c service.Conn, e *entry, stat bool, part span, hashed bool) {
	b := append([]byte(nil), "OK "...)
	if stat {
		b = append(b, "file "...)
	} else {
		b = append(strconv.AppendInt(b, part.to-part.from, 10), ' ')
	}
	b = append(strconv.AppendInt(b, e.file.is.size, 10), ' ')
	b = append(strconv.AppendInt(b, e.file.is.mtime, 10), ' ')
	if b = append(b, e.etag...); stat {
		s.say(c, string(b))
		return
	}
	s.say(c, string(b))
	body := s.o.body(e.file, span{part.from, part.from})
	body.inFrames(part, s.o.site.frameMost(), hashed)
	c.Send(body)
}

// put begins an upload, or refuses it.
func (s *frameSession) put(c service.Conn, options [][]byte, key []byte, status int) {
	u := &upload{}
	refuse := func(o Outcome, status int, words string) { s.refused(c, u, o, status, words) }
	size := int64(-1)
	for i, v := range options {
		hexed, isHash := bytes.CutPrefix(v, []byte("sha256="))
		number, tail, ok := digits(v)
		switch {
		case i == 0 && ok && len(tail) == 0:
			size = number
		case i > 0 && isHash && !u.check && len(hexed) == 2*len(u.want):
			if _, err := hex.Decode(u.want[:], hexed); err != nil {
				refuse(BadRequest, 400, "the digest cannot be read")
				return
			}
			u.check = true
		case i > 0 && string(v) == "if-absent":
			u.only = true
		case i > 0 && string(v) == "replace":
			if !s.o.site.store.cfg.Overwrite {
				refuse(Exists, 409, "nothing is replaced here")
				return
			}
		default:
			refuse(BadRequest, 400, "an option that is none")
			return
		}
	}
	switch {
	case size < 0:
		refuse(BadRequest, 400, "the size comes first")
		return
	case status != 0:
		refuse(BadPath, status, statusWords(status))
		return
	case len(key) == 0 || key[len(key)-1] == '/':
		refuse(BadPath, 409, "a directory cannot be written to")
		return
	}
	u.key = string(key)
	if o := s.o.site.store.admit(c, u, size); o != Stored {
		refuse(o, 0, "")
		return
	}
	s.up = u
	u.run(c, u.begin, func() {
		switch {
		case u.result != Stored:
			refuse(u.result, 0, "")
		default:
			u.say(c, appendLine(nil, "SEND "+strconv.Itoa(s.o.site.takenMost()-1)))
			if u.size == 0 {
				u.run(c, u.finish, func() { s.finished(c, u) })
			}
		}
	})
}

// data takes a piece of an upload.
func (s *frameSession) data(c service.Conn, b []byte) {
	u := s.up
	if len(b) == 0 { // frames of nothing would keep up the minimum rate, and the place, for ever
		s.refused(c, u, BadRequest, 400, "data of no bytes")
		return
	}
	if o := u.more(c, int64(len(b))); o != Stored {
		s.refused(c, u, o, 0, "more data than was announced")
		return
	}
	if u.got == u.size {
		if u.gather(b) {
			u.run(c, u.finish, func() { s.finished(c, u) })
			return
		}
		u.rest()
		u.run(c, u.finish, func() { s.finished(c, u) })
		return
	}
	if u.gather(b) {
		u.run(c, u.write, func() {
			if u.wrote(); u.result != Stored {
				s.refused(c, u, u.result, 0, "")
			}
		})
	}
}

// finished answers an upload that is stored, or could not be.
func (s *frameSession) finished(c service.Conn, u *upload) {
	if u.result != Stored {
		s.refused(c, u, u.result, 0, "")
		return
	}
	b := append([]byte(nil), "OK replaced "...)
	if u.created {
		b = append(b[:0], "OK created "...)
	}
	b = append(strconv.AppendInt(b, u.written, 10), ' ')
	b = append(append(b, u.tag...), " sha256="...)
	b = hex.AppendEncode(b, u.digest[:])
	u.say(c, appendLine(nil, string(b)))
	s.up = nil
	if u.end(Stored); c.Draining() {
		c.Close()
	}
}

// refused answers an upload that will not be. What still comes of it is dropped.
func (s *frameSession) refused(c service.Conn, u *upload, o Outcome, status int, words string) {
	if status == 0 {
		status = outcomes[o].status
	}
	if words == "" {
		words = outcomes[o].words
	}
	u.say(c, appendLine(nil, "ERR "+strconv.Itoa(status)+" "+words))
	if u.st == nil {
		s.o.site.store.ends[o].Add(1)
	} else {
		u.end(o)
	}
	s.up = nil
}

// appendLine appends a frame of text.
func appendLine(dst []byte, text string) []byte {
	return append(length.AppendHeader(dst, len(text)), text...)
}

func (s *frameSession) say(c service.Conn, text string) {
	s.o.buf = appendLine(s.o.buf[:0], text)
	c.Write(s.o.buf)
}

func (s *frameSession) err(c service.Conn, code int, words string) {
	s.say(c, "ERR "+strconv.Itoa(code)+" "+words)
}

// statusWords are those of a refusal by the path or the file system.
func statusWords(status int) string {
	switch status {
	case 400:
		return "a path that may not be"
	case 403:
		return "not for everybody"
	case 404:
		return "no such file"
	case 414:
		return "too long a path"
	case 503:
		return "too much is open or waiting"
	}
	return "the file cannot be had"
}

// Refuse answers that the connection is about to be closed.
func (s *frameSession) Refuse(c service.Conn, why service.Refusal) {
	switch why {
	case service.TooMany:
		s.err(c, 429, why.String())
	case service.TooSlow:
		s.err(c, 408, why.String())
	case service.LoggedOut:
		s.err(c, 403, why.String())
	default:
		s.err(c, 500, why.String())
	}
}

// Fault answers wrong bytes.
func (s *frameSession) Fault(c service.Conn, f codec.Fault) {
	if f == codec.FrameTooLarge {
		s.err(c, 413, f.Error())
		return
	}
	s.err(c, 400, f.Error())
}

// Closed is service.Session's.
func (s *frameSession) Closed() {
	s.forget(s.o)
	if s.up != nil {
		s.up.abandon(wasCut)
		s.up = nil
	}
}
