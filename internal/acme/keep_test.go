package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const day = 24 * time.Hour

// fakeCA issues certificates on a clock that tests move.
type fakeCA struct {
	t       testing.TB
	cache   cache
	life    time.Duration
	fails   int           // how many of the next orders fail
	later   time.Duration // and when the CA then wants to be asked again
	window_ func(leaf *x509.Certificate) (window, error)

	mu            sync.Mutex
	orders, asked []time.Time
	replaced      int
}

func (f *fakeCA) obtain(ctx context.Context, domain string, replaces *x509.Certificate) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = append(f.orders, time.Now())
	if replaces != nil {
		f.replaced++
	}
	if f.fails > 0 {
		f.fails--
		err := errors.New("no")
		if f.later > 0 {
			return nil, &laterError{err, time.Now().Add(f.later)}
		}
		return nil, err
	}
	content := selfSigned(f.t, domain, time.Now(), f.life)
	if err := replace(f.cache.file(domain), content); err != nil {
		return nil, err
	}
	return parse(domain, content)
}

func (f *fakeCA) window(_ context.Context, leaf *x509.Certificate) (window, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, time.Now())
	if f.window_ == nil {
		return window{}, errors.New("no opinion")
	}
	return f.window_(leaf)
}

// seen is when orders came and questions when to renew.
func (f *fakeCA) seen() (orders, asked []time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.orders), slices.Clone(f.asked)
}

func (f *fakeCA) count() int {
	orders, _ := f.seen()
	return len(orders)
}

func (f *fakeCA) questions() int {
	_, asked := f.seen()
	return len(asked)
}

// set changes what the CA does.
func (f *fakeCA) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// selfSigned is a key and a certificate, PEM.
func selfSigned(t testing.TB, domain string, from time.Time, life time.Duration) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{DNSNames: []string{domain}, NotBefore: from, NotAfter: from.Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

// keeping runs test with a keeper of a.example that is started at once.
func keeping(t *testing.T, ca *fakeCA, test func(k *Keeper)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca.t, ca.cache = t, cache{dir}
		k := newKeeper(Config{Domains: []string{"a.example"}, Tell: func(Event) {}}, ca.cache)
		k.ca = ca
		k.loadAll()
		k.Start()
		k.Start() // twice does no harm
		defer k.Close()
		test(k)
	})
}

func TestRenewedWhenAThirdIsLeft(t *testing.T) {
	for _, c := range []struct {
		life, from, to time.Duration
		why            string
	}{
		{90 * day, 90*day*2/3 - 90*day/20, 90*day*2/3 + time.Hour, "three months: a third"},
		{45 * day, 45*day*2/3 - 45*day/20, 45*day*2/3 + time.Hour, "six weeks: a third"},
		{6 * day, 3*day - 6*day/20, 3*day + time.Hour, "six days: half"},
	} {
		ca := &fakeCA{life: c.life}
		keeping(t, ca, func(k *Keeper) {
			begin := time.Now()
			time.Sleep(c.to)
			synctest.Wait()
			orders, _ := ca.seen()
			if len(orders) != 2 || ca.replaced != 1 {
				t.Fatalf("%s: %d orders, %d in place of another", c.why, len(orders), ca.replaced)
			}
			if first, second := orders[0].Sub(begin), orders[1].Sub(begin); first != 0 || second < c.from || second > c.to {
				t.Errorf("%s: after %v and %v", c.why, first, second)
			}
			if got := k.States()[0]; got.Leaf == nil || got.Leaf.NotAfter.Before(time.Now().Add(c.life/2)) || got.Err != nil {
				t.Errorf("%s: %+v", c.why, got)
			}
		})
	}
}

