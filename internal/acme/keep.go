package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// napMax bounds a sleep: timers stand still while a machine is suspended, and the clock may be set.
const napMax = time.Hour

// keep obtains and renews the certificate of one domain until ctx ends.
func (k *Keeper) keep(ctx context.Context, d *domain) {
	var p plan
	var of *x509.Certificate // that p is for
	var rest time.Time       // not renewed before
	failures := 0
	for ctx.Err() == nil {
		now := time.Now()
		var leaf *x509.Certificate
		if cert := d.current.Load(); cert != nil {
			leaf = cert.Leaf
		}
		if leaf != nil && leaf != of {
			p, of = planFor(leaf, now), leaf
		}
		switch {
		case leaf != nil && !now.Before(p.ask):
			w, err := k.ca.window(ctx, leaf)
			p = p.told(w, err, now)
		case leaf != nil && now.Before(later(p.renew, rest)):
			nap(ctx, earlier(later(p.renew, rest), p.ask).Sub(now))
		default:
			err := k.renew(ctx, d, leaf)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				failures = 0
				rest = restAfter(d.current.Load().Leaf, time.Now())
				continue
			}
			failures++
			wait := backoff(failures, askedWait(err, time.Now()))
			k.failed(d, err, time.Now().Add(wait))
			for until := time.Now().Add(wait); ctx.Err() == nil && time.Now().Before(until); {
				nap(ctx, time.Until(until))
			}
		}
	}
}

// renew gets a certificate in place of leaf, which is nil for the first: from the cache, where another
// process may have put one, or from the CA.
func (k *Keeper) renew(ctx context.Context, d *domain, leaf *x509.Certificate) error {
	select {
	case k.places <- struct{}{}:
		defer func() { <-k.places }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	unlock, err := k.cache.lock(ctx, d.name)
	if err != nil {
		return err
	}
	defer unlock()
	if kept, err := k.cache.load(d.name); err == nil && kept.Leaf.NotAfter.After(time.Now()) &&
		(leaf == nil || kept.Leaf.NotAfter.After(leaf.NotAfter)) {
		d.serve(kept)
		k.cfg.Tell(Event{Kind: Adopted, Domain: d.name, Leaf: kept.Leaf})
		return nil
	}
	cert, err := k.ca.obtain(ctx, d.name, leaf)
	if err != nil {
		return err
	}
	if now := time.Now(); !now.Before(cert.Leaf.NotAfter) {
		return fmt.Errorf("the CA's certificate ended at %s, and here it is %s: one of the clocks is wrong",
			cert.Leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	d.serve(cert)
	k.cfg.Tell(Event{Kind: Obtained, Domain: d.name, Leaf: cert.Leaf})
	return nil
}

func (k *Keeper) failed(d *domain, err error, next time.Time) {
	d.mu.Lock()
	d.err, d.next = err, next
	d.mu.Unlock()
	k.cfg.Tell(Event{Kind: Failed, Domain: d.name, Err: err, Next: next})
}

// laterError is an error after which the CA asks not to be tried again before a moment.
type laterError struct {
	error
	at time.Time
}

func (e *laterError) Unwrap() error { return e.error }

func askedWait(err error, now time.Time) time.Duration {
	var later *laterError
	if errors.As(err, &later) {
		return later.at.Sub(now)
	}
	return 0
}

func nap(ctx context.Context, d time.Duration) {
	t := time.NewTimer(min(d, napMax))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
