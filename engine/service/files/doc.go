// Package files serves the files below one directory over HTTP/1.1: GET and HEAD, with entity tags,
// preconditions, ranges, directory indexes and listings, and siblings that were compressed beforehand.
//
// What a request costs, and where:
//
//   - The path is decoded once and judged before anything is asked of the file system (path.go).
//   - Opening and stat happen on the worker pool, through os.Root, which no path and no symbolic link
//     can leave, whatever is swapped meanwhile (site.go). What was found is kept for a second on the
//     loop that asked, open, in a bounded cache (cache.go): a hit costs a look-up and no system call.
//   - Bodies are pulled as the client takes them (body.go): by sendfile on plain connections, in pieces
//     of 48 KiB over TLS. What the page cache does not hold is read by a worker first, so that a loop
//     never waits for a disk.
//
// It does not write, does not run anything, and knows no users. Each loop has a cache of its own: no
// look-up takes a lock, and a file that is served by all loops is open once in each. That is bounded by
// Config.MaxOpen for all of them together (decision 0013).
package files
