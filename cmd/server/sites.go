package main

import (
	"fmt"
	"slices"

	static "weir/engine/service/files"
	"weir/internal/metrics"
)

// hasFiles reports whether any listener serves files.
func (s *settings) hasFiles() bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.servesFiles() })
}

func (l *listener) servesFiles() bool {
	return l.protocol() == "http" && l.limits.files != "" && !l.relays()
}

// willServeFiles is hasFiles before the listeners are read for good.
func (s *settings) willServeFiles() bool {
	return slices.ContainsFunc(s.listen, func(text string) bool {
		l, wrong := parseListen("", text, s.limits)
		return wrong == nil && l.servesFiles()
	})
}

// checkFiles refuses what would have no effect.
func (s *settings) checkFiles(g given) error {
	usual := defaultLimits()
	for i := range s.listeners {
		l := &s.listeners[i]
		if l.servesFiles() || l.protocol() != "http" {
			continue
		}
		for _, name := range []string{"index", "list", "dotfiles", "max-age"} {
			r := rowNamed(name)
			if mine := r.inWords(r.limit(&l.limits)); mine != r.inWords(r.limit(&s.limits)) {
				return &wrongValue{g.where("listen") + " " + shown(l.text) + ": " + name, mine, "nothing is served without files=DIRECTORY; give it, or leave this out"}
			}
		}
	}
	if s.hasFiles() {
		return nil
	}
	if s.limits.files != "" {
		return &usageError{g.where("files") + ": no listener speaks HTTP; add one, such as -listen http://127.0.0.1:8080"}
	}
	for _, name := range []string{"index", "list", "dotfiles", "max-age"} {
		if r := rowNamed(name); r.inWords(r.limit(&s.limits)) != r.inWords(r.limit(&usual)) {
			return &usageError{g.where(name) + ": nothing is served without -files; give it, or leave this out"}
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
		if s.listeners[i].servesFiles() {
			n++
		}
	}
	for i := range s.listeners {
		l := &s.listeners[i]
		if !l.servesFiles() {
			continue
		}
		index := l.limits.index
		if index == "off" {
			index = ""
		}
		site, err := static.New(static.Config{
			Dir: l.limits.files, Index: index, List: l.limits.list, DotFiles: l.limits.dotFiles, MaxAge: l.limits.maxAge,
			MaxOpen: max(1, s.maxOpenFiles/n), MaxHeader: int(l.limits.maxHeader), MaxBody: l.limits.maxBody,
		})
		if err != nil {
			all.close()
			return nil, fmt.Errorf("-listen %s: files: %w", shown(l.text), err)
		}
		all[l.name] = site
	}
	return all, nil
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
