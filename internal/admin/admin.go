// Package admin is the server that operators and their tools talk to: metrics, health, profiles. It
// is a plain net/http server on an address of its own and on goroutines of its own, so it answers
// while the loops are under flood. It reads snapshots and never touches a connection.
//
// Whoever reaches it can read the process's memory by way of a profile: keep it on loopback or on a
// private network.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	readTimeout  = 5 * time.Second
	answerWithin = 10 * time.Second // everything but profiles
	maxProfile   = 60 * time.Second
	writeTimeout = maxProfile + 5*time.Second
	idleTimeout  = 60 * time.Second
	maxHeader    = 8 << 10
	maxScrapes   = 3 // at once; more are answered 503
)

// MaxConns is the greatest number of connections to an admin server: they use the descriptors that
// are kept back from clients. More wait in the kernel until others end.
const MaxConns = 16

// Config is what a Server shows. All fields must be set.
type Config struct {
	Gatherer prometheus.Gatherer
	// Ready reports whether new clients may be sent here, and if not why, in a word or two. Any
	// goroutine.
	Ready func() (ok bool, why string)
	// Version is shown on the index page.
	Version string
	// ErrorLog is told of trouble with admin connections.
	ErrorLog *log.Logger
}

// Server is an admin server.
type Server struct {
	http *http.Server
	ln   net.Listener
	done chan error
}

// Listen binds address, HOST:PORT, so that a port in use shows before anything else starts.
func Listen(address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &bounded{Listener: ln, places: make(chan struct{}, MaxConns)}, nil
}

// Serve starts a Server on ln, which it then owns, and returns.
func Serve(ln net.Listener, cfg Config) *Server {
	s := &Server{ln: ln, done: make(chan error, 1), http: &http.Server{
		Handler:           Handler(cfg),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          cfg.ErrorLog,
	}}
	go func() { s.done <- s.http.Serve(patient{ln}) }()
	return s
}

// Addr is the address as bound. Any goroutine.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Close ends the server: requests that are being answered have until ctx ends. Any goroutine.
func (s *Server) Close(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
	if err := <-s.done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin: %w", err)
	}
	return nil
}

// Handler serves / /metrics /healthz /readyz and /debug/pprof/.
func Handler(cfg Config) http.Handler {
	mux := http.NewServeMux()
	get := func(path string, h http.Handler) { mux.Handle("GET "+path, soon(h)) } // HEAD too
	get("/metrics", promhttp.HandlerFor(cfg.Gatherer, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes, Timeout: answerWithin - time.Second, ErrorLog: cfg.ErrorLog,
	}))
	get("/healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") }))
	get("/readyz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if ok, why := cfg.Ready(); !ok {
			answer(w, http.StatusServiceUnavailable, why+"\n")
			return
		}
		answer(w, http.StatusOK, "ready\n")
	}))
	get("/{$}", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, cfg.Version+"\n\n"+index)
	}))
	profile := func(path string, h http.HandlerFunc) { mux.Handle(path, brief(h)) }
	profile("GET /debug/pprof/", pprof.Index)
	profile("GET /debug/pprof/cmdline", pprof.Cmdline)
	profile("GET /debug/pprof/profile", pprof.Profile)
	profile("GET /debug/pprof/symbol", pprof.Symbol)
	profile("POST /debug/pprof/symbol", pprof.Symbol) // go tool pprof sends many addresses
	profile("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

const index = `/metrics       counters, for Prometheus
/healthz       200 while the process lives
/readyz        200 while new clients may come, 503 while the server stops
/debug/pprof/  profiles, for go tool pprof
`

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// soon gives h less time than a profile has.
func soon(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An error means that w has no deadlines, as in tests.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin))
		h.ServeHTTP(w, r)
	})
}

// brief refuses profiles longer than maxProfile: package pprof stretches the write timeout to
// whatever is asked for.
func brief(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := r.URL.Query().Get("seconds"); text != "" {
			if n, err := strconv.ParseFloat(text, 64); err != nil || !(n >= 0 && n <= maxProfile.Seconds()) {
				answer(w, http.StatusBadRequest, "seconds must be 0 to "+strconv.Itoa(int(maxProfile.Seconds()))+"\n")
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// Exposed reports whether an address, HOST:PORT, can be reached from other machines.
func Exposed(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err != nil || !a.Unmap().IsLoopback()
}

// bounded is a listener of which at most cap(places) connections are open.
type bounded struct {
	net.Listener
	places chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	b.places <- struct{}{}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.places
		return nil, err
	}
	return &place{Conn: c, free: sync.OnceFunc(func() { <-b.places })}, nil
}

type place struct {
	net.Conn
	free func()
}

func (p *place) Close() error {
	defer p.free()
	return p.Conn.Close()
}
