package main

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// A mode says where a server's limits stand.
type mode string

const (
	open           mode = "open"            // where nobody meets them: the cost of work
	guarded        mode = "guarded"         // at weir's defaults: under attack
	refuseConns    mode = "refuse-conns"    // where nearly every connection is over them
	refuseRequests mode = "refuse-requests" // where nearly every request is
	bare           mode = "bare"            // none, where a peer can do without
	idle           mode = "idle"            // as open, and set up for many idle connections
)

// order is what is asked of a server.
type order struct {
	Mode   mode
	Scheme string // http, https, frames or frames+tls
	Port   int    // on 127.0.0.1
	Admin  int    // port for weir's metrics
	Dir    string // of its own, exists
	Cert   string // PEM files
	Key    string
	Pem    string // both in one
	Buffer int    // bytes of a connection's buffer, for gotls
	Module string // of nginx's stream
	Large  bool   // the file /large is asked for

	// Filled in by limits.
	SourceConns, ConnBurst, FrameRate, FrameBurst int
	Files                                         int // descriptors that it may have
	Conns                                         int // connections in all, for those that do not see that by themselves
}

// TLS, Bare and RefuseAll are for the templates.
func (o order) TLS() bool       { return strings.HasSuffix(o.Scheme, "tls") || o.Scheme == "https" }
func (o order) Bare() bool      { return o.Mode == bare }
func (o order) RefuseAll() bool { return o.Mode == refuseConns }

// limits fills in the limits of the mode. The open ones are more than one loopback source comes to; nginx takes no
// more than 65,535 connections.
func (o order) limits() order {
	const most = 1_000_000
	o.SourceConns, o.ConnBurst, o.FrameRate, o.FrameBurst, o.Files = 65_535, most, most, most, 20_000
	switch o.Mode {
	case guarded:
		// Attackers have more descriptors than the server: 10,240 is a usual limit, and the bench has 20,000.
		o.SourceConns, o.ConnBurst, o.FrameRate, o.FrameBurst, o.Files = 256, 100, 2000, 4000, 10_240
	case refuseConns:
		o.ConnBurst, o.SourceConns = 1, 1
	case refuseRequests:
		o.FrameRate, o.FrameBurst = 1, 1
	}
	o.Conns = o.Files - 240
	return o
}

// Half is for nginx, whose number of connections is for each of its two workers.
func (o order) Half() int { return o.Conns / 2 }

// peer is one server that can be measured. The list is closed, see peers.
type peer struct {
	name    string
	shown   string   // in tables; empty: the name
	program string   // looked for in PATH; empty: one of this repository's, in the -bin folder, called file
	file    string   // there
	schemes []string // that it speaks
	modes   []mode   // that it can be run in
	large   bool     // it serves /large, see assaults; else the attack posts what it wants back to /echo
	config  string   // template in conf, written beside the server as this name
	command func(o order, config string) []string
	version []string // arguments that print it; none: this build's
}

var peers = []peer{
	{name: "weir", file: "server", schemes: []string{"http", "https", "frames", "frames+tls"}, large: true,
		modes: []mode{open, guarded, refuseConns, refuseRequests, idle}, command: weir},
	{name: "nginx", program: "nginx", schemes: []string{"http", "https"}, large: true, config: "nginx.conf",
		modes:   []mode{open, guarded, refuseConns, refuseRequests, idle},
		command: func(o order, config string) []string { return []string{"-c", config, "-e", "/dev/null", "-p", o.Dir} }, version: []string{"-v"}},
	{name: "nginx-bare", shown: "nginx, `return`, no limits", program: "nginx", schemes: []string{"http", "https"}, config: "nginx.conf", modes: []mode{bare},
		command: func(o order, config string) []string { return []string{"-c", config, "-e", "/dev/null", "-p", o.Dir} }, version: []string{"-v"}},
	{name: "haproxy", program: "haproxy", schemes: []string{"http", "https"}, large: true, config: "haproxy.cfg",
		modes:   []mode{open, guarded, refuseConns, refuseRequests, idle},
		command: func(o order, config string) []string { return []string{"-db", "-f", config} }, version: []string{"-v"}},
	{name: "caddy", program: "caddy", schemes: []string{"http", "https"}, large: true, config: "Caddyfile",
		modes: []mode{open, guarded, idle},
		command: func(o order, config string) []string {
			return []string{"run", "--config", config, "--adapter", "caddyfile"}
		}, version: []string{"version"}},
	{name: "fasthttp", file: "fasthttp", schemes: []string{"http", "https"},
		modes: []mode{open, guarded, refuseConns, idle}, command: func(o order, _ string) []string {
			args := []string{"-http", at(o), "-conns", strconv.Itoa(o.Conns), "-source-conns", strconv.Itoa(o.SourceConns)}
			if o.Mode == idle {
				args = append(args, "-reduce-memory")
			}
			return withCertificate(args, o)
		}},
	{name: "net/http", file: "nethttp", schemes: []string{"http", "https"},
		modes: []mode{open, guarded, refuseRequests, idle}, command: func(o order, _ string) []string {
			return withCertificate([]string{"-http", at(o), "-conns", strconv.Itoa(o.Conns), "-source-rate", strconv.Itoa(o.FrameRate), "-source-burst", strconv.Itoa(o.FrameBurst)}, o)
		}},
	{name: "gnet", shown: "bare `gnet.Run`, no checks", file: "gnet", schemes: []string{"http", "frames"}, modes: []mode{bare, idle}, command: func(o order, _ string) []string {
		if o.Scheme == "frames" {
			return []string{"-http", "", "-frames", at(o)}
		}
		return []string{"-http", at(o)}
	}},
	{name: "crypto/tls", shown: "crypto/tls, a goroutine each, no limits", file: "gotls", schemes: []string{"frames+tls"}, modes: []mode{bare}, command: func(o order, _ string) []string {
		return []string{"-frames", at(o), "-buffer", strconv.Itoa(o.Buffer)}
	}},
}

