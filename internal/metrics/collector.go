package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"weir/codec"
	"weir/engine"
	"weir/engine/service"
	"weir/guard"
)

// Tables is what the guard tells about its tables of sources.
type Tables struct {
	UsedRatio float64 // of the fullest table, 0 to 1
	Evictions uint64  // sources that lost their place to another one, all tables together
}

// Sources are what the metrics are read from. All of them may be called by any goroutine.
type Sources struct {
	Sampler      *Sampler
	Config       engine.Config // in force: its limits are told beside what is used of them
	Tables       func() Tables
	EventsLost   func() uint64        // events that found the recorder's queue full
	LogLinesLost func() uint64        // lines that found the log's queue full
	Certificates func() []Certificate // in use now; nil is none
	Files        func() Files         // of all listeners that serve files together; nil is none
	Upstreams    func() []Upstream    // that are relayed to; nil is none
	Alerts       func() Alerts        // nil is none
	HTTPRelay    func() HTTPRelay     // of all listeners that relay HTTP together; nil is none

	// Version, Revision and GoVersion are told as weir_build_info.
	Version, Revision, GoVersion string

	// SpeaksHTTP reports whether a listener does; nil is that all do.
	SpeaksHTTP func(listener string) bool
}

// Certificate is one that the server shows.
type Certificate struct {
	Name     string    // the first of its names
	NotAfter time.Time // when it expires
}

// Files is what the services that serve files have counted.
type Files struct {
	Open, Limit                int64 // files that are open, and that may be
	Opened, Hits, Misses, Busy uint64
	Uploads                    Uploads
}

// Uploads is what they have counted of uploads.
type Uploads struct {
	Open, Limit int64             // under way, and how many may be
	Used, Quota int64             // bytes below the directories, and how many there may be; 0 is no limit
	Bytes       uint64            // stored
	Swept       uint64            // leftovers of a crash that were removed
	Ends        map[string]uint64 // by outcome, from a closed list; nil where there are none
}

// HTTPRelay is what the relays of HTTP have counted.
type HTTPRelay struct {
	Answers [6]uint64 // by class, 2xx at 2
	Own     [3]uint64 // in our own words: 502, 503, 504
	Retried uint64
	Cut     uint64
}

// Upstream is one server that a listener relays to.
type Upstream struct {
	Listener string
	Route    string // the name that it is for, "" for all
	Server   string // as configured
	Up       bool
	Open     int // connections
}

// Alerts is what became of alerts.
type Alerts struct {
	Rules     []AlertRule
	Receivers []AlertReceiver
}

// AlertRule is one rule, by its name.
type AlertRule struct {
	Name  string
	Fired uint64
}

// AlertReceiver is one receiver, by what may be told of its URL.
type AlertReceiver struct {
	Name                string
	OK, Failed, Dropped uint64
}

// Metric is one line of the list in docs/operations.md.
type Metric struct {
	Name   string
	Type   string // "counter" or "gauge"
	Help   string
	Labels []string
}

