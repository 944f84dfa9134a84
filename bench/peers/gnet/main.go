// Command gnet is a bare gnet.Run server to measure weir against: an HTTP hello that looks for the
// end of each request head and nothing else, and an echo of length-prefixed frames. It checks
// nothing and limits nothing; it is what the work of a guard is weighed against.
//
//	gnet -http 127.0.0.1:8081 -frames 127.0.0.1:7001 -loops 2
package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"

	"github.com/panjf2000/gnet/v2"
)

const answer = "HTTP/1.1 200 OK\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n\r\nhello, world!"

var end = []byte("\r\n\r\n")

type hello struct{ gnet.BuiltinEventEngine }

func (hello) OnTraffic(c gnet.Conn) gnet.Action {
	b, _ := c.Peek(-1)
	used, n := 0, 0
	for {
		i := bytes.Index(b[used:], end)
		if i < 0 {
			break
		}
		used += i + len(end)
		n++
	}
	c.Discard(used)
	if n == 1 {
		c.Write([]byte(answer))
	} else if n > 1 {
		c.Write(bytes.Repeat([]byte(answer), n))
	}
	return gnet.None
}

type echo struct{ gnet.BuiltinEventEngine }

func (echo) OnTraffic(c gnet.Conn) gnet.Action {
	b, _ := c.Peek(-1)
	used := 0
	for len(b)-used >= 4 {
		n := 4 + int(binary.BigEndian.Uint32(b[used:]))
		if len(b)-used < n {
			break
		}
		used += n
	}
	if used > 0 {
		c.Write(b[:used])
		c.Discard(used)
	}
	return gnet.None
}

func main() {
	web := flag.String("http", "127.0.0.1:8081", "address of the HTTP hello, or \"\"")
	frames := flag.String("frames", "", "address of the frame echo, or \"\"")
	loops := flag.Int("loops", 2, "event loops")
	flag.Parse()
	run := func(h gnet.EventHandler, addr string) error {
		return gnet.Run(h, "tcp://"+addr, gnet.WithNumEventLoop(*loops), gnet.WithReusePort(true), gnet.WithTCPNoDelay(gnet.TCPNoDelay))
	}
	errs := make(chan error)
	for h, addr := range map[gnet.EventHandler]string{&hello{}: *web, &echo{}: *frames} {
		if addr != "" {
			go func() { errs <- run(h, addr) }()
		}
	}
	fmt.Fprintln(os.Stderr, <-errs)
	os.Exit(1)
}
