package certs

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// told collects what a store tells.
type told struct {
	mu   sync.Mutex
	list []string
}

func (l *told) tell(c Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.Join(c.Info.Names, " ")
	if c.ClientCA {
		text = "CA " + text
	}
	if c.Err != nil {
		text = "not " + filepath.Base(c.Info.Source) + ": " + c.Err.Error()
	}
	l.list = append(l.list, text)
}

// all returns what was told, and forgets it.
func (l *told) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.list
	l.list = nil
	return list
}

func TestReload(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	var log told
	p := ca.issue(t, "P-256", time.Hour, "v1.example").pairIn(t, dir, "a")
	q := ca.issue(t, "P-256", time.Hour, "other.example").pairIn(t, dir, "b")
	s := open(t, Config{Pairs: []Pair{p, q}, Tell: log.tell})
	get := policy(t, s, Policy{})
	serves := func(want, why string) {
		t.Helper()
		if got := handshake(t, get(), asks("")).got(); got != want {
			t.Errorf("serves %s, want %s: %s", got, want, why)
		}
	}
	// look is one of the looks that come every 2 s, and what is to be told of it.
	look := func(why string, want ...string) {
		t.Helper()
		_, _ = s.look(false)
		got := log.all()
		if len(got) != len(want) {
			t.Fatalf("told %q, want %q: %s", got, want, why)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("told %q, want %q: %s", got[i], want[i], why)
			}
		}
	}
	before := get()
	look("nothing has changed")

	v2 := ca.issue(t, "P-256", time.Hour, "v2.example")
	put(t, p.Key, v2.keyPEM(t))
	look("the key is there first: wait for the certificate")
	serves("v1.example", "meanwhile")
	put(t, p.Cert, v2.certPEM())
	look("and now both", "v2.example")
	serves("v2.example", "both")
	look("once")

	v3 := ca.issue(t, "P-256", time.Hour, "v3.example")
	put(t, p.Cert, v3.certPEM())
	look("half of it")
	look("is told when it stays", "not a.pem: key "+p.Key+": does not belong to the certificate in "+p.Cert)
	look("once")
	if changed, err := s.Reload(); changed || err == nil || len(log.all()) != 1 {
		t.Errorf("who asks is told again: %v, %v", changed, err)
	}
	serves("v2.example", "what was there stays")
	put(t, p.Cert, []byte("-----BEGIN CERTIFICATE-----\nrubbish"))
	look("another content")
	look("is told of again", "holds no whole PEM certificate")
	put(t, p.Cert, v3.certPEM())
	put(t, p.Key, v3.keyPEM(t))
	look("repaired", "v3.example")
	serves("v3.example", "repaired")

	put(t, p.Cert, []byte("rubbish"))
	look("broken")
	put(t, p.Cert, v3.certPEM())
	look("and what it was again: nothing to tell")
	look("nor later")

	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	look("gone for a moment")
	s.pairs[0].again = false // as if the files had not been touched for long
	look("and for longer", "there is no such file")
	put(t, p.Key, v3.keyPEM(t))
	look("back")

	if changed, err := s.Reload(); changed || err != nil || len(log.all()) != 0 {
		t.Errorf("nothing new: %v, %v", changed, err)
	}
	// Two good pairs and a bad one: each stands for itself.
	v4 := ca.issue(t, "P-256", time.Hour, "v4.example")
	put(t, p.Cert, v4.certPEM())
	put(t, p.Key, v4.keyPEM(t))
	put(t, q.Key, v4.keyPEM(t))
	changed, err := s.Reload()
	if !changed || err == nil || !strings.Contains(err.Error(), q.Key) || strings.Contains(err.Error(), p.Key) {
		t.Errorf("one good, one bad: %v, %v", changed, err)
	}
	serves("v4.example", "the good one")
	if got := log.all(); len(got) != 2 {
		t.Errorf("told %q", got)
	}
	if get() != before {
		t.Error("a new certificate brings a new configuration: tickets would be lost")
	}
	if got := s.Info(); got[0].Names[0] != "v4.example" || got[0].Source != p.Cert || got[1].Names[0] != "other.example" {
		t.Errorf("info: %+v", got)
	}
}

