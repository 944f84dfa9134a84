package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"weir/engine/auth/accounts"
	"weir/engine/certs"
	"weir/internal/posture"
	"weir/internal/scheme"
)

var (
	postureNow  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	knownBuild  = build{version: "v1.2.3", revision: "0123456789ab", golang: "go1.26.0", at: postureNow.AddDate(0, -1, 0), modules: 12}
	unknown     = build{version: "devel", golang: "go1.26.0"}
	changed     = build{version: "devel", revision: "0123456789ab+changes", golang: "go1.26.0", at: postureNow}
	aged        = build{version: "v1.2.3", golang: "go1.26.0", at: postureNow.AddDate(0, 0, -180)}
	goodCert    = aCert(-10, 80, "a.example")
	selfSigned  = "-listen=https://:1 -tls-self-signed"
	withCert    = "-cert=c -key=k -listen=https://:1"
	toldTo      = "-alert-url=https://a.example/hook"
	withClients = withCert + " -tls-client-ca=ca"
)

// aCert is a certificate that is good between two days, counted from postureNow.
func aCert(from, to int, names ...string) watched {
	return watched{certs.Info{Source: "/c.pem", Names: names, NotBefore: postureNow.AddDate(0, 0, from), NotAfter: postureNow.AddDate(0, 0, to)}, false}
}

func asClientCA(c watched) watched {
	c.clientCA = true
	return c
}

