package files

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A path may be 4,000 bytes long, and each byte of it six in HTML, twice: with a small -max-out the title
// gives way, and the page keeps to its room.
func TestListingOfALongPathKeepsToItsRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(Config{Dir: dir, List: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, title := range []string{"/", "/short/", "/" + strings.Repeat("''''''''/", 440)} {
		for _, room := range []int{frameRoom + 100, 1 << 10, 4 << 10, 128 << 10} {
			page := string(s.page(title, ".", room))
			if end := len("</ul>\n<p>and more: these are 4096</p>\n"); len(page) > room+end {
				t.Errorf("a title of %d in %d bytes: %d", len(title), room, len(page))
			}
			if !strings.Contains(page, "<a href=\"./a\">") {
				t.Errorf("a title of %d in %d bytes: no name: %s", len(title), room, page)
			}
		}
	}
}

// A sparse file can be of any length: what is remembered of it is not.
func TestSparseFilesAreRememberedInLittle(t *testing.T) {
	t.Parallel()
	f, err := os.Create(t.TempDir() + "/sparse")
	if err != nil {
		t.Fatal(err)
	}
	size := int64(1) << 60
	for f.Truncate(size) != nil { // as large as the file system takes
		size >>= 1
	}
	fi, _ := f.Stat()
	var open atomic.Int64
	v := newFile(f, fi, func(int) asks { return cannotAsk }, &open)
	defer func() { f.Close() }()
	for _, at := range []int64{0, size / 2 &^ (touchBytes - 1), size - touchBytes} {
		if v.cached(at, touchBytes, time.Second) != 0 {
			t.Errorf("%d: there before it was read", at)
		}
		v.saw(at, touchBytes, time.Second)
		if v.cached(at, touchBytes, time.Second) != touchBytes {
			t.Errorf("%d: read, and not there", at)
		}
	}
	if v.cached(0, touchBytes, time.Second) != 0 && size/touchBytes > seenPieces {
		t.Error("another window's pieces are remembered as this one's")
	}
	if len(v.seen) > seenPieces/64 {
		t.Errorf("%d words for a file of %d bytes", len(v.seen), size)
	}
	edge := int64(seenPieces-1) * touchBytes // across two windows
	if v.saw(edge, 2*touchBytes, time.Second); size > edge+2*touchBytes && v.cached(edge+touchBytes, touchBytes, time.Second) != touchBytes {
		t.Error("the second window's first piece is forgotten")
	}
}
