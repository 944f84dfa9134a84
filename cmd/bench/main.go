package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"weir/bench/printable"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// Writing to a pipe that nobody reads any more is then an error like any other, and costs no record.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := interruptible()
	defer stop()
	c := command{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, terminal: isTerminal(os.Stderr)}
	os.Exit(c.run(ctx, os.Args[1:]))
}

// interruptible returns a context that ends with the first interrupt. The second one has its default effect: it ends the
// process, whatever that waits for.
func interruptible() (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// command is one call of bench. Not for concurrent use.
type command struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stderr is one: progress may overwrite its line
	args           []string
}

// usageError is a mistake on the command line: exit status 2.
type usageError struct{ error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func (c *command) run(ctx context.Context, args []string) int {
	c.args = args
	out := &output{w: c.stdout}
	c.stdout = out
	err := c.dispatch(ctx, args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		err = out.failure()
	}
	var mistake usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &mistake):
		c.say(err)
		return exitUsage
	}
	c.say(err)
	return exitFailed
}

// say writes an error as one line. It may hold what a server or a record said.
func (c *command) say(err error) {
	fmt.Fprintln(c.stderr, "bench:", printable.Text(strings.ReplaceAll(err.Error(), "\n", "; ")))
}

func (c *command) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usage(errors.New("say what to do: load, attack, siege, report or help"))
	}
	switch name, rest := args[0], args[1:]; name {
	case "load":
		return c.load(ctx, rest)
	case "load-worker":
		return c.worker(ctx)
	case "attack":
		return c.attack(ctx, rest)
	case "siege":
		return c.siege(ctx, rest)
	case "report":
		return c.report(ctx, rest)
	case "help", "-h", "-help", "--help":
		return c.help(ctx, rest)
	default:
		return usage(fmt.Errorf("no command %q: there are load, attack, siege, report and help", name))
	}
}

// flags returns a flag set that says nothing by itself: a mistake is one line, written by run.
func (c *command) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// parse parses all of args; nothing may be left over. Asked for help it writes that to stdout and returns
// flag.ErrHelp.
func (c *command) parse(f *flag.FlagSet, synopsis string, args []string) error {
	if err := c.flagged(f, synopsis, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return usage(fmt.Errorf("%s: nothing is to follow the flags, found %q", f.Name(), f.Arg(0)))
	}
	return nil
}

// flagged is parse up to the first word that is no flag's; that and what follows are left to f.Args.
func (c *command) flagged(f *flag.FlagSet, synopsis string, args []string) error {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(c.stdout, "usage: bench %s\n\n", synopsis)
		f.SetOutput(c.stdout)
		f.PrintDefaults()
		return err
	case err != nil:
		return usage(fmt.Errorf("%s: %w", f.Name(), err))
	}
	return nil
}

// threads makes sure that as many goroutines can run at once: lanes and loops that wait for each other's turn would
// measure that.
func threads(n int) {
	if want := n + 2; want > runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(want)
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Name() != "null"
}
