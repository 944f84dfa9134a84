package files

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"weir/engine"
)

// framed is a client of the frame protocol, written from docs/protocols.md.
type client struct {
	t  testing.TB
	c  net.Conn
	br *bufio.Reader
}

func (r *rig) framed() *client {
	c := r.dial()
	return &client{r.t, c, bufio.NewReader(c)}
}

func frame(payload string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(payload)))) + payload
}

func (k *client) send(payload string) {
	k.t.Helper()
	if _, err := io.WriteString(k.c, frame(payload)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *client) next() string {
	k.t.Helper()
	s, err := k.read()
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

func (k *client) read() (string, error) {
	var head [4]byte
	if _, err := io.ReadFull(k.br, head[:]); err != nil {
		return "", err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(k.br, b)
	return string(b), err
}

func (k *client) ask(request string) string { k.t.Helper(); k.send(request); return k.next() }

// get asks for a file, and returns what OK says, the data and what END says.
func (k *client) get(request string) (ok, data, end string) {
	k.t.Helper()
	if ok = k.ask(request); !strings.HasPrefix(ok, "OK ") {
		return ok, "", ""
	}
	var b strings.Builder
	for {
		s := k.next()
		if s[0] != dataMark {
			return ok, b.String(), s
		}
		if len(s) > mostFrame {
			k.t.Fatalf("a frame of %d", len(s))
		}
		b.WriteString(s[1:])
	}
}

// put stores a body, in pieces, and returns the last answer.
func (k *client) put(request, body string, piece int) string {
	k.t.Helper()
	if a := k.ask(request); !strings.HasPrefix(a, "SEND ") {
		return a
	}
	for len(body) > 0 {
		n := min(piece, len(body))
		k.send("\x00" + body[:n])
		body = body[n:]
	}
	return k.next()
}

func frames(t testing.TB, u Uploads, tree map[string]string, change func(*engine.Config)) *rig {
	t.Helper()
	dir := t.TempDir()
	u.Dir = dir
	return start(t, Config{Dir: dir, MaxFrame: 1 << 20, Uploads: u}, tree, func(c *engine.Config) {
		c.Listeners[0].MaxIn = 1 << 20
		if change != nil {
			change(c)
		}
	})
}

func TestFrames(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*engine.Config){"plain": nil, "TLS": overTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := frames(t, Uploads{}, map[string]string{"d/": "", "a b%41.txt": "hello", "empty": ""}, change)
			k := r.framed()
			for _, c := range []struct{ ask, want string }{
				{"STAT /", "OK directory"}, {"STAT /d", "OK directory"}, {"STAT /d/", "OK directory"},
				{"STAT /a b%41.txt", fmt.Sprintf("OK file 5 %d ", old.UnixNano())},
				{"STAT /none", "ERR 404 "}, {"GET /d", "ERR 403 "}, {"GET /", "ERR 403 "}, {"GET /a b%41.txt/", "ERR 404 "},
				{"GET 6 /a b%41.txt", "ERR 416 "}, {"GET -1 /a b%41.txt", "ERR 400 "}, {"GET 1 2 3 /a b%41.txt", "ERR 400 "}, {"GET sha256 1 /a b%41.txt", "ERR 400 "},
				{"GET", "ERR 400 "}, {"GET x", "ERR 400 "}, {"LIST /", "ERR 400 "}, {"get /", "ERR 400 "}, {"GET/a", "ERR 400 "}, {"GET 1/a", "ERR 400 "},
				{"GET /../x", "ERR 400 "}, {"GET /.git", "ERR 404 "}, {"GET /" + strings.Repeat("x/", 3000), "ERR 414 "},
				{"PUT /x", "ERR 400 "}, {"PUT 1 x /x", "ERR 400 "}, {"PUT 1 sha256=00 /x", "ERR 400 "}, {"PUT 1 sha256=" + strings.Repeat("g", 64) + " /x", "ERR 400 "},
				{"PUT 1 replace /x", "ERR 409 "}, {"PUT 1 /d", "ERR 409 "}, {"PUT 1 /d/", "ERR 409 "}, {"PUT 1 /none/x", "ERR 409 "}, {"PUT 1 /empty", "ERR 409 "},
				{"\x00stray data", ""}, {"STAT /none", "ERR 404 "},
			} {
				if k.send(c.ask); c.want == "" {
					continue
				}
				if a := k.next(); !strings.HasPrefix(a, c.want) {
					t.Errorf("%.60q: %q, want %q", c.ask, a, c.want)
				}
			}
			for _, c := range []struct{ ask, ok, data string }{
				{"GET /a b%41.txt", "OK 5 5 ", "hello"}, {"GET 1 /a b%41.txt", "OK 4 5 ", "ello"}, {"GET 1 2 /a b%41.txt", "OK 2 5 ", "el"},
				{"GET 5 /a b%41.txt", "OK 0 5 ", ""}, {"GET 0 99999999999999999999 /a b%41.txt", "OK 5 5 ", "hello"}, {"GET /empty", "OK 0 0 ", ""},
			} {
				ok, data, end := k.get(c.ask)
				if !strings.HasPrefix(ok, c.ok) || data != c.data || end != "END" {
					t.Errorf("%s: %q %q %q", c.ask, ok, data, end)
				}
				ok, data, end = k.get(strings.Replace(c.ask, " /", " sha256 /", 1))
				if !strings.HasPrefix(ok, c.ok) || data != c.data || end != fmt.Sprintf("END sha256=%x", sha256.Sum256([]byte(c.data))) {
					t.Errorf("%s with a digest: %q %q %q", c.ask, ok, data, end)
				}
			}
			for i, size := range []int{0, 1, 5000, gatherBytes, mostTaken - 1, mostTaken, mostFrame - 1, mostFrame, 1_000_000} {
				for _, piece := range []int{3000, mostTaken - 1} {
					body := text(size)
					sum := fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
					path := fmt.Sprintf("/d/%d %d", i, piece)
					if a := k.ask("STAT " + path); !strings.HasPrefix(a, "ERR 404") {
						t.Fatal(a)
					}
					a := k.put(fmt.Sprintf("PUT %d sha256=%s if-absent %s", size, sum, path), body, piece)
					if !strings.HasPrefix(a, fmt.Sprintf("OK created %d \"", size)) || !strings.HasSuffix(a, " sha256="+sum) {
						t.Fatalf("%s: %q", path, a)
					}
					for _, hashed := range []string{"", "sha256 "} {
						ok, data, end := k.get("GET " + hashed + path)
						if !strings.HasPrefix(ok, fmt.Sprintf("OK %d %d ", size, size)) || data != body || hashed != "" && end != "END sha256="+sum {
							t.Fatalf("%s %s: %q, %d bytes, %q", hashed, path, ok, len(data), end)
						}
					}
					if ok, data, _ := k.get(fmt.Sprintf("GET %d 70000 sha256 %s", size/3, path)); data != body[size/3:min(size, size/3+70000)] {
						t.Fatalf("%s: %q, %d bytes", path, ok, len(data))
					}
				}
			}
			if left := r.left(); strings.Contains(left, tempPrefix) {
				t.Error(left)
			}
		})
	}
}

