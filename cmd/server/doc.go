// Command server is weir: it serves the addresses that -listen names and sheds what floods them.
//
// Its exit codes: 0 for an orderly end, 1 when the machine or the network does not let it run or -check finds
// something weak that others can reach, 2 for a command line that is wrong. What is wrong is told in one line.
//
// What is typed becomes settings, settings become the configuration of package engine, and that runs:
//
//	main.go                what is asked for: serve, -check, -help, the commands
//	parse.go               the command line, the environment and the file, into what was given, by flag
//	flags.go flags_*.go    the table of flags, a group or two a file
//	row.go value.go        what a flag is; how its value is read and written
//	limits.go              what each listener may have of its own
//	listen.go              a listener, from its URL
//	settings.go            what was given with the defaults and the machine, and what does not go together
//	effect.go              what would do nothing, and is refused
//	machine.go version.go  what the machine and the binary are
//
//	wire.go                settings into the engine's configuration: which service answers where
//	sites.go uploads.go    files and uploads: checks, directories, services
//	relay.go relayhttp.go relaytls.go passthrough.go
//	                       the servers behind: checks, pools, routes
//	transport.go identity.go certlog.go
//	                       TLS: checks, certificates and ACME, what is logged of them
//	auth.go                logins: checks, accounts, what stands in front of a service
//	alerts.go              who is told at once; the command alert test
//
//	serve.go               a process: what it opens, starts and stops
//	signals.go             the signals that stop it or have it read things again
//	start.go summary.go memory.go
//	                       what it says at start; the most memory that it can take
//	admin.go log.go tidy.go
//	                       its admin address, its log, and memory that it gives back
//
//	check.go               -check: settings into what internal/posture judges
//	warn.go                what can be served and is probably not meant, for start and -check
//	manual.go              -help and -print-config
//
// What schemes can do is internal/scheme's, the commands user and token are internal/usercmd's, and how values and errors
// are written is internal/say's.
package main