func TestFailuresAreTriedAgainEverMoreSeldom(t *testing.T) {
	ca := &fakeCA{life: 90 * day, fails: 100}
	keeping(t, ca, func(k *Keeper) {
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := ca.count(); n < 5 || n > 6 {
			t.Errorf("%d tries in the first hour: Let's Encrypt takes 5 and then one each 12 minutes", n)
		}
		if got := k.States()[0]; got.Err == nil || got.Leaf != nil || !got.Next.After(time.Now()) {
			t.Errorf("state: %+v", got)
		}
		time.Sleep(47 * time.Hour)
		synctest.Wait()
		if n := ca.count(); n < 12 || n > 20 {
			t.Errorf("%d tries in two days", n)
		}
		ca.set(func() { ca.fails = 0 })
		time.Sleep(7 * time.Hour)
		synctest.Wait()
		if got := k.States()[0]; got.Err != nil || got.Leaf == nil {
			t.Errorf("state: %+v", got)
		}
		// What went wrong long ago does not count when it goes wrong again.
		before := ca.count()
		ca.set(func() { ca.fails = 1 })
		time.Sleep(61 * day)
		synctest.Wait()
		orders, _ := ca.seen()
		if len(orders) != before+2 || orders[before+1].Sub(orders[before]) > 2*time.Minute {
			t.Errorf("orders at %v", orders[before:])
		}
	})
}

func TestTheCAMaySayHowLongToWait(t *testing.T) {
	ca := &fakeCA{life: 90 * day, fails: 1, later: 5 * time.Hour}
	keeping(t, ca, func(k *Keeper) {
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if orders, _ := ca.seen(); len(orders) != 2 || orders[1].Sub(orders[0]) < 5*time.Hour {
			t.Errorf("orders at %v", orders)
		}
	})
	if got := backoff(1, 300*day); got != longestLate {
		t.Errorf("but not for ever: %v", got)
	}
}

func TestTheCAMaySayWhenToRenew(t *testing.T) {
	early := window{}
	ca := &fakeCA{life: 90 * day}
	ca.window_ = func(leaf *x509.Certificate) (window, error) { return early, nil }
	keeping(t, ca, func(k *Keeper) {
		begin := time.Now()
		ca.set(func() {
			early = window{start: begin.Add(10 * day), end: begin.Add(12 * day), again: begin.Add(3 * time.Hour)}
		})
		time.Sleep(9 * day)
		synctest.Wait()
		if n := ca.count(); n != 1 {
			t.Fatalf("%d orders", n)
		}
		// The first question got the time to ask again; the others a time in the past.
		if n := ca.questions(); n < 9*24 || n > 9*24*6+2 {
			t.Errorf("asked %d times in 9 days", n)
		}
		// It is to be revoked: at once.
		ca.set(func() { early = window{start: time.Now().Add(-2 * time.Hour), end: time.Now().Add(-time.Hour)} })
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := ca.count(); n != 2 {
			t.Errorf("%d orders after the window has passed", n)
		}
		// It says so of the new one too, and of every other.
		time.Sleep(10 * day)
		synctest.Wait()
		if n := ca.count(); n > 23 {
			t.Errorf("%d orders: a CA that always says now is asked without end", n)
		}
	})
}

func TestOneMomentForEachWindow(t *testing.T) {
	now := time.Now()
	leaf := &x509.Certificate{NotBefore: now, NotAfter: now.Add(90 * day)}
	w := window{start: now.Add(50 * day), end: now.Add(52 * day)}
	p := planFor(leaf, now).told(w, nil, now)
	if p.renew.Before(w.start) || !p.renew.Before(w.end) || p.ask.Sub(now) != askEvery {
		t.Errorf("%+v", p)
	}
	for range 100 {
		if again := p.told(w, nil, now.Add(day)); again.renew != p.renew {
			t.Fatal("another moment for the same window")
		}
	}
	for _, c := range []struct {
		w   window
		err error
		why string
	}{
		{window{}, errors.New("no answer"), "no answer"},
		{window{start: w.end, end: w.start}, nil, "a window that ends before it begins"},
		{window{start: w.start, end: w.start}, nil, "an empty one"},
	} {
		if got := p.told(c.w, c.err, now); got.renew != p.renew {
			t.Errorf("%s changed the plan", c.why)
		}
	}
	if got := p.told(window{again: now.Add(-time.Hour)}, nil, now).ask.Sub(now); got != askMin {
		t.Errorf("asked again after %v", got)
	}
	if got := p.told(window{again: now.Add(300 * day)}, nil, now).ask.Sub(now); got != askMax {
		t.Errorf("asked again after %v", got)
	}
}

