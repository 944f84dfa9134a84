package attack

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/ring"
	"weir/bench/sock"
	"weir/bench/target"
	"weir/bench/wire"
)

// authFlood logs in with wrong passwords: to frames and lines by SCRAM-SHA-256 with proofs made up, to HTTP by Basic.
//
//	attacker                                 server
//	   | AUTH SCRAM-SHA-256 n,,n=..,r=.. ---> |  is there such an account, and with which salt?
//	   | <------------- + r=..,s=..,i=600000  |
//	   | + c=biws,r=..,p=32 bytes made up --> |  three hashes; nobody on this side has computed 600,000
//	   | <------------------------------ ERR  |  the next login wants another connection
//
//	   | GET / Authorization: Basic .. -----> |  600,000 hashes, if it lets itself be made to
//	   | <------------------- 401, 429, 503   |  the next on the same connection
//
// The names are guess-1, guess-2 and so on, -accounts of them, each as often as the others; with -user the first of them
// is that one: a name that exists. What the server answered with a refusal, or by cutting the connection, is a login
// refused; a good reply is a login that it should not have let in, or a server that asks nobody who they are.
//
// Aimed at: the CPU for password hashes, the owner of the account, who may get locked out, and the log.
// What ought to stop it: a limit on failed attempts for each source, account and pair, before anything is hashed; one that
// does not count for who has logged in before; hashes off the loops, few at a time; a log that is sampled.
var authFlood = Kind{
	Name:  "auth-flood",
	Help:  "logs in with wrong passwords, by SCRAM or HTTP's Basic: aims at the CPU for hashes, at accounts and the log",
	Units: "logins refused",
	takes: []string{"count", "accounts", "user", "version", "sni"},
	defaults: Options{
		Conns: 256, Total: 1_000_000, Count: 10_000_000, Accounts: 100,
		Duration: 5 * time.Second, Sources: 100, Loops: 1, Nice: 10,
	},
	check: func(o Options, t target.Target) error {
		for _, c := range []byte(o.User) {
			if c <= ' ' || c >= 0x7f || strings.IndexByte(",=:", c) >= 0 {
				return fmt.Errorf("user %q: want visible ASCII without comma, equals sign and colon", o.User)
			}
		}
		if len(o.User) > 128 {
			return errors.New("user: at most 128 bytes")
		}
		return checkTLS(o, t)
	},
	loop: func(r *run) error { return (&guesser{run: r}).flood() },
}

// maxAnswer is the longest message of a login, in bytes: docs/protocols-auth.md.
const maxAnswer = 2048

type guesser struct {
	*run
	web     bool
	request *wire.Request      // HTTP: one without credentials
	guesses []guess            // parallel to conns
	rest    ring.Queue[handle] // HTTP: connections that wait for their next login, the longest first
	resting int                // of them, those that still stand
	tried   int64              // logins, ≤ opts.Count
	name    int                // the next one
	out     []byte
}

// guess is how far one connection's login is.
type guess struct {
	stage   stage
	partial []byte // frames and lines: of an answer
	replies wire.Replies
}

type stage uint8

const (
	fresh  stage = iota // nothing was said
	asked               // HTTP: all of it; else the first message
	proved              // the second one
	rested              // HTTP: refused, and the connection still stands
)

func (g *guesser) flood() (err error) {
	if err := g.inTLS(g.opts.Version); err != nil {
		return err
	}
	if g.web = g.target.Scheme == target.HTTP; g.web {
		if g.request, err = wire.NewRequest(g.target, 0); err != nil {
			return err
		}
	}
	g.guesses = make([]guess, len(g.conns))
	pace, err := newPace(g.opts.Rate)
	if err != nil {
		return err
	}
	for !g.over() {
		now := g.now()
		n := 0
		for n < dialsPerTurn && g.could() && pace.take(now) && g.begin() {
			n++
		}
		if g.used() == g.resting && (g.tried >= g.opts.Count || g.spent() && g.used() == 0) {
			return nil
		}
		wait := maxWait
		if g.could() {
			wait = pace.wait(now)
			if n == 0 && wait == 0 {
				wait = time.Millisecond // out of descriptors: until one comes free
			}
		}
		g.turn(wait, g)
	}
	return nil
}

// could reports whether there is a connection for one more login, or may be.
func (g *guesser) could() bool {
	return g.tried < g.opts.Count && (len(g.free) > 0 && !g.spent() || g.resting > 0)
}

// begin begins a login: on a connection of its own while there may be more, so that all sources take part.
func (g *guesser) begin() bool {
	if len(g.free) > 0 && !g.spent() {
		if !g.dial() {
			return false
		}
		g.tried++
		return true
	}
	for g.rest.Len() > 0 {
		h := g.rest.Pop()
		if c := &g.conns[h.slot]; c.fd >= 0 && c.generation == h.generation {
			g.resting--
			g.tried++
			g.ask(h.slot)
			return true
		}
	}
	return false
}

func (g *guesser) stood(i int32) {
	sock.NoDelay(int(g.conns[i].fd))
	w := &g.guesses[i]
	w.stage, w.partial = fresh, w.partial[:0]
	if g.web {
		w.replies.Reset(g.request)
	}
	g.ask(i)
}