// An upload that is refused, goes wrong or is given up leaves nothing, and the connection goes on: what
// still comes of its data is no request.
func TestFramesAfterAnError(t *testing.T) {
	t.Parallel()
	r := frames(t, Uploads{Max: 500_000, Quota: 600_000}, map[string]string{"f": "old"}, nil)
	eventually(t, "ready", r.site.store.ready.Load)
	k := r.framed()
	for _, c := range []struct{ name, sent, want string }{
		{"too large", frame("PUT 500001 /g") + frame("\x00STAT /f"), "ERR 413 "},
		{"exists", frame("PUT 10 /f") + frame("\x00PUT 0 /g"), "ERR 409 "},
		{"digest", frame("PUT 3 sha256="+strings.Repeat("00", 32)+" /g") + frame("\x00abc"), "SEND 65535|ERR 400 the digest"},
		{"more than announced", frame("PUT 3 /g") + frame("\x00abcd") + frame("\x00abcd"), "SEND 65535|ERR 400 more"},
		{"given up", frame("PUT 3 /g") + frame("\x00a") + frame("STAT /f"), "SEND 65535|ERR 400 another request|OK file 3 "},
		{"given up for another", frame("PUT 3 /g") + frame("PUT 3 /f"), "SEND 65535|ERR 400 another request|ERR 409 "},
	} {
		io.WriteString(k.c, c.sent)
		for _, want := range strings.Split(c.want, "|") {
			if a := k.next(); !strings.HasPrefix(a, want) {
				t.Errorf("%s: %q, want %q", c.name, a, want)
			}
		}
		if a := k.ask("STAT /g"); !strings.HasPrefix(a, "ERR 404 ") {
			t.Errorf("%s: %q", c.name, a)
		}
	}
	// Not waiting for SEND is fine, and saves a round.
	io.WriteString(k.c, frame("PUT 6 /g")+frame("\x00abc")+frame("\x00def")+frame("GET /g"))
	for _, want := range []string{"SEND ", "OK created 6 ", "OK 6 6 ", "\x00abcdef", "END"} {
		if a := k.next(); !strings.HasPrefix(a, want) {
			t.Errorf("%q, want %q", a, want)
		}
	}
	// A frame that is too long is the end: where the next one begins is not worth knowing.
	io.WriteString(k.c, "\x00\x02\x00\x01")
	if a := k.next(); !strings.HasPrefix(a, "ERR 413 ") {
		t.Errorf("%q", a)
	}
	if a, err := k.read(); err == nil {
		t.Errorf("%q", a)
	}
	k = r.framed()
	k.send("PUT 100 /h")
	k.next()
	k.send("\x00half")
	k.c.Close()
	if left := r.left(); left != "f g" || r.site.UploadStats().Used != 2*leastCost {
		t.Error(left, r.site.UploadStats())
	}
}

