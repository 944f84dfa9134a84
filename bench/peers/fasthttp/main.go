// Command fasthttp is an HTTP server of github.com/valyala/fasthttp with the limits that its Server has: connections
// in all and of one address, deadlines, sizes. It has none on the rate of anything.
//
//	fasthttp -http 127.0.0.1:8083 -source-conns 256
//
// GET / says hello, /echo sends the body back, /large is 100,000 bytes.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"github.com/valyala/fasthttp"
)

func main() {
	addr := flag.String("http", "127.0.0.1:8083", "where to listen")
	cert := flag.String("cert", "", "PEM file of a certificate: HTTPS is served")
	key := flag.String("key", "", "PEM file of its key")
	conns := flag.Int("conns", 18000, "open connections in all; more are answered with 503 and closed")
	sourceConns := flag.Int("source-conns", 256, "open connections of one source, 0 no limit; more are answered with 429 and closed")
	small := flag.Bool("reduce-memory", false, "hand buffers back between requests")
	flag.Parse()
	s := &fasthttp.Server{
		Handler: pages(),
		// https://pkg.go.dev/github.com/valyala/fasthttp#Server
		Concurrency:        *conns,
		MaxConnsPerIP:      *sourceConns,
		ReadTimeout:        5 * time.Second, // of a whole request with its body; there is none of the head alone
		WriteTimeout:       30 * time.Second,
		IdleTimeout:        75 * time.Second,
		MaxRequestBodySize: 1 << 20,
		// ReadBufferSize "also limits the maximum header size": its default of 4 KiB is kept, as each connection has one.
		// "Try enabling this option only if the server consumes too much memory serving mostly idle keep-alive
		// connections": for that measurement it is.
		ReduceMemoryUsage: *small,
		Logger:            log.New(io.Discard, "", 0),
	}
	fmt.Fprintln(os.Stderr, "fasthttp:", serve(s, *addr, *cert, *key))
	os.Exit(1)
}

// serve returns only when it cannot go on.
func serve(s *fasthttp.Server, addr, cert, key string) error {
	ln, err := net.Listen("tcp4", addr)
	if err != nil {
		return err
	}
	if cert != "" {
		return s.ServeTLS(ln, cert, key)
	}
	return s.Serve(ln)
}

func pages() fasthttp.RequestHandler {
	large := bytes.Repeat([]byte("0123456789"), 10_000)
	return func(c *fasthttp.RequestCtx) {
		switch string(c.Path()) {
		case "/":
			c.SetContentType("text/plain; charset=utf-8")
			c.SetBodyString("hello, world!")
		case "/large":
			c.SetContentType("application/octet-stream")
			c.SetBody(large)
		case "/echo":
			c.SetContentType("application/octet-stream")
			c.SetBody(c.PostBody())
		default:
			c.Error("not found", fasthttp.StatusNotFound)
		}
	}
}
