package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The conversation in docs/protocols.md is one that takes place, but for times and tags.
func TestTheConversationInTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/protocols.md")
	if err != nil {
		t.Fatal(err)
	}
	r := frames(t, Uploads{}, nil, nil)
	k := r.framed()
	loose := regexp.MustCompile(`(^OK 6 12 )\d+|"[0-9a-z]+-c"`)
	n := 0
	for line := range strings.Lines(string(page)) {
		m := regexp.MustCompile(`^    ([<>]) ((?:[0-9a-f]{2} ){4}) (?:00 "(.*)"|(.*))\n$`).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n++
		head, _ := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
		payload := m[4]
		if m[4] == "" {
			payload = "\x00" + strings.ReplaceAll(m[3], `\n`, "\n")
		}
		if int(binary.BigEndian.Uint32(head)) != len(payload) {
			t.Errorf("%s has %d (%x) bytes", line, len(payload), len(payload))
		}
		if m[1] == ">" {
			io.Copy(k.c, bytes.NewReader([]byte(frame(payload))))
			continue
		}
		got := k.next()
		if loose.ReplaceAllString(got, "") != loose.ReplaceAllString(payload, "") && !strings.HasPrefix(got, "OK 6 12 ") {
			t.Errorf("%q, and the page says %q", got, payload)
		}
	}
	if n != 11 {
		t.Errorf("%d frames", n)
	}
	for _, data := range []string{"hello world\n", "world\n"} {
		if !strings.Contains(string(page), fmt.Sprintf("sha256=%x", sha256.Sum256([]byte(data)))) {
			t.Errorf("the digest of %q", data)
		}
	}
}
