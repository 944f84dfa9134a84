// Command bench shows what an attack does to a server's good clients: it runs a good client at a steady rate,
// attacks the same server from other source addresses, and prints before, during and after side by side.
//
// It works against any server that speaks HTTP/1.1, frames or lines, plain or inside TLS, on loopback addresses only. "bench help" tells the
// rest. Exit status: 0 when the run is good, 1 when it failed (the good client got nothing, for one), 2 when the
// command line makes no sense.
//
// It is a thin front of package bench; it decides nothing but how flags become options and where output goes.
package main