// postureCases are configurations, and what one row of each is: each state that a row can have, and each rule.
var postureCases = []struct {
	row, args string
	certs     []watched
	users     []string // lines of a file of accounts
	build     build
	state     string
	part      string // of a finding, or of what is on
	at        string // the listeners of that finding
	fails     bool
	why       string
}{
	{row: "R1", state: posture.On, part: "http, frames"},
	{row: "R1", args: "-listen=tcp://:1?to=unix:/x -listen=http://:2", state: posture.Weak, part: "relayed unread", at: "tcp://:1", why: "a choice, whoever reaches it"},
	{row: "R1", args: "-listen=tcp://:1?to=unix:/x", state: posture.Off, part: "relayed unread", at: "tcp://:1"},

	{row: "R2", args: "-listen=http://:1", state: posture.On, part: "max-buffered 2GiB, max-out 128KiB; 2.0 GiB of memory at worst, of 8.0 GiB"},
	{row: "R2", args: "-max-buffered=0", state: posture.Weak, part: "has no bound", why: "on loopback only"},
	{row: "R2", args: "-max-buffered=0 -listen=http://[::1]:1 -listen=frames://192.0.2.1:1", state: posture.Weak, part: "has no bound", fails: true},
	{row: "R2", args: "-max-buffered=9GiB -listen=http://:1", state: posture.Weak, part: "may hold 9.0 GiB, and the process may use 8.0 GiB", fails: true},
	{row: "R2", args: "-max-buffered=8GiB -max-frame=128MiB -listen=frames://:1", state: posture.Weak, part: "19,916 connections may take 8.0 GiB at worst", fails: true},
	{row: "R2", args: "-listen=http://:1 -listen=frames://:2?max-frame=256MiB", state: posture.Weak, part: "one connection may hold 256 MiB, so that few fill max-buffered 2GiB", at: "frames://:2", fails: true},

	{row: "R3", args: "-listen=http://:1", state: posture.On, part: "idle-timeout 75s"},
	{row: "R3", args: "-listen=http://:1?idle-timeout=0 -listen=frames://:2 -listen=line://127.0.0.1:3?idle-timeout=0", state: posture.Weak, part: "idle for ever", at: "http://:1 line://127.0.0.1:3", fails: true},
	{row: "R3", args: "-listen=http://:1 -listen=line://unix:/x?idle-timeout=0", state: posture.Weak, part: "idle for ever", at: "line://unix:/x", why: "not reached from outside"},
	{row: "R3", args: "-listen=frames://:1?auth=required -listen=http://:2?auth=required&auth-plain=1 -users=u -auth-timeout=0", state: posture.Weak, part: "login may never end", at: "frames://:1", fails: true},
	{row: "R3", args: "-listen=http://:1 -first-frame-timeout=0", state: posture.Weak, part: "never say anything", at: "http://:1", fails: true},
	{row: "R3", args: "-listen=http://:1 -frame-timeout=0", state: posture.Weak, part: "never be complete", at: "http://:1", fails: true},
	{row: "R3", args: "-listen=http://:1 -write-timeout=0", state: posture.Weak, part: "never take what it is owed", at: "http://:1", fails: true},
	{row: "R3", args: "-listen=http://:1 -min-rate=0", state: posture.Weak, part: "drip", at: "http://:1", fails: true},
	{row: "R3", args: withCert + " -listen=http://:2 -handshake-timeout=0", state: posture.Weak, part: "handshake may never end", at: "https://:1", fails: true},
	{row: "R3", args: "-listen=http://:1?proxy-from=10.0.0.0/8 -listen=http://:2 -proxy-timeout=0", state: posture.Weak, part: "never send its header", at: "http://:1", fails: true},
	{row: "R3", args: "-listen=tcp://:1?to=a:1 -listen=frames://:2 -half-close-timeout=0", state: posture.Weak, part: "half open", at: "tcp://:1", fails: true},
	{row: "R3", args: "-listen=http://:1?to=a:1 -listen=http://:2 -listen=tcp://:3?to=a:1 -upstream-timeout=0", state: posture.Weak, part: "wait for a server behind", at: "http://:1", fails: true},
	{row: "R3", args: "-listen=http://:1 -first-frame-timeout=0 -frame-timeout=0 -idle-timeout=0 -write-timeout=0 -min-rate=0", state: posture.Off, part: "stay for ever", at: "http://:1", fails: true},
	{row: "R3", args: "-listen=http://:1 -handshake-timeout=5s -proxy-timeout=3s -auth-timeout=10s", state: posture.On, part: "idle-timeout 75s", why: "those that do not matter are as they would be anyway"},

	{row: "R4", args: "-listen=http://:1 -listen=http://:2?source-conns=9", state: posture.On, part: "source-conns 256 or 9"},
	{row: "R4", args: "-listen=http://:1 -listen=http://:2?source-conns=0", state: posture.Weak, part: "take all places", at: "http://:2", fails: true},
	{row: "R4", args: "-listen=http://:1 -max-conns=256", state: posture.Weak, part: "take all places", at: "http://:1", fails: true, why: "no fewer than there are"},
	{row: "R4", args: "-listen=http://:1 -listen=http://:2?max-conns=200", state: posture.Weak, part: "take all places", at: "http://:2", fails: true, why: "the listener's own"},
	{row: "R4", args: "-listen=http://:1 -source-conn-rate=0", state: posture.Weak, part: "connect as fast", at: "http://:1", fails: true},
	{row: "R4", args: "-listen=http://:1 -source-conn-rate=1000000", state: posture.Weak, part: "connect as fast", at: "http://:1", fails: true, why: "as good as none"},
	{row: "R4", args: "-listen=http://:1 -source-unproven=0", state: posture.Weak, part: "fill the places", at: "http://:1", fails: true},
	{row: "R4", args: "-listen=http://:1 -max-unproven=200 -source-unproven=200", state: posture.Weak, part: "fill the places", at: "http://:1", fails: true},
	{row: "R4", args: "-listen=http://:1 -max-unproven=20000", state: posture.Weak, part: "may take all places", fails: true},
	{row: "R4", args: "-listen=http://:1 -max-conns=100 -source-conns=50 -source-unproven=50", state: posture.On, part: "max-unproven 128", why: "a small server"},
	{row: "R4", args: "-listen=http://:1 -exempt=10.0.0.0/8,::/0", state: posture.Weak, part: "hold nobody in ::/0", fails: true},
	{row: "R4", args: "-listen=http://:1 -source-conns=0 -source-conn-rate=0 -source-unproven=0", state: posture.Off, part: "no limit of a source", at: "http://:1", fails: true},
	{row: "R4", args: "-listen=http://unix:/x?source-conns=0 -listen=http://:1", state: posture.On, part: "max-unproven 9956", why: "peers on a unix socket are no sources"},
	{row: "R4", args: "-listen=http://:1 -profile=bench", state: posture.Weak, part: "take all places", fails: true, at: "http://:1"},

	{row: "R5", args: "-listen=http://:1", state: posture.On, part: "max-header 16KiB, max-body 1MiB, max-out 128KiB"},
	{row: "R5", args: "-listen=http://:1 -max-body=0", state: posture.Weak, part: "body may be endless", at: "http://:1", fails: true},
	{row: "R5", args: "-listen=http://:1 -max-header=0", state: posture.Weak, part: "head may have 1 MiB", at: "http://:1", fails: true},
	{row: "R5", args: "-listen=frames://:1 -listen=http://:2 -max-frame=0", state: posture.Weak, part: "frame may have 1 GiB", at: "frames://:1", fails: true},
	{row: "R5", args: "-listen=line://:1 -listen=http://:2 -max-line=0", state: posture.Weak, part: "line may have 1 GiB", at: "line://:1", fails: true},
	{row: "R5", args: "-listen=http://:1 -max-out=0", state: posture.Weak, part: "1 GiB of output", at: "http://:1", fails: true},

	{row: "R5", args: "-listen=http://127.0.0.1:1?uploads=.&max-upload=0", state: posture.Weak, part: "an upload may be endless", at: "http://127.0.0.1:1"},
	{row: "R5", args: "-listen=http://127.0.0.1:1?uploads=.&upload-quota=0", state: posture.On, part: "max-body"},
	{row: "R5", args: "-listen=http://127.0.0.1:1?uploads=.&upload-quota=0&upload-floor=0", state: posture.Weak, part: "uploads may fill the disk", at: "http://127.0.0.1:1"},
	{row: "R5", args: "-listen=http://127.0.0.1:1?uploads=.&source-upload-rate=0", state: posture.Weak, part: "use the whole quota up", at: "http://127.0.0.1:1"},
	{row: "R5", args: withCert + "?uploads=.&auth=required -users=u", state: posture.On, part: "max-upload 64MiB, upload-quota 10GiB, upload-floor 256MiB"},
	{row: "R5", args: "-listen=http://127.0.0.1:1?uploads=. -profile=bench", state: posture.Weak, part: "use the whole quota up", at: "http://127.0.0.1:1"},
	{row: "R5", args: "-listen=http://:1?uploads=.", state: posture.Weak, part: "strangers may store files", at: "http://:1", fails: true},
	{row: "R5", args: withClients + "?uploads=.", state: posture.On, why: "strangers have no certificate"},
	{row: "R5", args: withClients + " -listen=http://:2?uploads=.", state: posture.Weak, part: "strangers may store files", at: "http://:2", fails: true, why: "nobody shows a certificate without TLS"},
	{row: "R5", args: withCert + "?uploads=.&auth=optional&scope=/a=read&scope=POST:/=write -users=u", state: posture.Weak, part: "strangers may store files", at: "https://:1", fails: true},
	{row: "R5", args: withCert + "?uploads=.&auth=optional&scope=PUT:/=write -users=u", state: posture.On},

	{row: "R6", state: posture.None, part: "no listener serves files"},
	{row: "R6", args: "-listen=http://:1?files=.&list=1 -listen=http://:2", state: posture.On, part: "os.Root"},
	{row: "R6", args: "-listen=http://:1?files=.&dotfiles=1 -listen=http://:2?files=.", state: posture.Weak, part: ".git", at: "http://:1", fails: true},
	{row: "R6", args: "-listen=http://:1?files=/usr/..", state: posture.Weak, part: "all that the process may read", at: "http://:1", fails: true},

	{row: "R6", args: withCert + "?uploads=/&auth=required -users=u", state: posture.Weak, part: "all that the process may read or write", at: "https://:1", fails: true},
	{row: "R6", args: withCert + "?uploads=.&auth=required -users=u", state: posture.On, part: "os.Root"},

	{row: "R7", args: "-listen=http://:1", state: posture.On, part: "source-frame-rate 2000, source-byte-rate 32MiB"},
	{row: "R7", args: "-listen=http://:1 -listen=tcp://:2?to=a:1 -profile=bench", state: posture.Weak, part: "as many frames", at: "http://:1", fails: true},
	{row: "R7", args: "-profile=bench", state: posture.Weak, part: "as many bytes", at: "http://127.0.0.1:8080 frames://127.0.0.1:7000", why: "the load test of one machine"},
	{row: "R7", args: withCert + " -listen=http://:2 -source-handshake-rate=0", state: posture.Weak, part: "keys computed", at: "https://:1", fails: true},
	{row: "R7", args: "-listen=http://:1 -exempt=0.0.0.0/0", state: posture.Weak, part: "hold nobody in 0.0.0.0/0", fails: true},
	{row: "R7", args: "-listen=http://:1 -source-frame-rate=0 -source-byte-rate=0", state: posture.Off, part: "no rate limit", at: "http://:1", fails: true},

	{row: "R8", args: "-listen=http://:1", state: posture.Off, part: "not asked for on any listener", why: "a choice, whoever reaches it"},
	{row: "R8", args: "-listen=http://:1 -users=u", state: posture.Off, part: "no listener asks for them", fails: true},
	{row: "R8", args: withCert + "?auth=required -users=u", users: []string{"alice"}, state: posture.On, part: "1 account, kept as SCRAM-SHA-256 verifiers; at one account 6 may fail a minute"},
	{row: "R8", args: "-listen=http://:1?auth=required&auth-plain=1 -listen=http://unix:/x?auth=required -users=u", state: posture.Weak, part: "passwords come in the clear", at: "http://:1", fails: true},
	{row: "R8", args: "-listen=frames://:1?auth=required -listen=line://127.0.0.1:2?auth=required -users=u", state: posture.Weak, part: "guess its password elsewhere", at: "frames://:1", fails: true},
	{row: "R8", args: withCert + "?auth=required -users=u -auth-account-rate=700", state: posture.Weak, part: "700 guesses a minute", fails: true},
	{row: "R8", args: withCert + "?auth=required -users=u", users: []string{"alice", "old bob", "old eve disabled"}, state: posture.Weak, part: "guesses faster at bob", why: "taken over from PostgreSQL"},

	{row: "R9", args: "-listen=http://:1", state: posture.Off, part: "not asked for on any listener"},
	{row: "R9", args: withCert + "?auth=required -users=u", users: []string{"alice"}, state: posture.On, part: "none was issued"},
	{row: "R9", args: withCert + "?auth=required -users=u", users: []string{"alice", "token alice backup"}, state: posture.On, part: "1 token, random"},
	{row: "R9", args: withCert + "?auth=required -users=u", users: []string{"alice", "token alice backup", "token alice ci never"}, state: posture.Weak, part: "tokens without an end: alice ci"},
	{row: "R9", args: "-listen=frames://:1?auth=required&auth-plain=1 -listen=frames://:2?auth=required -users=u", state: posture.Weak, part: "tokens come in the clear", at: "frames://:1", fails: true},

	{row: "R11", args: "-listen=http://:1", state: posture.None, part: "no listener has logins"},
	{row: "R11", args: "-cert=c -key=k -listen=frames+tls://:1?auth=required&sign=required -listen=http://:2 -users=u", state: posture.On, part: "numbered and signed"},
	{row: "R11", args: "-listen=frames://:1?auth=required&sign=required -users=u", state: posture.On, part: "numbered and signed"},
	{row: "R11", args: "-cert=c -key=k -listen=frames+tls://:1?auth=required -users=u", state: posture.Weak, part: "only clients that ask", at: "frames+tls://:1", why: "TLS is below"},
	{row: "R11", args: "-cert=c -key=k -listen=frames+tls://:1?auth=required&sign=off -listen=line://unix:/x?auth=required -users=u", state: posture.Off, part: "not signed", at: "frames+tls://:1 line://unix:/x"},
	{row: "R11", args: "-listen=frames://:1?auth=required -listen=line://:2?auth=required -users=u", state: posture.Weak, part: "recorded and sent again", at: "frames://:1 line://:2", fails: true},

	{row: "R10", args: "-listen=http://localhost:1 -listen=frames://[::1]:2 -listen=line://unix:/x -listen=tls-passthrough://:1?to=a:1", state: posture.None, part: "on loopback"},
	{row: "R10", args: withCert, certs: []watched{goodCert}, state: posture.On, part: "tls-min 1.2, tls-client-auth off; a.example until 2026-05-20"},
	{row: "R10", args: "-listen=https://:1 -acme-domain=b.example", state: posture.On, part: "b.example by ACME"},
	{row: "R10", args: withCert + " -listen=http://10.0.0.1:1", certs: []watched{goodCert}, state: posture.Weak, part: "not encrypted", at: "http://10.0.0.1:1", fails: true},
	{row: "R10", args: "-listen=http://10.0.0.1:1 -listen=http://127.0.0.1:1", state: posture.Off, part: "not encrypted", at: "http://10.0.0.1:1", fails: true},
	{row: "R10", args: "-listen=http://10.0.0.1:1 -check-accept=R10", state: posture.Off, part: "not encrypted", at: "http://10.0.0.1:1", why: "accepted"},
	{row: "R10", args: "-listen=http://:1?name=a -listen=http://:2 -check-accept=R10@a,R10@http://:2,R12", state: posture.Off, part: "not encrypted", at: "a http://:2", why: "accepted at each"},
	{row: "R10", args: "-listen=http://:1?name=a -listen=http://:2 -check-accept=R10@a", state: posture.Off, part: "not encrypted", at: "a http://:2", fails: true, why: "accepted at one"},
	{row: "R10", args: selfSigned, state: posture.Weak, part: "nobody that clients trust", at: "https://:1", fails: true},
	{row: "R10", args: "-listen=https://127.0.0.1:1 -tls-self-signed", state: posture.Weak, part: "nobody that clients trust", at: "https://127.0.0.1:1", why: "a trial"},
	{row: "R10", args: withCert, certs: []watched{goodCert, aCert(-90, -1, "old.example")}, state: posture.Weak, part: "old.example expired on 2026-02-28", at: "https://:1", fails: true},
	{row: "R10", args: withCert, certs: []watched{aCert(1, 90, "early.example")}, state: posture.Weak, part: "early.example is not good before 2026-03-02", at: "https://:1", fails: true},
	{row: "R10", args: withCert, certs: []watched{aCert(-90, 90)}, state: posture.Weak, part: "/c.pem has no name", at: "https://:1", fails: true},
	{row: "R10", args: withCert, certs: []watched{aCert(-80, 10, "a.example")}, state: posture.Weak, part: "a.example until 2026-03-11, soon", at: "https://:1", why: "it is good today"},
	{row: "R10", args: withClients + " -listen=https://:2?tls-client-auth=off", certs: []watched{goodCert, asClientCA(aCert(-90, -1, "Our clients"))}, state: posture.Weak, part: "client CA Our clients expired", at: "https://:1", fails: true},

	{row: "R12", args: "-listen=http://127.0.0.1:1", state: posture.None, part: "nothing leaves"},
	{row: "R12", args: withCert, state: posture.On, part: "encrypted"},
	{row: "R12", args: "-listen=tls-passthrough://:1?to=a:1", state: posture.On, part: "encrypted"},
	{row: "R12", args: withCert + " -listen=http://:2", state: posture.Weak, part: "reads and changes", at: "http://:2", fails: true},
	{row: "R12", args: "-listen=http://:2", state: posture.Off, part: "reads and changes", at: "http://:2", fails: true},
	{row: "R12", args: selfSigned, state: posture.Weak, part: "nobody that clients trust", at: "https://:1", fails: true},
	{row: "R12", args: "-cert=c -key=k -listen=tcp+tls://:1?to=a:1&to-tls=1&to-insecure=1", state: posture.Weak, part: "stand in for it", at: "tcp+tls://:1", fails: true},
	{row: "R12", args: "-cert=c -key=k -listen=tcp+tls://:1?to=unix:/x,127.0.0.1:1,10.0.0.1:2", state: posture.Weak, part: "goes to 10.0.0.1:2 unencrypted", at: "tcp+tls://:1", why: "often meant"},
	{row: "R12", args: "-cert=c -key=k -listen=line+tls://:1?auth=required -listen=frames+tls://:2?auth=required&auth-bind=1 -users=u", state: posture.Weak, part: "can be relayed", at: "line+tls://:1", why: "few clients can"},
	{row: "R12", args: "-cert=c -key=k -listen=tcp+tls://:1?to=unix:/x,127.0.0.1:1", state: posture.On, part: "encrypted"},

	{row: "R13", args: toldTo, state: posture.On, part: "log-level info, log-to stderr; metrics at 127.0.0.1:9090; 1 receiver of alerts"},
	{row: "R13", args: "-listen=http://:1", state: posture.Weak, part: "nobody is told at once", why: "a choice"},
	{row: "R13", args: toldTo + " -listen=http://:1 -log-level=error", state: posture.Weak, part: "leaves out warnings"},
	{row: "R13", args: toldTo + " -admin=off", state: posture.Weak, part: "no metrics"},
	{row: "R13", args: "-alert-url=slack+http://u:secret@a.example/hook", state: posture.Weak, part: "alerts to a.example are not encrypted"},
	{row: "R13", args: "-alert-url=http://127.0.0.1:9/hook", state: posture.On, part: "1 receiver"},
	{row: "R13", args: "-admin=off -log-level=error", state: posture.Off, part: "nothing tells"},

	{row: "R14", state: posture.On, part: "fd-reserve 88, drain-timeout 10s"},
	{row: "R14", args: "-listen=http://:1 -fd-reserve=20", state: posture.Weak, part: "20 descriptors are kept for everything but clients, which may need 84", fails: true},
	{row: "R14", args: "-listen=http://:1?files=. -fd-reserve=100 -max-open-files=100", state: posture.Weak, part: "may need 184", fails: true},
	{row: "R14", args: "-listen=http://:1?uploads=. -fd-reserve=100 -max-uploads=10", state: posture.Weak, part: "may need 104", fails: true},
	{row: "R14", args: "-listen=http://:1 -drain-timeout=0", state: posture.Weak, part: "a stop cuts"},

	{row: "R15", state: posture.On, part: "weir v1.2.3 0123456789ab go1.26.0, 12 modules, of 2026-02-01; make audit"},
	{row: "R15", build: changed, args: "-listen=http://:1", state: posture.Weak, part: "files differed"},
	{row: "R15", build: aged, state: posture.Weak, part: "its source is of 2025-09-02, 180 days ago"},
	{row: "R15", build: unknown, state: posture.Off, part: "nobody can tell"},

	{row: "R16", args: withClients, state: posture.On, part: "who has not proved who it is"},
	{row: "R16", args: withClients + " -listen=https://:2?tls-client-auth=optional -listen=http://:3", state: posture.Weak, part: "whoever connects", at: "https://:2 http://:3", why: "a choice"},
	{row: "R16", args: withCert + "?auth=required&scope=read -users=u", state: posture.On, part: "proved who it is; scope read"},
	{row: "R16", args: withCert + "?auth=required -users=u", state: posture.Weak, part: "every account may do everything", at: "https://:1", why: "a choice"},
	{row: "R16", args: withCert + "?auth=optional -users=u", state: posture.Off, part: "nobody is ever asked", at: "https://:1", fails: true, why: "asked for, and off"},
	{row: "R16", args: withCert + "?auth=optional&scope=/=read -users=u", state: posture.On, part: "scope /=read"},
	{row: "R16", args: withCert + "?auth=optional&scope=/a=read&scope=PUT:/=write -users=u", state: posture.Weak, part: "everybody is served", at: "https://:1", why: "a choice"},
	{row: "R16", args: "-listen=http://:1", state: posture.Off, part: "whoever connects", at: "http://:1"},

	{row: "R17", args: withCert + " -listen=http://:2?source-conns=0 -listen=tcp://:3?to=a:1", state: posture.On,
		part: "network: limits of sources at 2 of 3; transport: TLS at 1 of 3; application: parsed at 2 of 3; logins at 0 of 3; monitoring: log, metrics"},
	{row: "R17", args: toldTo + " -admin=off -listen=frames://:1?auth=required -users=u", state: posture.On, part: "logins at 1 of 1; data: hashes of secrets; monitoring: log, alerts"},
	{row: "R17", args: "-admin=:9090", state: posture.Weak, part: "without a password", fails: true, why: "the only thing outside"},
	{row: "R17", args: "-admin=[::1]:9090 -listen=http://:1 -listen=http://:2?proxy-from=0.0.0.0/0", state: posture.Weak, part: "from 0.0.0.0/0 may claim any address", at: "http://:2", fails: true},
	{row: "R17", args: "-listen=tcp://:1?to=a:1&to-tls=1&to-insecure=1", state: posture.Weak, part: "stand in for it", at: "tcp://:1", fails: true},
	{row: "R17", args: "-listen=tls-passthrough://:443?to=sni&names=*.example&sni-private=1", state: posture.Weak, part: "reaches this network", at: "tls-passthrough://:443", fails: true},
}

