package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// build is what the binary knows of itself.
type build struct {
	version  string // of the module, "devel" when it was not built from a tag
	revision string // of the source, "" when unknown; "+changes" behind it when files were changed
	golang   string
	at       time.Time // of the revision, zero when unknown
	modules  int       // that it is made of, beside Go's own
}

func thisBuild() build {
	b := build{version: "devel", golang: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.version = v
	}
	b.modules = len(info.Deps)
	changed := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.revision = s.Value[:min(len(s.Value), 12)]
		case "vcs.time":
			b.at, _ = time.Parse(time.RFC3339, s.Value)
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	if changed && b.revision != "" {
		b.revision += "+changes"
	}
	return b
}

// String is one line: "weir devel 0123456789ab go1.26.0".
func (b build) String() string {
	return strings.Join(strings.Fields("weir "+b.version+" "+b.revision+" "+b.golang), " ")
}