// ask sends the first message of a login, or all of it.
func (g *guesser) ask(i int32) {
	name := fmt.Sprint("guess-", g.name+1)
	if g.name == 0 && g.opts.User != "" {
		name = g.opts.User
	}
	g.name = (g.name + 1) % g.opts.Accounts
	g.guesses[i].stage = asked
	if g.web {
		pair := fmt.Appendf(nil, "%s:wrong-%016x", name, rand.Uint64())
		g.out = append(g.out[:0], g.request.Bytes[:len(g.request.Bytes)-2]...)
		g.out = append(g.out, "Authorization: Basic "...)
		g.out = base64.StdEncoding.AppendEncode(g.out, pair)
		g.out = append(g.out, "\r\n\r\n"...)
		g.send(i, g.out)
		return
	}
	g.message(i, "AUTH SCRAM-SHA-256 ", fmt.Appendf(nil, "n,,n=%s,r=%016x", name, rand.Uint64()))
}

// prove answers a challenge, whose nonce is to come back.
func (g *guesser) prove(i int32, challenge []byte) bool {
	nonce, _, found := bytes.Cut(bytes.TrimPrefix(challenge, []byte("r=")), []byte{','})
	if !found {
		return false
	}
	var proof []byte
	for range 4 {
		proof = binary.BigEndian.AppendUint64(proof, rand.Uint64())
	}
	final := fmt.Appendf(nil, "c=biws,r=%s,p=", nonce)
	g.guesses[i].stage = proved
	g.message(i, "+ ", base64.StdEncoding.AppendEncode(final, proof))
	return true
}

// message sends a word and data in base64 as a frame or a line.
func (g *guesser) message(i int32, word string, data []byte) {
	b := g.out[:0]
	if g.target.Scheme == target.Frames {
		b = binary.BigEndian.AppendUint32(b, uint32(len(word)+base64.StdEncoding.EncodedLen(len(data))))
	}
	b = base64.StdEncoding.AppendEncode(append(b, word...), data)
	if g.target.Scheme != target.Frames {
		b = append(b, '\n')
	}
	g.out = b
	g.send(i, b)
}

// send sends a message. A connection on which nothing else is under way has room for it; one that breaks over it has its
// end to be read.
func (g *guesser) send(i int32, b []byte) {
	n, err := g.write(i, b)
	g.counts.bytes.Add(int64(n))
	if err != nil && err != unix.EAGAIN {
		g.conns[i].broke = true
	}
}

func (g *guesser) writable(int32) {}

func (g *guesser) readable(i int32) {
	c, w := &g.conns[i], &g.guesses[i]
	generation := c.generation
	stands := func() bool { return c.fd >= 0 && c.generation == generation }
	for more := true; more; {
		told := false // this side has ended it, with what the server said
		more = g.read(i, func(b []byte) bool {
			told = !g.hear(i, b)
			return !told
		})
		switch {
		case stands() || told:
		case w.stage == rested:
			g.resting--
		case w.stage != fresh:
			g.counts.units.Add(1) // cut
		}
		more = more && stands()
	}
}

// hear takes what the server says and returns false when the connection is of no more use.
func (g *guesser) hear(i int32, b []byte) bool {
	if g.web {
		return g.hearHTTP(i, b)
	}
	w := &g.guesses[i]
	w.partial = append(w.partial, b...)
	for {
		text, rest, whole := g.cut(w.partial)
		if !whole {
			return len(w.partial) <= 2*maxAnswer || g.odd()
		}
		word, data, _ := bytes.Cut(text, []byte{' '})
		switch {
		case string(word) == "ERR":
			g.refuse()
			return false
		case string(word) == "OK" && w.stage == proved:
			g.counts.replies.Add(1)
			return false
		case string(word) != "+" || w.stage != asked:
			return g.odd()
		}
		challenge := make([]byte, base64.StdEncoding.DecodedLen(len(data)))
		n, err := base64.StdEncoding.Decode(challenge, data)
		if err != nil || !g.prove(i, challenge[:n]) {
			return g.odd()
		}
		w.partial = append(w.partial[:0], rest...)
	}
}

// cut returns the first message in b, if it is there as a whole.
func (g *guesser) cut(b []byte) (text, rest []byte, whole bool) {
	if g.target.Scheme == target.Frames {
		if len(b) < 4 {
			return nil, nil, false
		}
		n := binary.BigEndian.Uint32(b)
		if uint64(n) > uint64(len(b)-4) {
			return nil, nil, false
		}
		return b[4 : 4+n], b[4+n:], true
	}
	text, rest, whole = bytes.Cut(b, []byte{'\n'})
	return bytes.TrimSuffix(text, []byte{'\r'}), rest, whole
}

func (g *guesser) hearHTTP(i int32, b []byte) bool {
	w := &g.guesses[i]
	got, err := w.replies.Feed(b)
	g.counts.replies.Add(int64(got.OK))
	for range got.Bad {
		g.refuse()
	}
	switch {
	case err != nil || got.OK+got.Bad > 0 && w.stage != asked:
		return g.odd()
	case got.Close:
		return false
	case got.OK+got.Bad > 0:
		w.stage = rested
		g.resting++
		g.rest.Push(handle{slot: i, generation: g.conns[i].generation})
	}
	return true
}

// refuse counts a login that was answered with a refusal.
func (g *guesser) refuse() {
	g.counts.bad.Add(1)
	g.counts.units.Add(1)
}

// odd counts an answer to nothing that was said, and returns false.
func (g *guesser) odd() bool {
	g.counts.odd.Add(1)
	return false
}
