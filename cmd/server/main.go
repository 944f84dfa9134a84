package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"weir/internal/say"
	"weir/internal/usercmd"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings given, but for the environment's variables.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "help" {
		if args = append(args[1:len(args):len(args)], "-help"); len(args) > 2 {
			args = []string{args[0], "-help"} // of user add what there is of user
		}
	}
	if usercmd.Is(args) {
		if err := usercmd.Run(args, os.Stdin, stdout, stderr); err != nil {
			return complain(stderr, err)
		}
		return exitOK
	}
	if len(args) > 0 && args[0] == "alert" {
		switch {
		case len(args) == 1 || isHelp(args[1]):
			printAlertHelp(stdout)
			return exitOK
		case args[1] != "test":
			return complain(stderr, say.Usage(say.Shown("alert "+args[1])+": no such command; there is alert test, which sends one alert to each -alert-url"))
		case !slices.ContainsFunc(args[2:], isHelp):
			return testAlerts(args[2:], stdout, stderr)
		}
		args = args[2:]
	}
	given, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		printHelp(stdout)
		return exitOK
	}
	if err != nil {
		return complain(stderr, err)
	}
	s, err := resolve(given, thisMachine())
	switch {
	case s != nil && s.version:
		fmt.Fprintln(stdout, thisBuild())
		return exitOK
	case err != nil:
		return complain(stderr, err)
	case s.printConfig:
		printConfig(stdout, s)
		return exitOK
	case s.check:
		return check(s, stdout, stderr)
	}
	if err := serve(s, stderr); err != nil {
		return complain(stderr, err)
	}
	return exitOK
}

func isHelp(arg string) bool {
	return strings.TrimLeft(arg, "-") == "help" || strings.TrimLeft(arg, "-") == "h"
}

// complain says in one line what is wrong, and returns the exit code for it.
func complain(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "weir: %v\n", err)
	var wrong *say.WrongValue
	var usage *say.UsageError
	if errors.As(err, &wrong) || errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// root is the innermost error: net's wrappers repeat the address.
func root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
