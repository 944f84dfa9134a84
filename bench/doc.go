// Package bench shows what an attack does to a server's good clients.
//
// A [Siege] runs one good client at a steady open-loop rate from its own source address through a list of phases, some
// quiet, others with attacks on the same server from other source addresses, alone or mixed; usually before, during and
// after. It tells the phases apart: goodput, latency, errors, what the server shed and for which reason, and what each
// side paid in CPU. Beside the good client, whose connections stand, it can run newcomers, who connect for each request.
//
// It works over the wire only, against any server that speaks HTTP/1.1, length-prefixed frames or lines, plain or
// inside TLS, whose certificates it never verifies: it talks to loopback only. It knows nothing of how that server is
// built. It is no general load tester: every target must be a loopback address (see bench/target), and every run is
// bounded in time and in count.
//
// The parts, each of use alone:
//
//	target    which server, which protocol; refuses all but loopback; source addresses to come from
//	pacer     when the next request is due, whatever the server does
//	latency   histograms of what it took, by phase and by slice of time
//	wire      the bytes of a request and how to tell that its reply is complete
//	sock      non-blocking sockets, an epoll wrapper, the budget of descriptors
//	tunnel    TLS without a socket, for loops that have thousands of them
//	load      the good client, and newcomers
//	attack    the attacks, one file each, and their registry
//	watch     what the server says of itself: its shed counters, its CPU and memory
//	scenario  a siege as a file that a person can read
//	ring      a queue in one piece of memory
//	victim    small servers to attack, for tests
//	peers     weir beside other servers: a program, see make bench-peers
//	printable text from servers and strangers made fit for a terminal
//	report    the record of a run as JSON, as a table, and as a page with plots
//
// How to use the command, and what its words mean, stands in docs/bench.md. baseline.txt is none of this: it is what make
// bench compares the module's Go benchmarks with.
//
// Linux only: it counts on epoll, /proc and the whole of 127.0.0.0/8 being local.
package bench
