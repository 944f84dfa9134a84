package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"weir/bench/attack"
)

const overview = `bench shows what an attack does to a server's good clients.

usage:
  bench load   -target URL [flags]          a client alone: at a rate, latency from when each request was due, or with
                                            -closed as fast as replies come; with -churn a connection for each request
  bench attack NAME -target URL [flags]     an attack alone
  bench siege  -target URL -attack NAME...  a good client before, during and after attacks; with -newcomers RATE also clients that connect for each request
  bench siege  -target URL -scenario FILE   a good client throughout phases, quiet or with attacks, that a file names;
                                            bench help siege shows one, and lists those that are ready
  bench report FILE.json [-html FILE.html]  the tables of a record that -json wrote, or a page with plots
  bench help   [load|attack NAME|siege|report]  this text, or the flags of a command

targets, on 127.0.0.0/8 and [::1] only:
  http://127.0.0.1:8080/path    HTTP/1.1
  frames://127.0.0.1:7000       4-byte big-endian length and payload, sent back
  line://127.0.0.1:7001         lines ended by LF, sent back
  https://127.0.0.1:8443/path   the same inside TLS; certificates are not verified
  frames+tls://127.0.0.1:7443
  line+tls://127.0.0.1:7444

attacks:
`

const epilogue = `
The tls- attacks need a TLS target; the others but connection-flood and close-storm speak TLS to one. slow-read and zero-window want a
target with large answers, such as weir's /echo.
Sources rotate in an IPv6 prefix where it is routed to lo, in a network namespace: ip -6 route add local 2001:db8:7::/64 dev lo,
then -target http://[::1]:8080/ -attack 'spray?first=2001:db8:7::1&per-net=0&sources=100000'
In a siege attacks take their options in the same word: -attack 'slowloris?conns=5000&interval=500ms'
-json FILE keeps the record of a run: command, seed, machine, commits, results, and a sample a second of the
server's -metrics and -pid; siege -html FILE draws it as a page that needs no network
exit status: 0 good, 1 the run failed (the good client got nothing, for one), 2 a mistake on the command line
`

func attacks(w io.Writer) {
	for _, k := range attack.All() {
		fmt.Fprintf(w, "  %-18s %s\n", k.Name, k.Help)
	}
}

func (c *command) help(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(c.stdout, overview)
		attacks(c.stdout)
		fmt.Fprint(c.stdout, epilogue)
		return nil
	}
	switch args[0] {
	case "load":
		return c.load(ctx, []string{"-help"})
	case "attack":
		return c.attack(ctx, append(args[1:], "-help"))
	case "siege":
		return c.siege(ctx, []string{"-help"})
	case "report":
		return c.report(ctx, []string{"-help"})
	}
	return usage(errors.New("help: there is help for load, attack, siege and report"))
}
