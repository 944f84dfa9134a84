package tlsio

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"weir/internal/lab"
)

var serverCert = sync.OnceValue(func() tls.Certificate { return lab.NewAuthority().Issue("test") })

func serverConfig(change func(*tls.Config)) *tls.Config {
	cfg := &tls.Config{Certificates: []tls.Certificate{serverCert()}}
	if change != nil {
		change(cfg)
	}
	return cfg
}

func clientConfig(change func(*tls.Config)) *tls.Config {
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "test"}
	if change != nil {
		change(cfg)
	}
	return cfg
}

// rig is a server of this package at the end of a TCP connection, driven as a loop would: every piece of up to
// piece bytes that arrives is a wake of its own. What it opens it hands to serve, whose answer it
// seals. On the goroutine of run only, until that has ended.
type rig struct {
	h       *Handshake
	c       *Conn
	net     net.Conn
	piece   int
	pending []byte
	plain   []byte
	out     []byte
	serve   func(plain []byte) (answer []byte)
	steps   int
	records int
	idle    int
	err     error // why it ended; io.EOF after close_notify, io.ErrUnexpectedEOF without
}

func newRig(t testing.TB, cfg *tls.Config, piece int, serve func([]byte) []byte) (r *rig, client net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	b.SetDeadline(time.Now().Add(2 * time.Minute))
	return &rig{h: NewHandshake(cfg, a.LocalAddr(), a.RemoteAddr()), net: a, piece: piece, serve: serve}, b
}

func (r *rig) run() {
	b := make([]byte, r.piece)
	defer r.net.Close()
	for r.err == nil {
		n, err := r.net.Read(b)
		if err != nil {
			r.err = io.ErrUnexpectedEOF
			r.h.Abort()
			return
		}
		r.pending = append(r.pending, b[:n]...)
		r.wake()
		if len(r.out) > 0 {
			if _, err := r.net.Write(r.out); err != nil {
				r.err = err
			}
			r.out = r.out[:0]
		}
	}
	r.h.Abort()
}

func (r *rig) wake() {
	if r.c == nil {
		n, _ := Whole(r.pending)
		if n == 0 {
			return
		}
		r.steps++
		in := append([]byte(nil), r.pending[:n]...)
		r.pending = r.pending[n:]
		if !r.h.Step(in, &r.out) {
			return
		}
		if r.err = r.h.Err(); r.err != nil {
			return
		}
		var rest []byte
		r.c, rest = r.h.Conn()
		r.pending = append(append([]byte(nil), rest...), r.pending...)
	}
	plain, o := r.c.Open(r.plain[:0], r.pending, 1<<20, &r.out)
	r.plain = plain[:0]
	r.pending = append(r.pending[:0], r.pending[o.Used:]...)
	r.records, r.idle, r.err = r.records+o.Records, r.idle+o.Idle, o.Err
	if len(plain) > 0 {
		if err := r.c.Seal(r.serve(plain), &r.out); err != nil {
			r.err = err
		}
	}
}
