package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// settle is how long a server has to give back what it needed while the connections came.
const settle = 2 * time.Second

// idleMemory opens connections, has one answer on each, keeps them and looks what they weigh.
func idleMemory(ctx context.Context, l *lab, s *server) (outcome, error) {
	time.Sleep(time.Second) // for what it does at its start
	empty, err := s.memory()
	if err != nil {
		return outcome{}, err
	}
	conns, err := hold(ctx, s, l.setup.Conns)
	defer func() {
		for _, c := range conns {
			c.SetLinger(0) // no ports that wait for a minute
			c.Close()
		}
	}()
	if err != nil {
		return outcome{}, err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
	full, err := s.memory()
	if err != nil {
		return outcome{}, err
	}
	// One that was dropped meanwhile would make the others seem light.
	for _, at := range []int{0, len(conns) / 2, len(conns) - 1} {
		if err := ask(conns[at], s); err != nil {
			return outcome{}, fmt.Errorf("connection %d of %d was not kept: %w", at+1, len(conns), err)
		}
	}
	const mib = 1 << 20
	return outcome{values: map[string]float64{
		"bytes": float64(full-empty) / float64(len(conns)), "empty_mib": float64(empty) / mib, "full_mib": float64(full) / mib,
		"conns": float64(len(conns))}}, nil
}

// hold opens n connections from four addresses, each with one answer. It returns those that it has on an error, too.
func hold(ctx context.Context, s *server, n int) ([]*net.TCPConn, error) {
	var out []*net.TCPConn
	for i := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%4))}, Timeout: 5 * time.Second}
		c, err := d.DialContext(ctx, "tcp4", at(s.order))
		if err != nil {
			return out, fmt.Errorf("open connection %d of %d: %w", i+1, n, err)
		}
		out = append(out, c.(*net.TCPConn))
		if err := ask(c, s); err != nil {
			return out, fmt.Errorf("ask on connection %d of %d: %w", i+1, n, err)
		}
	}
	return out, nil
}

// ask makes one request and reads its answer.
func ask(c net.Conn, s *server) error {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+at(s.order)+"\r\n\r\n"); err != nil {
		return err
	}
	r, err := http.ReadResponse(bufio.NewReaderSize(c, 1024), nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", r.Status)
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err
}
