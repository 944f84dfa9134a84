package acme

import (
	"crypto/x509"
	"math/rand/v2"
	"time"
)

// When a certificate is renewed if the CA does not say.
const (
	lastPart      = 3                   // when a third of its life is left
	shortLife     = 10 * 24 * time.Hour // of less than this
	lastPartShort = 2                   // half of it
	spread        = 20                  // up to a twentieth of its life earlier, so that not all come at once
)

// When the CA is asked for its renewal information: as it says, within these bounds.
const (
	askEvery = 6 * time.Hour // when it does not say
	askMin   = 10 * time.Minute
	askMax   = 24 * time.Hour
)

// restAfter is before when a certificate that was just obtained is not renewed: a CA that always says
// "now" would be asked without end.
func restAfter(leaf *x509.Certificate, obtained time.Time) time.Time {
	return obtained.Add(max(time.Minute, min(12*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/10)))
}

// plan is when to do what about a certificate.
type plan struct {
	renew time.Time
	ask   time.Time // for renewal information
	start time.Time // of the window that renew is in; zero when the CA named none
	end   time.Time
}

// planFor is the plan for a certificate that the CA has not been asked about yet.
func planFor(leaf *x509.Certificate, now time.Time) plan {
	life := max(leaf.NotAfter.Sub(leaf.NotBefore), 0) // whatever the CA has written
	left := life / lastPart
	if life < shortLife {
		left = life / lastPartShort
	}
	left += rand.N(life/spread + 1)
	return plan{renew: leaf.NotAfter.Add(-left), ask: now}
}

// window is what the CA says about a certificate.
type window struct {
	start, end time.Time
	again      time.Time // when it wants to be asked again, zero when it does not say
}

// told takes what the CA has said, or that it did not answer or has no such service, and then keeps
// what was planned. A moment is chosen once for each window.
func (p plan) told(w window, err error, now time.Time) plan {
	p.ask = now.Add(askEvery)
	if !w.again.IsZero() {
		p.ask = now.Add(min(max(w.again.Sub(now), askMin), askMax))
	}
	if err != nil || !w.end.After(w.start) || w.start.Equal(p.start) && w.end.Equal(p.end) {
		return p
	}
	p.start, p.end = w.start, w.end
	p.renew = w.start.Add(rand.N(w.end.Sub(w.start)))
	return p
}

// Waits after failures. Let's Encrypt takes 5 failed validations of a name an hour: the first hour has
// 6, the second 1.
const (
	firstWait   = time.Minute
	longestWait = 6 * time.Hour
	longestLate = 48 * time.Hour // that a CA may ask for
)

// backoff is how long to wait after that many failures in a row, 1 or more: a minute, doubled each
// time up to 6 hours, and up to a tenth more; longer when the CA asks for it.
func backoff(failures int, asked time.Duration) time.Duration {
	wait := longestWait
	if failures < 10 {
		wait = min(firstWait<<(failures-1), longestWait)
	}
	wait += rand.N(wait/10 + 1)
	return max(wait, min(asked, longestLate))
}
