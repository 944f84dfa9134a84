package main

import (
	"fmt"
	"os"
	"slices"

	static "weir/engine/service/files"
	"weir/internal/metrics"
	"weir/internal/say"
	"weir/internal/scheme"
)

// hasFiles reports whether any listener serves files.
func (s *settings) hasFiles() bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.limits.files != "" && l.speaksFiles() })
}

// speaksFiles reports whether a listener can serve files: one that relays does not.
func (l *listener) speaksFiles() bool {
	return l.can(scheme.Files) && !l.relays()
}

// servesFiles reports whether a listener serves files or takes uploads.
func (l *listener) servesFiles() bool {
	return l.speaksFiles() && (l.limits.files != "" || l.limits.up.dir != "")
}

// own reports whether a directory is the listener's own parameter, and not the flag's that all of HTTP have.
func (l *listener) own(flag, mine string) bool {
	return mine != "" && (!l.can(scheme.HTTP) || mine != flag)
}

// will reports whether a listener has something, before they are read for good.
func (s *settings) will(have func(*listener) bool) bool {
	return slices.ContainsFunc(s.listen, func(text string) bool {
		l, wrong := parseListen("", text, s.limits)
		return wrong == nil && l.speaksFiles() && have(&l)
	})
}

// willServeFiles is hasFiles before the listeners are read for good.
func (s *settings) willServeFiles() bool {
	return s.will(func(l *listener) bool { return l.limits.files != "" })
}

// checkFiles refuses what would have no effect, and what cannot be.
func (s *settings) checkFiles(g given) error {
	for i := range s.listeners {
		l := &s.listeners[i]
		if l.relays() && (l.own(s.limits.files, l.limits.files) || l.own(s.limits.up.dir, l.limits.up.dir)) {
			return say.Wrong(g.where("listen"), l.text, "relays to a server, and files or uploads are served here: leave out one of the two")
		}
		if !l.speaksFiles() {
			continue
		}
		if must := l.checkUploads(); must != "" {
			return say.Wrong(g.where("listen"), l.text, must)
		}
	}
	for _, flag := range []string{"files", "uploads"} {
		if r := rowNamed(flag); *r.limit(&s.limits).(*string) != "" && !slices.ContainsFunc(s.listeners, func(l listener) bool { return l.can(scheme.HTTP) }) {
			return say.Usage(g.where(flag) + ": no listener speaks HTTP; add one, such as -listen http://127.0.0.1:8080")
		}
	}
	return nil
}

// sites are the services of listeners that serve files, by the listener's name.
type sites map[string]*static.Site

// openSites opens the directories. Its error is one line for the operator.
func openSites(s *settings) (sites, error) {
	all := sites{}
	n := 0
	for i := range s.listeners {
		if s.listeners[i].servesFiles() && s.listeners[i].limits.files != "" {
			n++
		}
	}
	stores := newStores(s)
	for i := range s.listeners {
		l := &s.listeners[i]
		if !l.servesFiles() {
			continue
		}
		index := l.limits.index
		if index == "off" {
			index = ""
		}
		cfg := static.Config{
			Dir: l.limits.files, Index: index, List: l.limits.list, DotFiles: l.limits.dotFiles, MaxAge: l.limits.maxAge,
			MaxOpen: max(1, s.maxOpenFiles/max(n, 1)), MaxHeader: int(l.limits.maxHeader), MaxBody: l.limits.maxBody,
			Uploads: stores.of(l),
		}
		if l.isTLS() {
			cfg.HSTS = l.limits.hsts
		}
		if l.can(scheme.Frames) {
			cfg.MaxFrame = int(l.limits.maxFrame)
		}
		if l.takesUploads() {
			if err := storable(l.limits.up.dir, true); err != nil {
				all.close()
				return nil, notStorable(l, err)
			}
		}
		site, err := static.New(cfg)
		if err != nil {
			all.close()
			return nil, fmt.Errorf("-listen %s: files: %w", say.Shown(l.text), err)
		}
		stores.opened(site)
		all[l.name] = site
	}
	return all, nil
}

// checkSites opens the directories and closes them again, for -check. Those of uploads are not opened for good: that would
// begin to count what is there and to remove what a crash has left, beside a server that may run.
func checkSites(s *settings) error {
	served := *s
	served.listeners = slices.Clone(s.listeners)
	for i := range served.listeners {
		l := &served.listeners[i]
		if l.speaksFiles() && l.limits.up.dir != "" {
			dir, err := os.OpenRoot(l.limits.up.dir)
			if err != nil {
				return fmt.Errorf("-listen %s: uploads: %w", say.Shown(l.text), root(err))
			}
			_ = dir.Close()
			if err := storable(l.limits.up.dir, false); err != nil {
				return notStorable(l, err)
			}
		}
		l.limits.up = uploading{}
	}
	at, err := openSites(&served)
	if err != nil {
		return err
	}
	at.close()
	return nil
}

// close gives the directories back. When the engine has ended.
func (all sites) close() {
	for _, site := range all {
		site.Close()
	}
}

// stats are what all of them have counted.
func (all sites) stats() (sum metrics.Files) {
	for _, site := range all {
		addUploads(&sum.Uploads, site)
		if site.Dir() == "" {
			continue
		}
		n := site.Stats()
		sum.Open += n.Open
		sum.Limit += int64(site.MaxOpen())
		sum.Opened += n.Opened
		sum.Hits += n.Hits
		sum.Misses += n.Misses
		sum.Busy += n.Busy
	}
	return sum
}