// A write that leaves time and size as they were, within the grain of the file system's clock, shows
// all the same.
func TestAWriteWithinTheClocksGrain(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	p := ca.issue(t, "Ed25519", time.Hour, "v1.example").pairIn(t, dir, "a")
	both := func(l leaf) []byte { return append(l.certPEM(), l.keyPEM(t)...) }
	p.Key = p.Cert
	content := both(ca.issue(t, "Ed25519", time.Hour, "v1.example"))
	put(t, p.Cert, content)
	s := open(t, Config{Pairs: []Pair{p}})
	at := time.Now()
	next := both(ca.issue(t, "Ed25519", time.Hour, "v2.example"))
	put(t, p.Cert, next)
	if err := os.Chtimes(p.Cert, at, at); err != nil {
		t.Fatal(err)
	}
	s.pairs[0].stamps = s.pairs[0].stampsNow() // as if the clock had stood
	if changed, err := s.look(false); !changed || err != nil {
		t.Errorf("not seen: %v", err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(p.Cert, old, old); err != nil {
		t.Fatal(err)
	}
	if st := stampOf(p.Cert); st.fresh(time.Now().Add(grain)) {
		t.Error("a file that was changed a while ago need not be read at each look")
	}
}

// Kubernetes mounts a secret as links to ..data/file, and turns ..data to a new directory.
func TestALinkTurnedToANewDirectory(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	volume := func(name string, l leaf) {
		t.Helper()
		sub := filepath.Join(dir, name)
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		l.pairIn(t, sub, "tls")
	}
	volume("..1", ca.issue(t, "P-256", time.Hour, "v1.example"))
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/tls.pem", "tls.pem")
	link("..data/tls.key", "tls.key")
	var log told
	s := open(t, Config{Pairs: []Pair{{filepath.Join(dir, "tls.pem"), filepath.Join(dir, "tls.key")}}, Tell: log.tell})

	volume("..2", ca.issue(t, "P-256", time.Hour, "v2.example"))
	link("..2", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	s.pairs[0].again = false // the stamps alone must show it
	if changed, err := s.look(false); !changed || err != nil {
		t.Errorf("not seen: %v", err)
	}
	if got := log.all(); !slices.Equal(got, []string{"v2.example"}) {
		t.Errorf("told %q", got)
	}
}

func TestFilesAreLookedAtInTheBackground(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	p := ca.issue(t, "P-256", time.Hour, "v1.example").pairIn(t, dir, "a")
	seen := make(chan Change, 10)
	s := open(t, Config{Pairs: []Pair{p}, Every: 5 * time.Millisecond, Tell: func(c Change) { seen <- c }})
	v2 := ca.issue(t, "P-256", time.Hour, "v2.example")
	put(t, p.Cert, v2.certPEM())
	put(t, p.Key, v2.keyPEM(t))
	for begin := time.Now(); ; {
		select {
		case c := <-seen:
			if c.Err == nil && c.Info.Names[0] == "v2.example" {
				s.Close()
				s.Close() // twice does no harm
				return
			}
		case <-time.After(time.Until(begin.Add(30 * time.Second))):
			t.Fatal("not seen")
		}
	}
}

// Handshakes go on while certificates change under them, each with one whole certificate or another.
func TestHandshakesDuringReloads(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	var versions []leaf
	for i := range 4 {
		versions = append(versions, ca.issue(t, "P-256", time.Hour, "a.example", fmt.Sprintf("v%d.example", i)))
	}
	p := versions[0].pairIn(t, dir, "a")
	caFile := filepath.Join(dir, "ca.pem")
	put(t, caFile, ca.pem())
	s := open(t, Config{Pairs: []Pair{p}, ClientCA: caFile, Every: time.Millisecond})
	get := policy(t, s, Policy{ClientAuth: tls.VerifyClientCertIfGiven})

	stop := make(chan struct{})
	var busy sync.WaitGroup
	for range 4 {
		busy.Go(func() {
			client := &tls.Config{ServerName: "a.example", RootCAs: ca.pool, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			for {
				select {
				case <-stop:
					return
				default:
					if o := handshake(t, get(), client); o.clientErr != nil || o.serverErr != nil {
						t.Errorf("%v, %v", o.clientErr, o.serverErr)
						return
					}
				}
			}
		})
	}
	changes := 0
	for i := range 40 {
		v := versions[i%len(versions)]
		put(t, p.Cert, v.certPEM())
		put(t, p.Key, v.keyPEM(t))
		if i%10 == 9 {
			put(t, caFile, append(ca.pem(), newAuthority(t, "another").pem()...))
		}
		if changed, err := s.Reload(); err != nil {
			t.Error(err)
		} else if changed {
			changes++
		}
		_, _ = s.Info(), get()
		time.Sleep(2 * time.Millisecond)
	}
	close(stop)
	busy.Wait()
	if changes == 0 && s.Info()[0].Names[1] == "v0.example" {
		t.Error("nothing was reloaded")
	}
}
