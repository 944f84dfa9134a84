package main

import "context"

// A measure is one thing that is measured. The list is closed, see measures; sieges are beside it, see assaults.
type measure struct {
	name  string
	title string
	about string // what the client does and what is counted
	want
	peers   []string // those that the table shows
	columns []column
	run     func(ctx context.Context, l *lab, s *server) (outcome, error)
}

// outcome is what one run of a measure found.
type outcome struct {
	values map[string]float64 // by columns' names
	client []string           // the command line
}

// column is one value and how it is shown.
type column struct {
	name   string
	head   string
	format func(float64) string
	main   bool // the one that is compared: it has a spread and a ratio; less is better
}

var (
	web   = []string{"weir", "nginx", "nginx-bare", "haproxy", "caddy", "fasthttp", "net/http", "gnet"}
	plain = []string{"http"}
)

func costColumns(unit, units string) []column {
	return []column{{name: "cpu_us", head: "us a " + unit, format: micros, main: true}, {name: "per_second", head: units + "/s", format: thousands}}
}

var measures = []measure{
	{name: "hello", title: "An HTTP hello on kept connections",
		about: "64 connections, each with its next request when the answer is in.",
		want:  want{schemes: plain, modes: []mode{open, bare}}, peers: web, columns: costColumns("request", "requests"), run: cost(closedLoop(1), true)},
	{name: "pipelined", title: "The same, pipelined",
		about: "16 requests in one write on each of 64 connections, the next when all are answered.",
		want:  want{schemes: plain, modes: []mode{open, bare}}, peers: web, columns: costColumns("request", "requests"), run: cost(closedLoop(16), true)},
	{name: "churn", title: "A connection for each request",
		about: "5,000 connections a second are due from 20 sources: connect, one request, its answer, close.",
		want:  want{schemes: plain, modes: []mode{open, bare}}, peers: web, columns: costColumns("connection", "connections"), run: cost(churn, true)},
	{name: "handshake", title: "TLS 1.3 handshakes",
		about:   "1,500 full handshakes a second, ECDSA P-256, closed when done.",
		want:    want{schemes: []string{"https", "frames+tls"}, modes: []mode{open, bare}, buffer: 512}, // who only shakes hands needs none
		peers:   []string{"weir", "nginx", "haproxy", "caddy", "fasthttp", "net/http", "crypto/tls", "gnet"},
		columns: costColumns("handshake", "handshakes"), run: cost(handshakes("1.3"), true)},
	{name: "handshake12", title: "TLS 1.2 handshakes",
		about:   "The same with the older version.",
		want:    want{schemes: []string{"https", "frames+tls"}, modes: []mode{open, bare}, buffer: 512},
		peers:   []string{"weir", "nginx", "haproxy", "caddy", "fasthttp", "net/http", "crypto/tls"},
		columns: costColumns("handshake", "handshakes"), run: cost(handshakes("1.2"), true)},
	{name: "echo", title: "A frame of 64 bytes sent back",
		about: "150,000 frames a second are due on 64 connections. The web servers speak no frames.",
		want:  want{schemes: []string{"frames"}, modes: []mode{open, bare}}, peers: []string{"weir", "gnet"},
		columns: costColumns("frame", "frames"), run: cost(echoes, true)},
	{name: "tls-echo", title: "The same inside TLS 1.3",
		about: "As above, beside crypto/tls with a goroutine for each connection and a buffer as large as weir's loops have.",
		want:  want{schemes: []string{"frames+tls"}, modes: []mode{open, bare}, buffer: 64 << 10}, peers: []string{"weir", "crypto/tls"},
		columns: costColumns("frame", "frames"), run: cost(echoes, true)},
	{name: "idle", title: "Memory of idle connections",
		about: "Connections that have had one answer and are kept; resident memory of all processes above that of the empty server, two seconds after the last answer. What the kernel holds for a socket is the same for all and not in it.",
		want:  want{schemes: plain, modes: []mode{idle, bare}}, peers: []string{"weir", "nginx", "haproxy", "caddy", "fasthttp", "net/http", "gnet"},
		columns: []column{{name: "bytes", head: "bytes a connection", format: thousands, main: true}, {name: "empty_mib", head: "MiB empty", format: tenths}, {name: "full_mib", head: "MiB with all", format: tenths}},
		run:     idleMemory},
	{name: "refused-conns", title: "A refused connection",
		about: "50,000 connections from 200 sources, as fast as one thread opens them, over the limit. weir and haproxy count each source's rate, fasthttp its open connections; " +
			"nginx's stream module refuses all without counting. The other servers cannot refuse before they have read a request.",
		want: want{schemes: plain, modes: []mode{refuseConns}}, peers: []string{"weir", "nginx", "haproxy", "caddy", "fasthttp", "net/http"},
		columns: costColumns("refusal", "refusals"), run: cost(refusedConns, false)},
	{name: "refused-requests", title: "A refused request",
		about: "20,000 requests a second from 16 sources on 64 kept connections, over a limit of 1/s a source; a request is refused that got no good answer. " +
			"weir ends a connection after a hundred refusals in a row (-max-refusals), the others keep it.",
		want: want{schemes: plain, modes: []mode{refuseRequests}}, peers: []string{"weir", "nginx", "haproxy", "caddy", "fasthttp", "net/http"},
		columns: costColumns("refusal", "refusals"), run: cost(refusedRequests, false)},
}
