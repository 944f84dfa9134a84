package main

import (
	"errors"
	"strings"
	"time"

	static "weir/engine/service/files"
	"weir/guard/bucket"
	"weir/internal/scheme"
)

var filesFlags = group{"Files", []row{
	{name: "files", kind: text, unit: "DIRECTORY", check: checkDirectory, needs: scheme.Files,
		limit: func(l *limits) any { return &l.files },
		help:  "Serve the files below this directory, and nothing outside of it. As a flag it is for http:// and https:// listeners; frames:// listeners serve files when it is their parameter. Names that begin with a dot are hidden, but for /.well-known/; compressed siblings (.br, .zst, .gz) are sent to who takes them"},
	{name: "index", kind: text, unit: "NAME", value: "index.html", check: checkIndex, needs: scheme.HTTP, when: (*settings).hasFiles,
		limit: func(l *limits) any { return &l.index },
		help:  "The file that answers for its directory; off is none"},
	{name: "list", kind: toggle, value: "false", needs: scheme.HTTP, when: (*settings).hasFiles,
		limit: func(l *limits) any { return &l.list },
		help:  "Show the names in directories that have no index"},
	{name: "dotfiles", kind: toggle, value: "false", needs: scheme.Files, when: (*settings).hasFiles,
		limit: func(l *limits) any { return &l.dotFiles },
		help:  "Serve, and store, names that begin with a dot as well"},
	{name: "max-age", kind: duration, value: "0", min: int64(time.Second), max: int64(maxLifetime), zero: "ask each time", needs: scheme.HTTP, when: (*settings).hasFiles,
		limit: func(l *limits) any { return &l.maxAge },
		help:  "How long clients may use a file again without asking whether it has changed, whole seconds"},
	{name: "hsts", kind: duration, value: "0", min: int64(time.Second), max: 2 * int64(maxLifetime), zero: "off", needs: scheme.HTTP | scheme.TLS, when: (*settings).hasFiles,
		limit: func(l *limits) any { return &l.hsts },
		help:  "How long browsers are to come to this host by TLS only, whole seconds, which answers of https:// listeners with files say (Strict-Transport-Security). Browsers do not forget it before: begin with minutes; 1s takes it back"},
	{name: "max-open-files", kind: count, value: "0", auto: "1024, at most an eighth of the descriptor limit", min: 16, max: 1 << 20, zero: "automatic", when: (*settings).hasFiles,
		setting: func(s *settings) any { return &s.maxOpenFiles },
		help:    "Files that are open at once, those being sent included; each loop has an equal share. They are added to fd-reserve unless that is given. With more different files under way than this, further ones are answered 503"},
}}

var uploadFlags = group{"Uploads", []row{
	{name: "uploads", kind: text, unit: "DIRECTORY", check: checkDirectory, needs: scheme.Files,
		limit: func(l *limits) any { return &l.up.dir },
		help:  "Store what clients PUT below this directory, which may be that of files. As a flag it is for http:// and https:// listeners; frames:// listeners take uploads when it is their parameter. Whoever reaches the listener can store: put it behind auth, tls-client-auth or a private address"},
	{name: "overwrite", kind: toggle, value: "false", needs: scheme.Files, when: (*settings).hasUploads,
		limit: func(l *limits) any { return &l.up.overwrite },
		help:  "Replace files that are there. Without it their names are taken"},
	{name: "max-upload", kind: size, value: "64MiB", max: 1 << 50, zero: "no limit", needs: scheme.Files, when: (*settings).hasUploads,
		limit: func(l *limits) any { return &l.up.max },
		help:  "Largest upload. It is refused by its announced length, before a byte of it is read"},
	{name: "upload-quota", kind: size, value: "10GiB", max: 1 << 60, zero: "no limit", needs: scheme.Files, when: (*settings).hasUploads,
		limit: func(l *limits) any { return &l.up.quota },
		help:  "Bytes of all files below the directory, 4 KiB at least for each; those that are there at start are counted"},
	{name: "upload-floor", kind: size, value: "256MiB", max: 1 << 60, zero: "none", needs: scheme.Files, when: (*settings).hasUploads,
		limit: func(l *limits) any { return &l.up.floor },
		help:  "Bytes that stay free on the file system"},
	{name: "source-upload-rate", kind: byteRate, value: "1MiB", bench: benchByteRate, max: bucket.MaxByteRate, zero: "no limit", needs: scheme.Files, when: (*settings).hasUploads,
		limit: func(l *limits) any { return &l.up.rate },
		help:  "Bytes a second that one source may store, over all its connections and listeners with the same value. The announced length is taken at once, and not given back when the upload fails"},
	{name: "source-upload-burst", kind: size, value: "1GiB", bench: benchByteRate, max: bucket.MaxByteBurst, zero: "one second's worth", needs: scheme.Files, when: (*settings).hasUploads,
		limit: func(l *limits) any { return &l.up.burst },
		help:  "Bytes that one source may store at once; at least max-upload"},
	{name: "max-uploads", kind: count, value: "64", min: 1, max: 1 << 16, when: (*settings).hasUploads,
		setting: func(s *settings) any { return &s.maxUploads },
		help:    "Uploads under way at once, of all listeners; one source may have a quarter of them. Each takes two descriptors, which are added to fd-reserve unless that is given, and up to 192 KiB"},
}}

// checkDirectory takes any path; whether there is such a directory is seen when it is opened.
func checkDirectory(value string) error {
	if value == "" || strings.ContainsRune(value, 0) {
		return errors.New("must be the path of a directory")
	}
	return nil
}

// checkIndex takes a plain name, and off.
func checkIndex(value string) error {
	if value == "" || static.CheckIndex(value) != nil {
		return errors.New("must be off or the plain name of a file such as index.html")
	}
	return nil
}
