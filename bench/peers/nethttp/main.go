// Command nethttp is an HTTP server of the standard library with the limits that its documentation and common advice
// have it: the deadlines and sizes of http.Server, a bound on connections by netutil.LimitListener, and a rate of
// requests for each source by golang.org/x/time/rate.
//
//	nethttp -http 127.0.0.1:8082 -source-rate 2000 -source-burst 4000
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
	"net/http"
	"os"
	"time"

	"golang.org/x/net/netutil"
)

func main() {
	addr := flag.String("http", "127.0.0.1:8082", "where to listen")
	cert := flag.String("cert", "", "PEM file of a certificate: HTTPS is served")
	key := flag.String("key", "", "PEM file of its key")
	conns := flag.Int("conns", 18000, "open connections in all; more wait to be accepted")
	perSecond := flag.Float64("source-rate", 2000, "requests a second of one source")
	burst := flag.Int("source-burst", 4000, "requests that one source may make at once")
	flag.Parse()
	fmt.Fprintln(os.Stderr, "nethttp:", serve(*addr, *cert, *key, *conns, newSources(*perSecond, *burst, 1<<17)))
	os.Exit(1)
}

// serve returns only when it cannot go on.
func serve(addr, cert, key string, conns int, sources *sources) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: limited(sources, pages()),
		// https://pkg.go.dev/net/http#Server: "Because ReadTimeout does not let Handlers make per-request decisions ...
		// most users will prefer to use ReadHeaderTimeout. It is valid to use them both."
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	ln = netutil.LimitListener(ln, conns)
	if cert != "" {
		return server.ServeTLS(ln, cert, key)
	}
	return server.Serve(ln)
}

func pages() http.Handler {
	large := bytes.Repeat([]byte("0123456789"), 10_000)
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "hello, world!")
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(large)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		// An HTTP/1 body cannot be read any more once an answer has begun, unless asked for.
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, http.MaxBytesReader(w, r.Body, 1<<20))
	})
	return mux
}

// limited answers 429 to sources that are over their rate.
func limited(s *sources, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || !s.allow(host) {
			http.Error(w, http.StatusText(http.StatusTooManyRequests), http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}
