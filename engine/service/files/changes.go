package files

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"
)

// changeTable is where what has been stored is told, so that the answer to the next request is the new file and
// not what was found a moment before. It holds for paths by their hash: another one that shares it is
// looked at once more than it need be.
type changeTable struct {
	seed  maphash.Seed
	slots [256]atomic.Uint64
}

// changes is how often something was stored at the path behind a key, or at one that shares its place.
//
// hot: 0 allocs; 0 for a site that takes nothing
func (s *Site) changes(key []byte) uint64 {
	if s.store == nil || !s.store.shared {
		return 0
	}
	if len(key) > 2 && key[1] == 0 { // a compressed form
		key = key[2:]
	}
	return s.told.slots[maphash.Bytes(s.told.seed, bytes.TrimSuffix(key, slash))%256].Load()
}

var slash = []byte{'/'}

// changed tells that something was stored at a path: it may also be the index of its directory, or the
// compressed form of another file. Any goroutine.
func (s *Site) changed(key []byte) {
	tell := func(key []byte) {
		s.told.slots[maphash.Bytes(s.told.seed, bytes.TrimSuffix(key, slash))%256].Add(1)
	}
	tell(key)
	for _, e := range allEncodings {
		if of, ok := bytes.CutSuffix(key, []byte(e.suffix())); ok {
			tell(of)
			key = of
		}
	}
	if at := bytes.LastIndexByte(key, '/') + 1; s.cfg.Index != "" && string(key[at:]) == s.cfg.Index {
		tell(key[:at])
	}
}
