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
	if usercmd.Is(args) {
		if err := usercmd.Run(args, os.Stdin, stdout, stderr); err != nil {
			return complain(stderr, err)
		}
		return exitOK
	}
	if len(args) >= 2 && args[0] == "alert" && args[1] == "test" {
		args = args[2:]
		if !slices.ContainsFunc(args, isHelp) {
			return testAlerts(args, stdout, stderr)
		}
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
