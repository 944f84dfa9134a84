package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/engine/certs"
	"weir/internal/events"
	"weir/internal/say"
)

// term is one part of the worst-case memory.
type term struct {
	name  string // what and how many: "connections 1000 x 700 B"
	bytes int64
}

// served is a listener as bound.
type served struct {
	name    string
	url     string // with the port that it got
	service string
}

// summary is what is said at start: what listens where, which limits are on, and the most memory
// that this can take.
type summary struct {
	build     build
	listeners []served
	admin     string // as bound, or "off"
	settings  *settings
	memory    []term

	certificates []certs.Info
	awaited      []string    // domains that ACME has nothing for yet
	clientCA     *certs.Info // nil without one
	now          time.Time
}

// print writes the summary for people.
func (m *summary) print(w io.Writer) {
	s := m.settings
	fmt.Fprintf(w, "%s, %d loops, profile %s\n", m.build, s.engine.Loops, s.profile)

	fmt.Fprintf(w, "\nlistening\n")
	for _, l := range m.listeners {
		name := ""
		if l.name != l.url {
			name = ", as " + l.name
		}
		fmt.Fprintf(w, "  %-32s %s%s\n", l.url, l.service, name)
	}
	fmt.Fprintf(w, "  %-32s admin\n", m.admin)

	printRelays(w, s)
	m.printCertificates(w)

	fmt.Fprintf(w, "\nlimits\n")
	var off []string
	for _, g := range flags {
		var on []string
		for i := range g.rows {
			r := &g.rows[i]
			text, isOn, told := r.inForce(s)
			switch {
			case !told:
			case isOn:
				on = append(on, r.name+" "+text)
			default:
				off = append(off, r.name)
			}
		}
		if len(on) > 0 {
			list(w, strings.ToLower(g.title), on)
		}
	}
	if len(off) > 0 {
		list(w, "off", off)
	}
	for _, l := range s.listeners {
		if own := l.overrides(s); len(own) > 0 {
			list(w, "only "+l.name, own)
		}
	}

	fmt.Fprintf(w, "\nmemory at worst\n")
	var sum int64
	for _, t := range m.memory {
		fmt.Fprintf(w, "  %9s  %s\n", say.SizeAbout(t.bytes), t.name)
		sum += t.bytes
	}
	fmt.Fprintf(w, "  %9s  in all, of %s that the process may use; the kernel's socket buffers are not in it\n\n",
		say.SizeAbout(sum), say.SizeAbout(s.machine.memory))
}

// printCertificates writes the part about TLS, nothing without it.
func (m *summary) printCertificates(w io.Writer) {
	if len(m.certificates)+len(m.awaited) == 0 {
		return
	}
	fmt.Fprintf(w, "\ncertificates\n")
	for _, c := range m.certificates {
		fmt.Fprintf(w, "  %-32s %s, %s, %s\n", say.Names(c.Names), untilText(c, m.now), c.Key, events.Clean(c.Source, 200))
		fmt.Fprintf(w, "    SHA-256 %s\n", c.Fingerprint)
	}
	for _, d := range m.awaited {
		fmt.Fprintf(w, "  %-32s being obtained from %s\n", d, events.Clean(m.settings.acme.Directory, 200))
	}
	if ca := m.clientCA; ca != nil {
		fmt.Fprintf(w, "  %-32s %s, client CA, %s\n", say.Names(ca.Names), untilText(*ca, m.now), events.Clean(ca.Source, 200))
	}
}

// inForce is a limit's value as printed at start; told is false for rows that are no limits.
func (r *row) inForce(s *settings) (value string, on, told bool) {
	if r.kind == toggle || r.kind == text { // no limits, whatever they are set for
		return "", false, false
	}
	if r.limit == nil && r.zero == "" && r.kind != prefixes && r.name != "max-handshakes" && r.name != "handshake-queue" || r.action ||
		r.name == "loops" || r.name == "workers" || r.name == "handshake-workers" || r.when != nil && !r.when(s) {
		return "", false, false
	}
	values := r.written(r.field(s))
	if len(values) == 0 {
		return "", false, false
	}
	if rate, isBurst := strings.CutSuffix(r.name, "-burst"); isBurst {
		if of := rowNamed(rate + "-rate"); values[0] == "0" || of.written(of.field(s))[0] == "0" {
			return "", false, false // it means nothing by itself
		}
	}
	value = strings.Join(values, " ")
	if r.kind == rate || r.kind == byteRate {
		value += "/s"
	}
	return value, values[0] != "0" && values[0] != "off", true
}

// list writes a heading and items, wrapped under it.
func list(w io.Writer, heading string, items []string) {
	for i, line := range wrapItems(items, 78) {
		if i > 0 {
			heading = ""
		}
		fmt.Fprintf(w, "  %-17s %s\n", heading, line)
	}
}

// wrapItems joins items with commas into lines of about width bytes.
func wrapItems(items []string, width int) (lines []string) {
	line := ""
	for i, item := range items {
		if i < len(items)-1 {
			item += ","
		}
		if line != "" && len(line)+1+len(item) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += item
	}
	return append(lines, line)
}

// log writes the summary for programs, one line for each listener, and one each for the limits and
// the memory.
func (m *summary) log(log *zap.Logger) {
	s := m.settings
	log.Info("start", zap.String("event", events.Start), zap.String("version", m.build.version), zap.String("revision", m.build.revision),
		zap.String("go", m.build.golang), zap.Int("loops", s.engine.Loops), zap.String("profile", s.profile))
	for _, l := range m.listeners {
		log.Info("listening", zap.String("event", events.Listening), zap.String("listener", l.name), zap.String("url", l.url), zap.String("service", l.service))
	}
	log.Info("listening", zap.String("event", events.Listening), zap.String("listener", "admin"), zap.String("url", m.admin), zap.String("service", "admin"))

	for _, c := range m.certificates {
		log.Info("certificate", certFields("certificate", c)...)
	}
	for _, d := range m.awaited {
		log.Info("certificate is being obtained", zap.String("event", events.CertificateAwaited), zap.String("domain", d))
	}
	if m.clientCA != nil {
		log.Info("client CA", certFields("client_ca", *m.clientCA)...)
	}

	var limits []zap.Field
	eachRow(func(r *row) {
		if text, _, told := r.inForce(s); told {
			limits = append(limits, zap.String(r.name, text))
		}
	})
	log.Info("limits", append([]zap.Field{zap.String("event", events.Limits)}, limits...)...)
	for _, l := range s.listeners {
		if own := l.overrides(s); len(own) > 0 {
			log.Info("limits of one listener", zap.String("event", events.Limits), zap.String("listener", l.name), zap.String("limits", strings.Join(own, ", ")))
		}
	}
	var sum int64
	memory := []zap.Field{zap.String("event", events.Memory)}
	for _, t := range m.memory {
		memory = append(memory, zap.Int64(t.name, t.bytes))
		sum += t.bytes
	}
	log.Info("memory at worst, in bytes", append(memory, zap.Int64("total", sum))...)
}
