package posture

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir/engine"
	"weir/engine/auth/accounts"
	"weir/internal/scheme"
)

// Server is what is judged: a process with the settings in force. Zero is none, or no limit, where nothing else is said.
type Server struct {
	Listeners []Listener

	// Flags are what those of the process are set to, as one would type it. No secret is among them.
	Flags map[string]string

	MaxConns, MaxUnproven, LeastUnproven int // the last is the least default of the one before
	Exempt                               []netip.Prefix
	MaxBuffered, Memory, MemoryAtWorst   int64 // bytes: the limit, what the process may use, and what connections can take of it
	FDReserve, FDNeed                    int   // descriptors that are kept for everything but clients, and that it may need
	DrainTimeout                         time.Duration

	Certificates []Certificate // that are served, and of the client CA
	SelfSigned   bool
	ACMEDomains  []string

	Users                         *accounts.Set // nil for no file of accounts
	FailsPerAccount, FailsPerPair int           // logins that may fail a minute

	Admin        string // HOST:PORT, or off
	AdminOutside bool   // others than this machine reach it
	LogLevel     string
	AlertURLs    []string

	Build Build
	Now   time.Time

	Warnings []string // of what can be served and is probably not meant
	Accept   []string // rows, R10 or R10@NAME, that do not fail the check
}

// Listener is one address.
type Listener struct {
	Name, URL string
	Scheme    scheme.Scheme
	Outside   bool // others than this machine reach it
	Unix      bool // a unix socket: peers have no address, and are no sources

	// Flags are what those of a listener are set to here, as one would type it. Those that are not for its scheme are
	// left out.
	Flags map[string]string

	engine.Limits
	MaxHeader, MaxBody, MaxFrame, MaxLine int64 // bytes
	Holds                                 int64 // bytes that one connection can make the server hold

	ProxyFrom  []netip.Prefix
	ClientCert string // off, optional or required; off without TLS
	Auth       Auth
	Files      string // a directory
	DotFiles   bool
	Uploads    Uploads
	Relay      Relay
}

// Auth is what a listener asks of those who come. Zero is nothing.
type Auth struct {
	Asks        bool
	AsksForAll  bool     // whatever is wanted
	AsksToPut   bool     // whatever is stored
	Who         string   // optional or required
	Scope       []string // rules
	Sign        string   // off, optional or required
	Bind, Plain bool
}

// Uploads is what a listener stores, and what that may cost.
type Uploads struct {
	Dir                     string
	Max, Quota, Floor, Rate int64 // bytes, and bytes a second of one source
}

// Relay is where a listener relays to. Zero is nowhere.
type Relay struct {
	To            []string
	TLS, Insecure bool // to servers
	SNIPrivate    bool
	Silence       time.Duration // of a server of HTTP
}

// Certificate is one whose end matters.
type Certificate struct {
	Name     string // how it is told of: its names, or where it comes from
	Until    string // for how long it is good, in words
	Over     string // that nobody takes it now, in words; "" when it is good
	Soon     bool   // it is good, and not for long
	Nameless bool
	ClientCA bool // not served: a root of client certificates
}

// Build is what the binary knows of itself.
type Build struct {
	Text     string    // in one line
	Version  string    // "devel" when it was not built from a tag
	Revision string    // of the source, "" when unknown; "+changes" behind it when files were changed
	At       time.Time // of the revision
	Modules  int       // that it is made of
}

// can reports whether a listener's scheme can do all of what.
func (l *Listener) can(what scheme.Ability) bool { return l.Scheme.Can(what) }

func (l *Listener) isTLS() bool { return l.can(scheme.TLS) }

// has reports whether a flag is for a listener.
func (l *Listener) has(flag string) bool {
	_, is := l.Flags[flag]
	return is
}

func (l *Listener) asks() bool         { return l.Auth.Asks }
func (l *Listener) relays() bool       { return len(l.Relay.To) > 0 }
func (l *Listener) relaysHTTP() bool   { return l.relays() && l.can(scheme.HTTP) }
func (l *Listener) takesUploads() bool { return l.Uploads.Dir != "" }
func (l *Listener) servesFiles() bool  { return l.Files != "" || l.takesUploads() }

// isPlain reports whether others on the way can read what a listener and its clients say.
func (l *Listener) isPlain() bool { return l.Outside && l.can(scheme.Plain) }

// inTheClear reports whether others on the way can read a login at a listener.
func (l *Listener) inTheClear() bool { return l.asks() && l.isPlain() }

// any reports whether something is so at any listener.
func (s *Server) any(is func(*Listener) bool) bool { return s.count(is) > 0 }

// count is at how many listeners something is so.
func (s *Server) count(is func(*Listener) bool) (n int) {
	for i := range s.Listeners {
		if is(&s.Listeners[i]) {
			n++
		}
	}
	return n
}

// outside reports whether others than this machine can reach the process, the admin page included.
func (s *Server) outside() bool {
	return s.AdminOutside || s.any(func(l *Listener) bool { return l.Outside })
}

// inForce is what flags are set to, of the process or at the listeners that they are for, as one would type it:
// "source-conns 256, idle-timeout 75s or 5s".
func (s *Server) inForce(flags ...string) string {
	var all []string
	for _, flag := range flags {
		var values []string
		if v, is := s.Flags[flag]; is {
			values = append(values, v)
		}
		for i := range s.Listeners {
			if v, is := s.Listeners[i].Flags[flag]; is && !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			all = append(all, flag+" "+strings.Join(values, " or "))
		}
	}
	return strings.Join(all, ", ")
}