func TestFramesReplace(t *testing.T) {
	t.Parallel()
	r := frames(t, Uploads{Overwrite: true}, map[string]string{"f": "old"}, nil)
	k := r.framed()
	if a := k.put("PUT 3 if-absent /f", "new", 3); !strings.HasPrefix(a, "ERR 409 ") {
		t.Error(a)
	}
	if a := k.put("PUT 3 replace /f", "new", 3); !strings.HasPrefix(a, "OK replaced 3 ") {
		t.Error(a)
	}
	if _, data, _ := k.get("GET /f"); data != "new" {
		t.Error(data)
	}
	r.left()
}

// A drip of small data frames is a slow body: it is shed, and not kept alive by each frame.
func TestFramesThatDripAreShed(t *testing.T) {
	t.Parallel()
	r := frames(t, Uploads{}, nil, func(c *engine.Config) {
		c.Listeners[0].MinRate, c.Listeners[0].MinRateGrace = 1000, 300*time.Millisecond
	})
	k := r.framed()
	if a := k.ask("PUT 100000 /f"); !strings.HasPrefix(a, "SEND") {
		t.Fatal(a)
	}
	shed := make(chan string, 1)
	go func() { a, _ := k.read(); shed <- a }()
	for {
		select {
		case a := <-shed:
			if !strings.HasPrefix(a, "ERR 408 ") {
				t.Errorf("%q", a)
			}
			if left := r.left(); left != "" {
				t.Error(left)
			}
			return
		case <-time.After(50 * time.Millisecond):
			io.WriteString(k.c, frame("\x00x"))
		}
	}
}

// Frames without data are no progress: an upload of them would hold its place for ever.
func TestFramesOfNothingAreRefused(t *testing.T) {
	t.Parallel()
	r := frames(t, Uploads{}, nil, nil)
	k := r.framed()
	if a := k.ask("PUT 10 /f"); !strings.HasPrefix(a, "SEND") {
		t.Fatal(a)
	}
	if a := k.ask("\x00"); !strings.HasPrefix(a, "ERR 400 ") {
		t.Error(a)
	}
	if a := k.ask("STAT /f"); !strings.HasPrefix(a, "ERR 404 ") {
		t.Error(a)
	}
	if left := r.left(); left != "" {
		t.Error(left)
	}
}

// A file that is cut short while it is sent with its digest ends the connection.
func TestFramesOfAFileThatShrinks(t *testing.T) {
	t.Parallel()
	for _, ask := range []string{"GET /f", "GET sha256 /f"} {
		r := frames(t, Uploads{}, map[string]string{"f": text(20 << 20)}, nil)
		k := r.framed()
		k.send(ask)
		k.next()
		k.next()
		if err := os.Truncate(r.path("f"), 1000); err != nil {
			t.Fatal(err)
		}
		for {
			a, err := k.read()
			if err != nil {
				break
			}
			if strings.HasPrefix(a, "END") {
				t.Fatalf("%s: ended as if all were there", ask)
			}
		}
	}
}
