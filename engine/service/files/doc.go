// Package files serves the files below one directory over HTTP/1.1: GET and HEAD, with entity tags,
// preconditions, ranges, directory indexes and listings, and siblings that were compressed beforehand. It stores
// what is PUT, below the same directory or another one. The same can be had over frames (frames.go,
// docs/protocols.md).
//
// What a request costs, and where:
//
//   - The path is decoded once and judged before anything is asked of the file system (path.go).
//
//   - Opening and stat happen on the worker pool, through os.Root, which no path and no symbolic link
//     can leave, whatever is swapped meanwhile (site.go). What was found is kept for a second on the
//     loop that asked, open, in a bounded cache (cache.go): a hit costs a look-up and no system call.
//
//   - Bodies are pulled as the client takes them (body.go): by sendfile on plain connections, in pieces
//     of 48 KiB over TLS. What the page cache does not hold is read by a worker first, so that a loop
//     never waits for a disk.
//
//   - Uploads are admitted by their length and their conditions (admit.go), written by workers to a file that nobody can
//     name, and get their name when they are whole, checked and synced (storing.go). upload.go has the steps (decision
//     0015), store.go what is stored already. The sessions of HTTP (put.go)
//     and of frames differ in what they say, not in what they do.
//
// It does not run anything, makes no directories, deletes nothing but its own leftovers, and knows no users. Each loop has a cache of its own: no
// look-up takes a lock, and a file that is served by all loops is open once in each. That is bounded by
// Config.MaxOpen for all of them together (decision 0013).
package files
