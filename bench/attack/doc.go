// Package attack holds the attacks, one file each, and the registry that names them.
//
// An attack opens many connections from many loopback source addresses, with a rate and a size of its own, and counts
// what the server made of them. It is bounded in time and in count whatever the options say, refuses every target that
// is not a loopback address, closes all its sockets before it returns, and is written to cost its own side little: raw
// sockets, epoll, one goroutine a loop, and no memory to speak of for a connection.
//
// To add one: a file with a [Kind] in it, and its name in kinds (kind.go). Its loop embeds flood (connections that are opened at
// a rate and held), talker (a flood that says something on each) or newDripper (that says it a few bytes at a time), and
// counts what it sends as units in [Counts]; connections and replies are counted for it. Where it can be made inside TLS its
// loop begins with r.inTLS and its check is checkTLS. takes names the options that it looks at: others are refused. The
// comment says what it aims at and what ought to stop it. Then bench/scenario/ready/everything.toml wants a phase of it, and
// docs/threat-model.md a line.
//
// [ByName] and [All] look attacks up; [Kind.Options] gives the defaults; [Run] runs one. Any goroutine. The [Counts]
// of an attack may be read by any goroutine while it runs.
package attack