func at(o order) string { return "127.0.0.1:" + strconv.Itoa(o.Port) }

func withCertificate(args []string, o order) []string {
	if o.TLS() {
		args = append(args, "-cert", o.Cert, "-key", o.Key)
	}
	return args
}

func weir(o order, _ string) []string {
	listen := o.Scheme + "://" + at(o)
	if o.Large {
		listen += "?files=" + o.Dir
	}
	args := []string{"-listen", listen, "-admin", "127.0.0.1:" + strconv.Itoa(o.Admin), "-log-level", "error"}
	if o.TLS() {
		args = append(args, "-cert", o.Cert, "-key", o.Key)
	}
	switch o.Mode {
	case open, idle:
		args = append(args, "-profile", "bench")
	case refuseConns:
		// The few that are let in go soon, so that they do not add up.
		args = append(args, "-profile", "bench", "-source-conn-rate", "1", "-source-conn-burst", "1", "-first-frame-timeout", "100ms")
	case refuseRequests:
		args = append(args, "-profile", "bench", "-source-frame-rate", "1", "-source-frame-burst", "1")
	}
	return args
}

// find returns the path of the peer's program in bin or PATH.
func (p peer) find(bin string) (string, error) {
	if p.program == "" {
		path, err := filepath.Abs(filepath.Join(bin, p.file))
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s is not built (make bench-peers builds it)", p.file)
		}
		return path, nil
	}
	path, err := exec.LookPath(p.program)
	if err != nil {
		return "", fmt.Errorf("%s is not installed", p.program)
	}
	return path, nil
}

// does returns why the peer cannot serve the scheme in the mode; empty when it can.
func (p peer) does(scheme string, m mode) string {
	switch {
	case !slices.Contains(p.schemes, scheme):
		return "it does not speak " + scheme
	case m == refuseConns && p.config == "nginx.conf" && streamModule() == "":
		return "its stream module is not installed, and its http module reads a head first"
	case slices.Contains(p.modes, m):
		return ""
	case m == refuseConns:
		return "it has no limit that refuses a connection"
	case m == refuseRequests:
		return "it has no limit on requests"
	case m == guarded:
		return "it has no limits"
	}
	return "it has no such mode"
}

//go:embed conf
var configs embed.FS

// configure writes the peer's configuration for o, if it has one, and returns its path.
func (p peer) configure(o order) (string, error) {
	if p.config == "" {
		return "", nil
	}
	t, err := template.ParseFS(configs, "conf/"+p.config)
	if err != nil {
		return "", fmt.Errorf("configure %s: %w", p.name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, o); err != nil {
		return "", fmt.Errorf("configure %s: %w", p.name, err)
	}
	path := filepath.Join(o.Dir, p.config)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return "", fmt.Errorf("configure %s: %w", p.name, err)
	}
	return path, nil
}

// versionOf returns what the peer's program says its version is, in one line.
func (p peer) versionOf(path string) string {
	if p.version == nil {
		return ""
	}
	out, err := exec.Command(path, p.version...).CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(strings.TrimPrefix(line, "nginx version: "))
}

// streamModule returns where nginx's stream module is; empty when it is not installed.
func streamModule() string {
	for _, path := range []string{"/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}
