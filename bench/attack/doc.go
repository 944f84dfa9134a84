// Package attack holds the attacks, one file each, and the registry that names them.
//
// An attack opens many connections from many loopback source addresses, with a rate and a size of its own, and counts
// what the server made of them. It is bounded in time and in count whatever the options say, refuses every target that
// is not a loopback address, closes all its sockets before it returns, and is written to cost its own side little: raw
// sockets, epoll, one goroutine a loop, and no memory to speak of for a connection.
//
// [ByName] and [All] look attacks up; [Kind.Options] gives the defaults; [Run] runs one. Any goroutine. The [Counts]
// of an attack may be read by any goroutine while it runs.
package attack
