package main

import (
	"errors"
	"strings"
	"time"
)

// The greatest values that more than one flag shares. Those of the guard are its own; a test holds
// the others against what the guard and the engine refuse.
const (
	maxConns    = 1 << 24 // the guard's table of exact counts ends here
	maxHeld     = 1 << 30 // bytes of one frame or of one connection's output
	maxHeadSize = 1 << 20 // bytes of one request head
	maxTimeout  = 24 * time.Hour
	maxLifetime = 365 * 24 * time.Hour
)

// Under -profile bench rates are as high as the guard counts: each check still runs, and no machine
// makes one of them bite.
const (
	benchRate     = "1000000000"
	benchByteRate = "10GiB"
	benchConns    = "max-conns" // as many as the process takes
	benchTwice    = "2 x max-conns"
)

// group is a heading of -help and of docs/operations.md with its flags.
type group struct {
	title string
	rows  []row
}

// flags is the table, in the order of -help. Rows with a limit are query parameters of -listen too.
// Every row is also an environment variable, WEIR_ and the name in upper case with underscores,
// and a line "name value" of the -config file.
var flags = []group{
	listeningFlags, connectionFlags,
	tlsFlags, acmeFlags,
	filesFlags, uploadFlags,
	relayFlags,
	authFlags,
	rateFlags, sourceFlags, deadlineFlags, sizeFlags,
	alertFlags, processFlags,
}

// rowNamed finds a flag, or nil.
func rowNamed(name string) *row {
	for g := range flags {
		for i := range flags[g].rows {
			if r := &flags[g].rows[i]; r.name == name {
				return r
			}
		}
	}
	return nil
}

// eachRow walks the table in order.
func eachRow(visit func(*row)) {
	for g := range flags {
		for i := range flags[g].rows {
			visit(&flags[g].rows[i])
		}
	}
}

// checkPath takes everything that could be the name of a file.
func checkPath(value string) error {
	if value == "" || strings.ContainsRune(value, 0) {
		return errors.New("must be the path of a file")
	}
	return nil
}
