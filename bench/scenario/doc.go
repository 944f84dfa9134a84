// Package scenario reads what a siege is to do from a file that a person can read.
//
// A scenario is TOML. At the top stand settings of the siege, in [good] those of the good client, in [newcomers] those of
// clients who come for the first time; all have the names of the flags of "bench siege", whose text tells what they mean.
// Then come the phases, in order. A phase without attacks is quiet; the attacks of one phase run all at once and have
// ended before the next phase's begin. The good client, and newcomers when there are any, run throughout.
//
//	about  = "a flood, then the same with slow clients beside it"   # one line of what it is about
//	target = "http://127.0.0.1:8080/"     # under attack; also good-target, metrics, shed-metric, shed-label
//	pid    = [1234]                       # of the server, whose CPU and memory are read
//	seed   = 7                            # of exponential gaps (arrivals)
//
//	[good]                                # or leave it out
//	rate    = 500                         # as the flag -rate; likewise conns, timeout, size, source, sources, arrivals, ...
//	timeout = "2s"
//
//	[newcomers]                           # or leave it out: none
//	rate = 50                             # as the flag -newcomers; source and sources as -newcomer-source and -newcomer-sources
//
//	[[phase]]
//	for = "5s"                            # quiet
//
//	[[phase]]
//	name    = "flood"                     # or leave it out: then it is made from the attacks
//	for     = "10s"
//	attacks = ["frame-flood?rate=20000"]  # options as in -attack
//
//	[[phase]]
//	name    = "mixed"
//	for     = "10s"
//	attacks = ["frame-flood?rate=20000", "slowloris?conns=5000&interval=500ms"]
//
// Flags given on the command line win over the file's settings; the phases are the file's alone. Whatever the file says
// that is not known is an error, with its line. At most 64 phases, 256 attacks, and ten minutes in all.
//
// Ready scenarios come with the program, see [Ready]. They name no server: the command line does.
//
// [Scenario.String] writes a scenario as a file again. The record of each siege holds what it ran in that form, with
// all that the command line said, so that the record alone is enough to run it again.
package scenario