func TestRowsOfTheCheck(t *testing.T) {
	clean(t)
	seen := map[string]bool{} // "R1 weak", and the rules that have held: "R1 when"
	for _, c := range postureCases {
		s := mustResolve(t, strings.Fields(c.args)...)
		in := &looked{certs: c.certs, users: accountsFor(t, c.users), build: c.build, now: postureNow}
		if s.users == "" {
			in.users = nil
		}
		if in.build.golang == "" {
			in.build = knownBuild
		}
		for _, v := range in.toJudge(s).Judge().Rows {
			if v.Row != c.row {
				continue
			}
			seen[c.row+" "+v.State] = true
			if v.State != c.state || v.Fails() != c.fails {
				t.Errorf("%s with %q: %s, fails %v; want %s, %v %s: %+v", c.row, c.args, v.State, v.Fails(), c.state, c.fails, c.why, v.Findings)
			}
			if (c.state == posture.On || c.state == posture.None) != (len(v.Findings) == 0) {
				t.Errorf("%s with %q: %d findings and %s", c.row, c.args, len(v.Findings), v.State)
			}
			found := len(v.Findings) == 0 && strings.Contains(v.Why, c.part)
			for _, f := range v.Findings {
				if strings.Contains(f.Why, c.part) {
					found = found || strings.Join(f.Listeners, " ") == c.at
					seen[c.row+" "+f.When] = true
				}
			}
			if !found {
				t.Errorf("%s with %q: not %q at %q, but %q %+v", c.row, c.args, c.part, c.at, v.Why, v.Findings)
			}
		}
	}
	for _, r := range posture.Rows {
		can := map[string]bool{posture.On: true, posture.None: r.None != ""}
		for _, rule := range r.Rules {
			can[rule.State] = true
			if !seen[r.Name+" "+rule.When] {
				t.Errorf("%s: no configuration here for %q", r.Name, rule.When)
			}
		}
		for state, possible := range can {
			if seen[r.Name+" "+state] != possible {
				if possible {
					t.Errorf("%s: no configuration here with which it is %s", r.Name, state)
				} else if state != posture.Weak {
					t.Errorf("%s: it should never be %s", r.Name, state)
				}
			}
		}
	}
}