func TestARestartAsksNobody(t *testing.T) {
	ca := &fakeCA{life: 90 * day}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca.t, ca.cache = t, cache{dir}
		if err := replace(ca.cache.file("a.example"), selfSigned(t, "a.example", time.Now().Add(-10*day), 90*day)); err != nil {
			t.Fatal(err)
		}
		if err := replace(ca.cache.file("old.example"), selfSigned(t, "old.example", time.Now().Add(-100*day), 90*day)); err != nil {
			t.Fatal(err)
		}
		if err := replace(ca.cache.file("bad.example"), []byte("rubbish")); err != nil {
			t.Fatal(err)
		}
		if err := replace(ca.cache.file("other.example"), selfSigned(t, "a.example", time.Now(), 90*day)); err != nil {
			t.Fatal(err)
		}
		var damaged []string
		k := newKeeper(Config{Domains: []string{"a.example", "old.example", "bad.example", "other.example"}, Tell: func(e Event) {
			if e.Kind == Damaged {
				damaged = append(damaged, e.Domain)
			}
		}}, ca.cache)
		k.ca = ca
		k.loadAll()
		if strings.Join(damaged, " ") != "bad.example other.example" {
			t.Errorf("damaged: %q", damaged)
		}
		if c, err := k.Certificate(&tls.ClientHelloInfo{ServerName: "A.Example"}); c == nil || err != nil {
			t.Errorf("served at once: %v, %v", c, err)
		}
		if c, _ := k.Certificate(&tls.ClientHelloInfo{ServerName: "b.example"}); c != nil {
			t.Error("a certificate for somebody else")
		}
		k.Start()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := ca.count(); n != 3 {
			t.Errorf("%d orders: one for each of old, bad and other", n)
		}
		k.Close()
		k.Close()
	})
}

func TestAnothersCertificateIsTaken(t *testing.T) {
	ca := &fakeCA{life: 90 * day}
	keeping(t, ca, func(k *Keeper) {
		time.Sleep(50 * day)
		synctest.Wait()
		// Another process has renewed it.
		if err := replace(ca.cache.file("a.example"), selfSigned(t, "a.example", time.Now(), 90*day)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * day)
		synctest.Wait()
		if orders, _ := ca.seen(); len(orders) != 1 || k.States()[0].Leaf.NotAfter.Before(time.Now().Add(60*day)) {
			t.Errorf("%d orders, served until %v", len(orders), k.States()[0].Leaf.NotAfter)
		}
	})
}

func TestLockIsWaitedFor(t *testing.T) {
	c := cache{t.TempDir()}
	unlock, err := c.lock(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.lock(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("taken twice: %v", err)
	}
	other, err := c.lock(context.Background(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	unlock()
	again, err := c.lock(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestReplaceLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a")
	for _, content := range []string{"one", "two"} {
		if err := replace(name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := replace(filepath.Join(dir, "nosuch", "a"), nil); err == nil {
		t.Error("nowhere to write to")
	}
	if got, _ := os.ReadFile(name); string(got) != "two" {
		t.Errorf("got %q", got)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestWrongClocks(t *testing.T) {
	for _, life := range []time.Duration{-day, time.Nanosecond} {
		ca := &fakeCA{life: life} // expired when it comes
		keeping(t, ca, func(k *Keeper) {
			time.Sleep(day)
			synctest.Wait()
			if n := ca.count(); n > 16 {
				t.Errorf("%d orders in a day", n)
			}
			if got := k.States()[0]; got.Err == nil || !strings.Contains(got.Err.Error(), "one of the clocks is wrong") {
				t.Errorf("%+v", got)
			}
		})
	}
}