// List is every metric of weir's own, in the order of docs/operations.md.
var List = []Metric{
	{"weir_connections", "gauge", "Open connections.", nil},
	{"weir_connections_limit", "gauge", "Open connections that there may be (-max-conns).", nil},
	{"weir_unproven_connections", "gauge", "Open connections that have not sent a first frame.", nil},
	{"weir_unproven_connections_limit", "gauge", "Such connections that there may be (-max-unproven).", nil},
	{"weir_listener_connections", "gauge", "Open connections of one listener.", []string{"listener"}},
	{"weir_accepted_total", "counter", "Connections admitted.", []string{"listener"}},
	{"weir_refused_total", "counter", "Connections refused at accept.", []string{"listener"}},
	{"weir_shed_total", "counter", "Connections refused or ended, by reason.", []string{"reason"}},
	{"weir_slowed_total", "counter", "Times that reading from a connection was paused, by reason.", []string{"reason"}},
	{"weir_faults_total", "counter", "Connections ended because their bytes were wrong, by what was wrong.", []string{"fault"}},
	{"weir_frames_total", "counter", "Frames, requests and lines served.", []string{"listener"}},
	{"weir_http_answers_total", "counter", "Answers of HTTP, by class of their status: all that weir gives itself, refusals and faults too, and those of servers behind. Interim ones (100, 103) are none.", []string{"listener", "class"}},
	{"weir_bytes_total", "counter", "Bytes read from peers (in) and handed to the kernel for them (out).", []string{"dir"}},
	{"weir_writes_total", "counter", "Write calls: the answers of one wake go out together.", nil},
	{"weir_accept_errors_total", "counter", "Accepts that failed, by errno.", []string{"errno"}},
	{"weir_loop_connections", "gauge", "Open connections of one loop.", []string{"loop"}},
	{"weir_loop_lag_seconds", "gauge", "How late a loop's last tick ran.", []string{"loop"}},
	{"weir_loop_lag_max_seconds", "gauge", "How late a loop ran at most within the last minute.", []string{"loop"}},
	{"weir_loop_stale", "gauge", "1 while a loop does not answer: its numbers are old.", []string{"loop"}},
	{"weir_loop_wakes_total", "counter", "Connection events that a loop has handled.", []string{"loop"}},
	{"weir_tls_handshakes_begun_total", "counter", "TLS handshakes for which anything was computed.", nil},
	{"weir_tls_handshakes_total", "counter", "TLS handshakes that succeeded.", []string{"version", "resumed"}},
	{"weir_tls_handshakes_failed_total", "counter", "TLS handshakes that failed: nothing in common, a wrong certificate, an alert.", nil},
	{"weir_tls_handshakes_open", "gauge", "TLS handshakes under way.", nil},
	{"weir_tls_handshakes_limit", "gauge", "TLS handshakes that may be under way (-max-handshakes).", nil},
	{"weir_tls_handshakes_queued", "gauge", "TLS handshakes that wait for a worker.", nil},
	{"weir_certificate_expiry_timestamp_seconds", "gauge", "When a certificate expires, in Unix time, the roots of client certificates being called client CA; of several with one name the earliest.", []string{"name"}},
	{"weir_logins_total", "counter", "Peers that have proved who they are: connections, and credentials new to one. What failed is in weir_shed_total, by the reasons auth-failed, auth-attempts, auth-timeout and scope.", nil},
	{"weir_upstream_connections", "gauge", "Open connections to servers behind, those included that are being made.", nil},
	{"weir_upstream_connects_total", "counter", "Attempts to connect to a server behind.", nil},
	{"weir_upstream_reused_total", "counter", "Requests that went over a connection to a server which an earlier one had used.", nil},
	{"weir_upstream_ends_total", "counter", "Connections to servers behind, and attempts to connect, that ended from the server's side, by how. eof is the ordinary end; unasked: it has said something before it can have been asked.", []string{"how"}},
	{"weir_upstream_bytes_total", "counter", "Bytes read from servers behind (in) and handed to the kernel for them (out).", []string{"dir"}},
	{"weir_upstream_up", "gauge", "1 while a server behind is up, as far as is known. route is the name that it is for, where names choose.", []string{"listener", "route", "server"}},
	{"weir_upstream_server_connections", "gauge", "Open connections to one server behind.", []string{"listener", "route", "server"}},
	{"weir_http_relay_answers_total", "counter", "Answers to relayed requests, by class of their status; those in weir's own words are in it.", []string{"class"}},
	{"weir_http_relay_errors_total", "counter", "Relayed requests answered in weir's own words: 502 when a server has gone or sends what is not HTTP, 503 when none is up, 504 when none answers in time.", []string{"status"}},
	{"weir_http_relay_retries_total", "counter", "Relayed requests that were sent again, safely, because their server had closed the connection before it answered.", nil},
	{"weir_http_relay_cut_total", "counter", "Relayed answers that their server did not complete: the client was cut off.", nil},
	{"weir_source_table_used_ratio", "gauge", "Places in use in the fullest table of sources, 0 to 1.", nil},
	{"weir_source_evictions_total", "counter", "Sources that lost their place in a table to another one.", nil},
	{"weir_buffered_bytes", "gauge", "Bytes held for all connections: partial frames and queued output.", nil},
	{"weir_buffered_limit_bytes", "gauge", "Bytes that may be held (-max-buffered); 0 is no limit.", nil},
	{"weir_files_open", "gauge", "Files that are open to be served.", nil},
	{"weir_files_open_limit", "gauge", "Files that may be open (-max-open-files).", nil},
	{"weir_files_opened_total", "counter", "Files that were opened.", nil},
	{"weir_files_cache_hits_total", "counter", "Look-ups of a path that the cache answered.", nil},
	{"weir_files_cache_misses_total", "counter", "Look-ups of a path in the file system, on the worker pool.", nil},
	{"weir_files_busy_total", "counter", "Requests answered 503: too many files open, or too much work waiting.", nil},
	{"weir_uploads_open", "gauge", "Uploads under way.", nil},
	{"weir_uploads_limit", "gauge", "Uploads that may be under way (-max-uploads).", nil},
	{"weir_uploads_total", "counter", "Uploads that have ended, by how: stored, or why not.", []string{"outcome"}},
	{"weir_upload_bytes_total", "counter", "Bytes of uploads that were stored.", nil},
	{"weir_upload_used_bytes", "gauge", "Bytes below the directories of uploads, with those under way.", nil},
	{"weir_upload_quota_bytes", "gauge", "Bytes that may be there (-upload-quota); 0 is no limit.", nil},
	{"weir_uploads_swept_total", "counter", "Files that a crash had left unfinished and that were removed.", nil},
	{"weir_sendfile_bytes_total", "counter", "Bytes of files that the kernel sent out of its page cache; weir_bytes_total has them too.", nil},
	{"weir_work_queue", "gauge", "Work that waits for the worker pool.", nil},
	{"weir_work_running", "gauge", "Work that the worker pool does now.", nil},
	{"weir_panics_total", "counter", "Handlers that panicked.", nil},
	{"weir_draining", "gauge", "1 while the server stops.", nil},
	{"weir_events_dropped_total", "counter", "Security events that were not logged because the recorder's queue was full.", nil},
	{"weir_log_lines_dropped_total", "counter", "Log lines that were dropped because the log was slow.", nil},
	{"weir_alerts_fired_total", "counter", "Alerts that a rule (-alert-rule) has made.", []string{"rule"}},
	{"weir_alert_deliveries_total", "counter", "What became of the alerts for a receiver (-alert-url): ok, failed after all tries, or dropped because its queue was full.", []string{"receiver", "outcome"}},
	{"weir_build_info", "gauge", "Always 1; the labels tell what runs.", []string{"version", "revision", "goversion"}},
}

