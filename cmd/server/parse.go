package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"weir/internal/say"

	"github.com/peterbourgon/ff/v3"
)

const envPrefix = "WEIR"

// given is what the operator said, by flag.
type given map[string]said

// said is one flag as it was given.
type said struct {
	values []string // one, or of a list all
	where  string   // how to name it: -loops, WEIR_LOOPS, weir.conf:3: loops
}

// where names a flag as it was given, or by its plain name.
func (g given) where(name string) string {
	if s, ok := g[name]; ok {
		return s.where
	}
	return "-" + name
}

// parser reads one or all of the three places where flags are given.
type parser struct {
	given given
	bad   *say.WrongValue          // the first wrong value
	place func(name string) string // how to name a flag of the place that is being read
}

// flagValue lets package flag and ff hand values to a parser. It satisfies flag.Value.
type flagValue struct {
	row *row
	p   *parser
}

// String is the value as it was given; ff reads the name of the file with it.
func (v *flagValue) String() string {
	if v.p == nil {
		return "" // package flag asks a zero value
	}
	return strings.Join(v.p.given[v.row.name].values, " ")
}

// IsBoolFlag lets toggles stand without a value.
func (v *flagValue) IsBoolFlag() bool { return v.row != nil && v.row.kind == toggle }

// Set checks one value and keeps it. Lists may come with several in one value.
func (v *flagValue) Set(value string) error {
	r := v.row
	pieces, where := r.pieces(value), v.p.place(r.name)
	if len(pieces) == 0 {
		v.p.bad = say.Wrong(where, value, "must not be empty")
		return v.p.bad
	}
	for _, piece := range pieces {
		if wrong := r.wrong(where, piece); wrong != nil {
			v.p.bad = wrong
			return wrong
		}
	}
	if r.isList() {
		pieces = append(v.p.given[r.name].values, pieces...)
	}
	v.p.given[r.name] = said{pieces, where}
	return nil
}

// wrong says what is wrong with a value by itself, nil for nothing.
func (r *row) wrong(where, value string) *say.WrongValue {
	scratch := settings{limits: defaultLimits()}
	if r.kind == listURLs {
		_, wrong := parseListen(where, value, scratch.limits)
		return wrong
	}
	if must := r.store(r.field(&scratch), value); must != "" {
		if r.secret {
			value = "(hidden)"
		}
		return say.Wrong(where, value, must)
	}
	return nil
}

// flagSet is the table for package flag.
func (p *parser) flagSet() *flag.FlagSet {
	fs := flag.NewFlagSet("weir", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	eachRow(func(r *row) { fs.Var(&flagValue{row: r, p: p}, r.name, r.help) })
	return fs
}

// parse reads args, the environment and the file. Who gives a flag wins in this order. Its errors
// are one line each: flag.ErrHelp, a *say.WrongValue or a *say.UsageError for what the operator typed, and
// others for a file that cannot be read.
func parse(args []string) (given, error) {
	// The command line alone, so that what comes later is known to be elsewhere.
	line := &parser{given: given{}, place: func(name string) string { return "-" + name }}
	fs := line.flagSet()
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil, flag.ErrHelp
	case line.bad != nil:
		return nil, line.bad
	case err != nil:
		return nil, say.LineError(err, span)
	case fs.NArg() > 0:
		return nil, say.Usage(say.Shown(fs.Arg(0)) + ": flags begin with a dash, commands are user, token, alert and help; -help lists them")
	}

	all := &parser{given: given{}}
	all.place = func(name string) string {
		if said, ok := line.given[name]; ok {
			return said.where
		}
		return envName(name)
	}
	err := ff.Parse(all.flagSet(), args, ff.WithEnvVarPrefix(envPrefix), ff.WithConfigFileFlag("config"), ff.WithConfigFileParser(all.readFile))
	switch config := all.given["config"].values; {
	case all.bad != nil:
		return nil, all.bad
	case err != nil && len(config) == 0:
		return nil, err
	case err != nil:
		return nil, fileError(config[0], err)
	}
	return all.given, nil
}

// readFile reads lines "name value". Lines that are empty or begin with # are skipped, and so is
// what follows " #". A name alone is for flags that need no value.
func (p *parser) readFile(r io.Reader, set func(name, value string) error) error {
	file, no := p.given["config"].values[0], 0
	p.place = func(name string) string { return fmt.Sprintf("%s:%d: %s", file, no, name) }
	wrong := func(name, what string) error { return say.Usage(p.place(name) + ": " + what) }
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		no++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value := line, ""
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			name, value = line[:i], strings.TrimSpace(line[i:])
		}
		if i := strings.Index(value, " #"); i >= 0 {
			value = strings.TrimSpace(value[:i])
		}
		r := rowNamed(name)
		switch {
		case r == nil:
			return wrong(say.Shown(name), "no such flag; -help lists them")
		case name == "config":
			return wrong(name, "a file cannot name another one")
		case value == "" && r.kind == toggle:
			value = "true"
		case value == "":
			return wrong(name, "needs a value")
		}
		if err := set(name, value); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", no+1, err)
	}
	return nil
}

// span is what a flag takes, "" for no flag.
func span(flag string) string {
	if r := rowNamed(flag); r != nil {
		return r.span()
	}
	return ""
}

func fileError(name string, err error) error {
	var usage *say.UsageError
	switch {
	case errors.As(err, &usage):
		return usage
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("-config %s: there is no such file; name another one or leave -config out", say.Shown(name))
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("-config %s: may not be read by this user; change its mode or owner", say.Shown(name))
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("-config %s: %w", say.Shown(name), err)
}

// envName is the environment variable of a flag.
func envName(flag string) string {
	return envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// strayEnv lists the WEIR_ variables in environ that no flag reads. Those that Kubernetes makes for
// a service called weir are left out.
func strayEnv(environ []string) (names []string) {
	known := map[string]bool{}
	eachRow(func(r *row) { known[envName(r.name)] = true })
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		tail, ours := strings.CutPrefix(name, envPrefix+"_")
		if ours && !known[name] && tail != "PORT" && !strings.HasPrefix(tail, "PORT_") && !strings.HasPrefix(tail, "SERVICE_") {
			names = append(names, name)
		}
	}
	return names
}