// accountsFor is a file of accounts: each line is a name, a name as taken over from elsewhere ("old bob"), and then
// disabled, or a token of one ("token alice ci", and never for one without an end).
func accountsFor(t *testing.T, lines []string) *accounts.Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := accounts.Edit(path, true, func(d *accounts.Draft) error {
		for _, line := range lines {
			f := strings.Fields(line)
			v := accounts.Verifier{Iterations: accounts.Iterations}
			switch f[0] {
			case "token":
				var end time.Time
				if len(f) == 3 {
					end = postureNow.AddDate(0, 1, 0)
				}
				if _, err := d.Issue(f[1], f[2], nil, postureNow, end); err != nil {
					return err
				}
				continue
			case "old":
				v.Iterations, f = 4096, f[1:]
			}
			if err := d.Add(f[0], v, nil); err != nil {
				return err
			}
			if len(f) > 1 {
				if err := d.Change(f[0], func(a *accounts.Account) { a.Disabled = true }); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	set, err := accounts.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// What scope and tls-client-auth are set to for all means nothing where nobody is asked.
func TestWhatIsNotAskedForIsNotJudged(t *testing.T) {
	clean(t)
	s := mustResolve(t, "-listen=https://:1?auth=required", "-listen=http://127.0.0.1:2", "-listen=tcp://:3?to=a:1", "-scope=read", "-users=u", "-cert=c", "-key=k")
	in := &looked{users: accountsFor(t, nil), build: knownBuild, now: postureNow}
	for _, v := range in.toJudge(s).Judge().Rows {
		if v.Row == "R16" && (len(v.Findings) != 1 || !strings.Contains(v.Findings[0].Why, "whoever connects")) {
			t.Errorf("%+v", v.Findings)
		}
	}
}

func TestRulesNameFlags(t *testing.T) {
	for _, r := range posture.Rows {
		for _, rule := range r.Rules {
			for _, flag := range strings.Fields(rule.Change) {
				if name, is := strings.CutPrefix(flag, "-"); is && rowNamed(name) == nil {
					t.Errorf("%s: there is no flag %s", r.Name, flag)
				}
			}
		}
	}
}

func TestOutside(t *testing.T) {
	clean(t)
	for _, c := range []struct {
		url  string
		want bool
	}{
		{"http://:80", true}, {"http://0.0.0.0:80", true}, {"http://[::]:80", true}, {"http://10.0.0.1:80", true}, {"http://[fe80::1]:80", true},
		{"http://127.0.0.1:80", false}, {"http://127.9.9.9:80", false}, {"http://[::1]:80", false}, {"http://localhost:80", false}, {"http://unix:/run/x", false},
	} {
		if l := mustResolve(t, "-listen", c.url).listeners[0]; l.outside() != c.want {
			t.Errorf("%s: outside is %v", c.url, !c.want)
		}
	}
}

// postureTable is the part of docs/operations.md about -check.
func postureTable() string {
	var b strings.Builder
	b.WriteString("| row | practice | state | when | what changes it | fails |\n|---|---|---|---|---|---|\n")
	for _, r := range posture.Rows {
		if r.None != "" {
			fmt.Fprintf(&b, "| %s | %s | n/a | %s | | |\n", r.Name, r.Practice, r.None)
		}
		for _, rule := range r.Rules {
			fails, change := "yes", rule.Change
			if rule.Advice {
				fails = "no"
			}
			if strings.HasPrefix(change, "-") {
				change = "`" + strings.ReplaceAll(change, " ", "` `") + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.Name, r.Practice, rule.State, rule.When, change, fails)
		}
	}
	return b.String()
}

func TestTheCheckReadsWhatIsRelayedWith(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/empty", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"to-tls=1&to-ca=" + dir + "/none":  "listener tcp://:1: to-ca: open " + dir + "/none",
		"to-tls=1&to-ca=" + dir + "/empty": "there is no certificate in",
		"to-tls=1&to-cert=x":               "to-cert and to-key belong together",
	} {
		if _, err := look(mustResolve(t, "-listen=tcp://:1?to=a:1&"+args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// A check neither counts what is stored nor removes what a crash has left: a server that runs may be at it.
func TestTheCheckLeavesUploadsAlone(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	if _, err := look(mustResolve(t, "-log-to=file:"+dir+"/none/weir.log")); err == nil || !strings.Contains(err.Error(), "-log-to file:"+dir+"/none/weir.log: ") {
		t.Errorf("a log in a directory that is not there: %v", err)
	}
	if _, err := look(mustResolve(t, "-listen=http://:1?uploads=/nosuch/none")); err == nil || !strings.Contains(err.Error(), "-listen http://:1?uploads=/nosuch/none: uploads: no such file or directory") {
		t.Errorf("a directory that is not there: %v", err)
	}
	before := runtime.NumGoroutine()
	s := mustResolve(t, "-listen=http://:1?uploads="+dir, "-listen=http://:2?uploads="+dir+"&files="+dir)
	if _, err := look(s); err != nil || runtime.NumGoroutine() > before {
		t.Errorf("%v, %d goroutines and %d before", err, runtime.NumGoroutine(), before)
	}
	if s.listeners[0].limits.up.dir != dir || s.listeners[1].limits.up.dir != dir {
		t.Error("what is served has changed")
	}
}

func TestTheThreatModelHasEveryScheme(t *testing.T) {
	page, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, entries, _ := strings.Cut(string(page), "\n## Entry points\n")
	entries, _, _ = strings.Cut(entries, "\n## ")
	for _, s := range scheme.All {
		if !strings.Contains(entries, "| `"+s.Protocol+"`") {
			t.Errorf("no entry point for %s", s.Name)
		}
	}
}

// A limit that can be lifted is judged by a rule, or it is here why not.
func TestLimitsThatCanBeLiftedAreJudged(t *testing.T) {
	not := map[string]string{
		"conn-rate":       "no limit by default: it is for all together",
		"lifetime":        "no limit by default: an old connection is no worse than a young one",
		"conn-frame-rate": "no limit by default: the source's holds", "conn-byte-rate": "the source's holds",
	}
	judged := map[string]bool{}
	for _, r := range posture.Rows {
		for _, rule := range r.Rules {
			for _, flag := range strings.Fields(rule.Change) {
				judged[strings.TrimPrefix(flag, "-")] = true
			}
		}
	}
	eachRow(func(r *row) {
		if strings.HasPrefix(r.zero, "no limit") && !judged[r.name] && not[r.name] == "" {
			t.Errorf("-%s can be 0, %s, and no rule of -check says so", r.name, r.zero)
		}
	})
}