// acceptErrnos are always there, at 0 too; an errno outside of the list is counted as "other".
var acceptErrnos = []string{"EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPROTO", "EPERM", "ENETDOWN", "ECONNABORTED", "EINVAL", "other"}

// Collector is a prometheus.Collector of List. Any goroutine.
type Collector struct {
	src   Sources
	descs map[string]*prometheus.Desc
	types map[string]prometheus.ValueType
}

// NewCollector makes a Collector that reads src.
func NewCollector(src Sources) *Collector {
	c := &Collector{src: src, descs: map[string]*prometheus.Desc{}, types: map[string]prometheus.ValueType{}}
	for _, m := range List {
		c.descs[m.Name] = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
		c.types[m.Name] = prometheus.GaugeValue
		if m.Type == "counter" {
			c.types[m.Name] = prometheus.CounterValue
		}
	}
	return c
}

// Registry is a registry with a Collector of src, and those of the Go runtime and the process.
func Registry(src Sources) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(NewCollector(src), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Describe sends every metric's description.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect takes one snapshot, and sends what it says.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s, maxLag, tables := c.src.Sampler.Sample(), c.src.Sampler.MaxLag(), c.src.Tables()
	send := func(name string, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(c.descs[name], c.types[name], value, labels...)
	}

	send("weir_connections", float64(s.Conns))
	send("weir_connections_limit", float64(c.src.Config.Guard.MaxConns))
	send("weir_unproven_connections", float64(s.Unproven))
	send("weir_unproven_connections_limit", float64(c.src.Config.Guard.MaxUnproven))
	for _, l := range s.Listeners {
		send("weir_listener_connections", float64(l.Conns), l.Name)
		send("weir_accepted_total", float64(l.Accepted), l.Name)
		send("weir_refused_total", float64(l.Refused), l.Name)
		send("weir_frames_total", float64(l.Frames), l.Name)
		for class := 1; class < len(l.Answers) && (c.src.SpeaksHTTP == nil || c.src.SpeaksHTTP(l.Name)); class++ {
			send("weir_http_answers_total", float64(l.Answers[class]), l.Name, string(rune('0'+class))+"xx")
		}
	}
	for r := guard.OK + 1; int(r) < guard.Reasons; r++ {
		name := "weir_shed_total"
		if r.Slows() {
			name = "weir_slowed_total"
		}
		send(name, float64(s.Shed[r]), r.Label())
	}
	for f := codec.OK + 1; int(f) < codec.Faults; f++ {
		send("weir_faults_total", float64(s.Faults[f]), f.Label())
	}
	send("weir_bytes_total", float64(s.BytesIn), "in")
	send("weir_bytes_total", float64(s.BytesOut), "out")
	send("weir_writes_total", float64(s.Writes))
	for errno, n := range byErrno(s.AcceptErrors) {
		send("weir_accept_errors_total", float64(n), errno)
	}
	for i, l := range s.Loops {
		loop := strconv.Itoa(i)
		send("weir_loop_connections", float64(l.Conns), loop)
		send("weir_loop_lag_seconds", l.Lag.Seconds(), loop)
		if i < len(maxLag) {
			send("weir_loop_lag_max_seconds", maxLag[i].Seconds(), loop)
		}
		send("weir_loop_stale", flag(l.Stale), loop)
		send("weir_loop_wakes_total", float64(l.Wakes), loop)
	}
	send("weir_tls_handshakes_begun_total", float64(s.HandshakesBegun))
	for k, n := range s.Handshakes {
		kind := engine.HandshakeKind(k)
		send("weir_tls_handshakes_total", float64(n), kind.Version(), strconv.FormatBool(kind.Resumed()))
	}
	send("weir_tls_handshakes_failed_total", float64(s.HandshakesFailed))
	send("weir_tls_handshakes_open", float64(s.HandshakesOpen))
	send("weir_tls_handshakes_limit", float64(c.src.Config.MaxHandshakes))
	send("weir_tls_handshakes_queued", float64(s.HandshakesQueued))
	for name, expiry := range c.expiries() {
		send("weir_certificate_expiry_timestamp_seconds", float64(expiry.Unix()), name)
	}
	send("weir_logins_total", float64(s.Logins))
	send("weir_upstream_connections", float64(s.Upstreams))
	send("weir_upstream_connects_total", float64(s.UpstreamsDialled))
	send("weir_upstream_reused_total", float64(s.UpstreamsReused))
	for end := service.EndEOF; end < service.Ends; end++ {
		if end != service.EndNoUpstream && end != service.EndNoRoute { // reasons to shed, not ends
			send("weir_upstream_ends_total", float64(s.UpstreamEnds[end]), end.String())
		}
	}
	send("weir_upstream_bytes_total", float64(s.UpstreamBytesIn), "in")
	send("weir_upstream_bytes_total", float64(s.UpstreamBytesOut), "out")
	if c.src.Upstreams != nil {
		for _, u := range c.src.Upstreams() {
			send("weir_upstream_up", flag(u.Up), u.Listener, u.Route, u.Server)
			send("weir_upstream_server_connections", float64(u.Open), u.Listener, u.Route, u.Server)
		}
	}
	var relayed HTTPRelay
	if c.src.HTTPRelay != nil {
		relayed = c.src.HTTPRelay()
	}
	for class := 1; class < len(relayed.Answers); class++ {
		send("weir_http_relay_answers_total", float64(relayed.Answers[class]), string(rune('0'+class))+"xx")
	}
	for i, n := range relayed.Own {
		send("weir_http_relay_errors_total", float64(n), [...]string{"502", "503", "504"}[i])
	}
	send("weir_http_relay_retries_total", float64(relayed.Retried))
	send("weir_http_relay_cut_total", float64(relayed.Cut))
	send("weir_source_table_used_ratio", tables.UsedRatio)
	send("weir_source_evictions_total", float64(tables.Evictions))
	send("weir_buffered_bytes", float64(s.Buffered))
	send("weir_buffered_limit_bytes", float64(c.src.Config.MaxBuffered))
	var files Files
	if c.src.Files != nil {
		files = c.src.Files()
	}
	send("weir_files_open", float64(files.Open))
	send("weir_files_open_limit", float64(files.Limit))
	send("weir_files_opened_total", float64(files.Opened))
	send("weir_files_cache_hits_total", float64(files.Hits))
	send("weir_files_cache_misses_total", float64(files.Misses))
	send("weir_files_busy_total", float64(files.Busy))
	up := &files.Uploads
	send("weir_uploads_open", float64(up.Open))
	send("weir_uploads_limit", float64(up.Limit))
	for outcome, n := range up.Ends {
		send("weir_uploads_total", float64(n), outcome)
	}
	send("weir_upload_bytes_total", float64(up.Bytes))
	send("weir_upload_used_bytes", float64(up.Used))
	send("weir_upload_quota_bytes", float64(up.Quota))
	send("weir_uploads_swept_total", float64(up.Swept))
	send("weir_sendfile_bytes_total", float64(s.Sendfile))
	send("weir_work_queue", float64(s.WorkQueued))
	send("weir_work_running", float64(s.WorkRunning))
	send("weir_panics_total", float64(s.Panics))
	send("weir_draining", flag(s.Draining))
	send("weir_events_dropped_total", float64(c.src.EventsLost()))
	send("weir_log_lines_dropped_total", float64(c.src.LogLinesLost()))
	if c.src.Alerts != nil {
		alerts := c.src.Alerts()
		for _, r := range alerts.Rules {
			send("weir_alerts_fired_total", float64(r.Fired), r.Name)
		}
		for _, r := range alerts.Receivers {
			send("weir_alert_deliveries_total", float64(r.OK), r.Name, "ok")
			send("weir_alert_deliveries_total", float64(r.Failed), r.Name, "failed")
			send("weir_alert_deliveries_total", float64(r.Dropped), r.Name, "dropped")
		}
	}
	send("weir_build_info", 1, c.src.Version, c.src.Revision, c.src.GoVersion)
}

// byErrno is counted with exactly the keys of acceptErrnos.
// expiries is when the certificates of each name expire first.
func (c *Collector) expiries() map[string]time.Time {
	first := map[string]time.Time{}
	if c.src.Certificates == nil {
		return first
	}
	for _, cert := range c.src.Certificates() {
		if t, some := first[cert.Name]; !some || cert.NotAfter.Before(t) {
			first[cert.Name] = cert.NotAfter
		}
	}
	return first
}

func byErrno(counted map[string]uint64) map[string]uint64 {
	all := make(map[string]uint64, len(acceptErrnos))
	for _, errno := range acceptErrnos {
		all[errno] = 0
	}
	for errno, n := range counted {
		if _, ok := all[errno]; !ok {
			errno = "other"
		}
		all[errno] += n
	}
	return all
}

func flag(set bool) float64 {
	if set {
		return 1
	}
	return 0
}
