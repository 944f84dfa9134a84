package files

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Outcome is how an upload ended, from a closed list: each is a count, an answer and a few words for the
// client.
type Outcome uint8

// The outcomes. Those up to Busy are refusals: nothing was stored, not even for a while.
const (
	Stored     Outcome = iota
	BadRequest         // what was asked for makes no sense
	BadPath            // the path is not one that may be written to
	NoParent           // the directory is not there
	Exists             // there is something of that name, which is not replaced
	Unmet              // a precondition does not hold
	TooLarge           // above -max-upload
	OverQuota          // above what is left of -upload-quota
	LowSpace           // would leave less than -upload-floor
	OverBudget         // above what its source may store now
	TooMany            // -max-uploads are under way, or the source has its share of them
	Busy               // what is there is still being counted
	Cut                // the client went, was too slow, or sent what it must not
	Mismatch           // other bytes than those of the client's digest
	DiskFull           // the file system or the user's share of it is
	ReadOnly           // the file system is, or its permissions say so
	NoFiles            // no descriptor was left
	DiskError          // anything else that the file system said
	Outcomes           // how many there are
)

// what is said and counted of each outcome.
var outcomes = [Outcomes]struct {
	label  string // in metrics
	status int    // HTTP's
	words  string
}{
	Stored:     {"stored", 201, "stored"},
	BadRequest: {"request", 400, "not a request that can be followed"},
	BadPath:    {"path", 404, "no such place"},
	NoParent:   {"parent", 409, "there is no such directory"},
	Exists:     {"exists", 409, "the name is taken"},
	Unmet:      {"precondition", 412, "a precondition does not hold"},
	TooLarge:   {"max-upload", 413, "larger than one upload may be"},
	OverQuota:  {"upload-quota", 507, "no room is left of the quota"},
	LowSpace:   {"upload-floor", 507, "too little space is left"},
	OverBudget: {"source-upload", 429, "this source has stored much of late"},
	TooMany:    {"max-uploads", 503, "too many uploads are under way"},
	Busy:       {"counting", 503, "what is there is still being counted"},
	Cut:        {"cut", 400, "the upload was cut"},
	Mismatch:   {"digest", 400, "the digest is that of other bytes"},
	DiskFull:   {"disk-full", 507, "the disk is full"},
	ReadOnly:   {"read-only", 403, "nothing may be written there"},
	NoFiles:    {"descriptors", 503, "too many files are open"},
	DiskError:  {"disk", 500, "the file could not be written"},
}

// wasCut is the outcome of who has gone.
const wasCut = Cut

// String is the label in metrics.
func (o Outcome) String() string { return outcomes[o].label }

// outcomeOf is what an error of the file system comes to. What os.Root refuses because it would leave the
// root is not there, as far as anybody is told.
func outcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Stored
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return DiskFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return ReadOnly
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return NoFiles
	case errors.Is(err, syscall.EEXIST), errors.Is(err, syscall.EISDIR):
		return Exists
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return NoParent
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL), isEscape(err):
		return BadPath
	}
	return DiskError
}

// isEscape reports whether os.Root has refused a path because it would leave the root: package os does
// not export that error.
func isEscape(err error) bool {
	var path *os.PathError
	return errors.As(err, &path) && strings.Contains(path.Err.Error(), "escapes from parent")
}
