// Package client logs in to a weir server over frames, and signs and checks frames afterwards when
// it is asked to. It is for programs that talk to a server; the server has no part of it.
// docs/protocols-auth.md says what it sends.
//
// It dials, blocks and allocates like any client with package net; it does not reconnect.
package client

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"weir/codec"
	"weir/codec/length"
	"weir/codec/signed"
	"weir/engine/auth/sasl"
)

// Config is how to log in.
type Config struct {
	sasl.Credentials
	// MaxFrame is the largest payload that is taken from the server, in bytes, tag included; 0 is
	// length.DefaultMax.
	MaxFrame int
}

// ErrSignature is a frame that was altered on its way, or is not the next one. The connection is to
// be closed.
var ErrSignature = errors.New("a frame is not what the server has sent")

// Conn is a connection that is logged in. Send may be called by any goroutine, and beside it
// Receive by one.
type Conn struct {
	nc  net.Conn
	max int

	in     []byte         // Receive's frame
	opener *signed.Opener // nil when frames are not signed
	broken error          // what Receive has returned for good

	sending sync.Mutex
	out     []byte
	sealer  *signed.Sealer
}

// Dial connects to "frames://host:port", or with TLS to "frames+tls://host:port", and logs in. cfg
// of TLS may be nil for Go's defaults. Everything together ends with ctx.
func Dial(ctx context.Context, address string, cfg Config, tlsConfig *tls.Config) (*Conn, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "frames" && u.Scheme != "frames+tls" {
		return nil, errors.New("the address must be frames://HOST:PORT or frames+tls://HOST:PORT")
	}
	var nc net.Conn
	if u.Scheme == "frames" {
		nc, err = (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	} else {
		nc, err = (&tls.Dialer{Config: tlsConfig}).DialContext(ctx, "tcp", u.Host)
	}
	if err != nil {
		return nil, err
	}
	c, err := Login(ctx, nc, cfg)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// Login logs in over a connection on which nothing has been said yet. Over a *tls.Conn a password
// is bound to it. Its errors are *sasl.Denial when the server says no, sasl.ErrServer when the
// server cannot prove to know the account, and those of the network. After any the caller closes
// nc.
func Login(ctx context.Context, nc net.Conn, cfg Config) (*Conn, error) {
	if d, ok := ctx.Deadline(); ok {
		_ = nc.SetDeadline(d)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	c := &Conn{nc: nc, max: cfg.MaxFrame}
	if c.max <= 0 {
		c.max = length.DefaultMax
	}
	err := c.login(ctx, cfg)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	_ = nc.SetDeadline(time.Time{})
	return c, nil
}

func (c *Conn) login(ctx context.Context, cfg Config) error {
	var exporter sasl.Exporter
	if t, ok := c.nc.(*tls.Conn); ok {
		if err := t.HandshakeContext(ctx); err != nil {
			return err
		}
		state := t.ConnectionState()
		exporter = &state
	} else if cfg.Token != "" {
		if _, local := c.nc.(*net.UnixConn); !local {
			return errors.New("a token is not sent without TLS")
		}
	}
	login, err := sasl.NewClient(cfg.Credentials, exporter)
	if err != nil {
		return err
	}
	for msg, done := login.Start(), false; !done; {
		if err := c.Send(msg); err != nil {
			return err
		}
		answer, err := c.Receive()
		if err != nil {
			return err
		}
		if msg, done, err = login.Step(answer); err != nil {
			return err
		}
	}
	if cfg.Signed {
		secret, _ := login.Secret()
		up, down := signed.Keys(secret)
		c.sealer, c.opener = signed.NewSealer(up), signed.NewOpener(down)
	}
	return nil
}

// Send sends payload as one frame. It is empty only where the server takes such frames.
func (c *Conn) Send(payload []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	n := len(payload)
	if c.sealer != nil {
		n += signed.TagBytes
	}
	if n > length.MaxMax {
		return errors.New("send a frame: it is too large")
	}
	c.out = length.AppendHeader(c.out[:0], n)
	if c.sealer != nil {
		c.out = c.sealer.Append(c.out, payload)
	} else {
		c.out = append(c.out, payload...)
	}
	_, err := c.nc.Write(c.out)
	return err
}

// Receive returns the payload of the next frame; it is good until the next call. io.EOF is an end
// between two frames. After an error it returns the same again.
func (c *Conn) Receive() ([]byte, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	payload, err := c.receive()
	c.broken = err
	return payload, err
}

func (c *Conn) receive() ([]byte, error) {
	var head [length.HeaderBytes]byte
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if uint64(n) > uint64(c.max) {
		return nil, fmt.Errorf("receive a frame: it has %d bytes, more than %d", n, c.max)
	}
	if int(n) > cap(c.in) {
		c.in = make([]byte, n)
	}
	c.in = c.in[:n]
	if _, err := io.ReadFull(c.nc, c.in); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if c.opener == nil {
		return c.in, nil
	}
	payload, fault := c.opener.Open(c.in)
	if fault != codec.OK {
		return nil, ErrSignature
	}
	return payload, nil
}

// Signed reports whether frames are signed.
func (c *Conn) Signed() bool { return c.opener != nil }

// SetDeadline is the connection's: for Send and Receive.
func (c *Conn) SetDeadline(t time.Time) error { return c.nc.SetDeadline(t) }

// Close closes the connection.
func (c *Conn) Close() error { return c.nc.Close() }
