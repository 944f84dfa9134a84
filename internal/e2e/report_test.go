package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/internal/lab"
)

// browser is headless chromium whose only way out is a proxy of the test's, which notes who was asked for and
// answers nobody.
type browser struct {
	path, proxy string
	mu          sync.Mutex
	asked       []string // hosts
}

func openBrowser(t *testing.T) *browser {
	t.Helper()
	b := &browser{path: lab.Need(t, "chromium")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.proxy = l.Addr().String()
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { b.note(c) })
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return b
}

func (b *browser) note(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r.Host)
}

// fetched returns the hosts that were asked for since the last call, but for those that the browser asks for
// of itself, whatever it shows.
func (b *browser) fetched() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, host := range b.asked {
		name, _, _ := strings.Cut(host, ":")
		if !strings.HasSuffix(name, ".google.com") && !strings.HasSuffix(name, ".googleapis.com") && !strings.HasSuffix(name, ".gvt1.com") {
			out = append(out, host)
		}
	}
	b.asked = nil
	return out
}

// show opens a file and returns what the browser prints.
func (b *browser) show(t *testing.T, file string, flags ...string) string {
	t.Helper()
	// Not t.TempDir: a helper of the browser may still write there, which costs a folder and not the test.
	profile, err := os.MkdirTemp("", "weir-browser")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(profile)
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-quic",
		"--no-first-run", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + profile,
		"--proxy-server=http://" + b.proxy, "--proxy-bypass-list=<-loopback>"}, flags...)
	cmd := exec.Command(b.path, append(args, "file://"+file)...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its helpers go with it
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	late := time.AfterFunc(3*time.Minute, kill) // its first start on a machine is slow
	defer late.Stop()
	err = cmd.Wait()
	kill()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("chromium: %v\n%s", err, complaints.String())
	}
	return out.String()
}

// TestReportInABrowser: the page of a siege of the real server, drawn by siege and again by report, opens without a
// network and has its plots.
func TestReportInABrowser(t *testing.T) {
	b := openBrowser(t)
	s := lab.Start(t, nil)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	args := []string{"siege", "-target", "http://" + s.HTTP + "/", "-attack", "connection-flood?sources=50&total=5000", "-rate", "100", "-newcomers", "20",
		"-before", "1500ms", "-during", "2s", "-after", "1500ms", "-metrics", "http://" + s.Admin + "/metrics", "-pid", fmt.Sprint(s.PID),
		"-json", at("run.json"), "-html", at("siege.html")}
	for _, args := range [][]string{args, {"report", at("run.json"), "-html", at("report.html")}} {
		if out, err := exec.Command(lab.Command(t, "bench"), args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	one, err1 := os.ReadFile(at("siege.html"))
	two, err2 := os.ReadFile(at("report.html"))
	if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
		t.Fatalf("siege and report draw different pages (%v, %v)", err1, err2)
	}

	dom := b.show(t, at("siege.html"), "--dump-dom")
	for _, id := range []string{"good-latency", "good-goodput", "new-latency", "new-goodput", "sheds", "server-cpu", "server-memory", "attackers", "cost"} {
		svg := regexp.MustCompile(`(?s)<svg id="` + id + `".*?</svg>`).FindString(dom)
		if svg == "" || !strings.Contains(svg, "<title id=") || !strings.Contains(svg, "<desc id=") || !strings.Contains(svg, ` d="M`) && id != "cost" {
			t.Errorf("the plot %s is not there, or empty: %s", id, svg)
		}
	}
	for _, w := range []string{"bench siege -target", filepath.Base(lab.Command(t, "server")) + " -listen", "net.core.somaxconn"} {
		if !strings.Contains(dom, w) {
			t.Errorf("no %q in the page", w)
		}
	}
	light, dark := b.picture(t, at("siege.html")), b.picture(t, at("siege.html"), "--blink-settings=preferredColorScheme=0")
	if l, d := corner(light), corner(dark); l < 0xe000 || d > 0x3000 {
		t.Errorf("the ground is of brightness %#x, and in the dark %#x", l, d)
	}
	if n := colours(light); n < 20 {
		t.Errorf("only %d colours: nothing was drawn", n)
	}
	if hosts := b.fetched(); len(hosts) != 0 {
		t.Errorf("the page asked for %q", hosts)
	}

	// And a page that does fetch is noticed.
	if err := os.WriteFile(at("needy.html"), []byte(`<img src="http://weir.test/a.png">`), 0o600); err != nil {
		t.Fatal(err)
	}
	b.show(t, at("needy.html"), "--dump-dom")
	if hosts := slices.Compact(b.fetched()); len(hosts) != 1 || hosts[0] != "weir.test" { // it may ask again
		t.Errorf("of a page that asks for a picture at weir.test the test saw %q", hosts)
	}
}

// picture returns what the page looks like on a phone.
func (b *browser) picture(t *testing.T, file string, flags ...string) image.Image {
	t.Helper()
	shot := filepath.Join(t.TempDir(), "page.png")
	b.show(t, file, append(flags, "--window-size=500,1800", "--screenshot="+shot)...)
	f, err := os.Open(shot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// corner is the green of the picture's first pixel, 0 to 0xffff.
func corner(img image.Image) uint32 {
	_, g, _, _ := img.At(img.Bounds().Min.X, img.Bounds().Min.Y).RGBA()
	return g
}

func colours(img image.Image) int {
	seen := map[[3]uint32]bool{}
	r := img.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y += 2 {
		for x := r.Min.X; x < r.Max.X; x += 2 {
			r, g, b, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r, g, b}] = true
		}
	}
	return len(seen)
}
