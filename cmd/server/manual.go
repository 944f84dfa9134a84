package main

import (
	"fmt"
	"io"
	"strings"

	"weir/internal/say"
)

const helpHead = `weir sheds floods and slow attacks on event loops.

Usage: weir [-flag value ...]
       weir user|token ...      accounts and tokens; weir user -help tells more
       weir alert test [-flag value ...]   send one alert to each -alert-url
       weir help [user|token|alert]        this text, or that of a command

Each flag may also be set by an environment variable (-idle-timeout is
WEIR_IDLE_TIMEOUT) and by a line "idle-timeout 75s" of the file that -config
names. The command line wins over the environment, the environment over the
file. Sizes take B, KiB, MiB or GiB, durations Go's form: 500ms, 75s, 1h30m.
Flags marked [listener] can also be given for one listener, as a parameter of
its URL: -listen 'https://:8443?idle-timeout=5s'.
`

// printAlertHelp writes what the command alert can do.
func printAlertHelp(w io.Writer) {
	fmt.Fprint(w, `Whom to tell, and when, say the flags -alert-url, -alert-rule and
-alert-secret-file; weir -help has all flags.

  weir alert test [-flag value ...]
        Send one alert to each -alert-url, and say what came of it. Flags,
        environment and -config are read as at start.
`)
}

// printHelp writes the answer to -help.
func printHelp(w io.Writer) {
	fmt.Fprint(w, helpHead)
	for _, g := range flags {
		fmt.Fprintf(w, "\n%s\n", g.title)
		for i := range g.rows {
			r := &g.rows[i]
			fmt.Fprintf(w, "  %s\n", r.usage())
			text := r.help + "."
			if d := r.defaultText(); d != "" {
				text += " Default " + d + "."
			}
			if b := r.rangeText(); b != "" {
				text += " Range: " + b + "."
			}
			if r.limit != nil {
				text += " [listener]"
			}
			for _, line := range say.Wrap(text, 70) {
				fmt.Fprintf(w, "        %s\n", line)
			}
		}
	}
}

// defaultText is the default in words, "" for none.
func (r *row) defaultText() string {
	switch {
	case r.auto != "":
		return r.auto
	case r.kind == toggle:
		return ""
	case r.value == "0" && r.zero != "":
		return "0 (" + r.zero + ")"
	case r.kind == listURLs:
		return strings.ReplaceAll(r.value, " ", " and ")
	}
	return r.value
}

// rangeText is the range of a number or the words of a word, "" for other kinds.
func (r *row) rangeText() string {
	switch r.kind {
	case word:
		return say.OneOf(r.words)
	case toggle, text, listURLs, prefixes, names, files:
		return ""
	}
	return r.bounds()
}

// printConfig writes every value in force as lines that -config reads.
func printConfig(w io.Writer, s *settings) {
	for i, g := range flags {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "# %s\n", g.title)
		for j := range g.rows {
			r := &g.rows[j]
			if r.action {
				continue
			}
			values := r.written(r.field(s))
			if len(values) == 0 || values[0] == "" {
				fmt.Fprintf(w, "# %s\n", r.name)
				continue
			}
			for _, v := range values {
				if r.secret {
					fmt.Fprintf(w, "# %s (given, and not shown: it may be a secret)\n", r.name)
					continue
				}
				fmt.Fprintf(w, "%s %s\n", r.name, v)
			}
		}
	}
}
