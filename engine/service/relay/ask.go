package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"weir/codec"
	"weir/codec/http1"
	"weir/codec/proxyproto"
)

// A check by HTTP is what a client's request would be to the server, over a connection as clients' are, which
// is then closed:
//
//	PROXY header     where clients' connections have one: LOCAL, or UNKNOWN in version 1
//	TLS              where clients' connections have it, with the same rules for certificates
//	GET path         Host, User-Agent: weir-health, Connection: close
//	                 ◀── a head of 16 KiB at most: 200 to 399 is well; its body is not read
//
// The answer is read as the relay reads servers' answers (package http1): one that the relay would not pass on
// is not well. Nothing of it is kept but the status, and no word of it is told.

// mostCheckHead bounds the head of the answer to a check, and all interim ones before it.
const mostCheckHead = 16 << 10

// CheckPath reports whether text could be Config.CheckPath: what stands in a request's line.
func CheckPath(text string) error {
	wrong := !strings.HasPrefix(text, "/") || len(text) > 1024
	for _, c := range []byte(text) {
		wrong = wrong || c <= ' ' || c >= 0x7f || c == '#'
	}
	if wrong {
		return errors.New("must be a path such as /healthz, beginning with /, of visible ASCII without #, 1024 bytes at most")
	}
	return nil
}

// ask sends a request over c, which is connected, and judges the answer. It ends with ctx.
func (p *Pool) ask(ctx context.Context, c net.Conn, pl *place) error {
	if end, has := ctx.Deadline(); has {
		_ = c.SetDeadline(end)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if v := p.cfg.ProxyTo; v != 0 {
		local, header := proxyproto.Header{Command: proxyproto.Local}, proxyproto.AppendV2
		if v == 1 {
			header = proxyproto.AppendV1
		}
		if _, err := c.Write(header(nil, local)); err != nil {
			return noAnswer(err)
		}
	}
	if pl.tls != nil {
		// Without resumption the server has to show its certificate each time.
		cfg := pl.tls.Clone()
		cfg.ClientSessionCache = nil
		secure := tls.Client(c, cfg)
		if err := secure.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("checks fail in the TLS handshake: %w", err)
		}
		c = secure
	}
	request := "GET " + p.cfg.CheckPath + " HTTP/1.1\r\nHost: " + pl.called() + "\r\nUser-Agent: weir-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
	if _, err := c.Write([]byte(request)); err != nil {
		return noAnswer(err)
	}
	status, err := readStatus(c)
	if err == nil && (status < 200 || status > 399) {
		err = fmt.Errorf("checks are answered %d", status)
	}
	return err
}

// readStatus reads the head of an answer and returns its status, that of interim ones aside.
func readStatus(c net.Conn) (status int, err error) {
	r := http1.NewResponse(http1.Limits{MaxHead: mostCheckHead, MaxFields: 200})
	d := http1.NewResponseDecoder(r)
	d.Ask(http1.Asked{})
	room := make([]byte, mostCheckHead)
	used, n := 0, 0
	for {
		switch u := d.Decode(room[used:n]); {
		case u.Kind == codec.Bad:
			return 0, errors.New("checks are not answered in HTTP: " + u.Fault.Label())
		case u.Kind == codec.Frame && r.Status >= 200:
			return r.Status, nil
		case u.Kind == codec.Frame && d.Switched():
			return 0, errors.New("checks are answered 101")
		case u.Kind == codec.Frame:
			used += u.N
			continue
		}
		if n == len(room) {
			return 0, errors.New("checks are not answered in HTTP: " + codec.HeadTooLarge.Label())
		}
		more, err := c.Read(room[n:])
		if n += more; more == 0 && err != nil {
			return 0, noAnswer(err)
		}
	}
}

// noAnswer says in our words why there is none.
func noAnswer(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return errors.New("checks are not answered in time")
	}
	return errors.New("checks are not answered: the connection ends")
}

// called is what a check says in Host: the name that certificates must be for where one is given, else the
// server as it is configured.
func (pl *place) called() string {
	switch {
	case pl.name != "" && strings.Contains(pl.name, ":"):
		return "[" + pl.name + "]"
	case pl.name != "":
		return pl.name
	case pl.path != "":
		return "localhost"
	}
	return pl.text
}
