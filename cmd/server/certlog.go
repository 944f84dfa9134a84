package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"weir/engine/certs"
	"weir/internal/acme"
	"weir/internal/events"
)

// certFields are what a log line tells about a certificate. Its names are one text, with spaces between,
// and escaped as all text is: what the log is cleaned by would write an array as text with brackets.
func certFields(event string, i certs.Info) []zap.Field {
	return []zap.Field{zap.String("event", event), zap.String("names", strings.Join(i.Names, " ")), zap.Time("not-after", i.NotAfter),
		zap.String("fingerprint", i.Fingerprint), zap.String("key", i.Key), zap.String("source", i.Source)}
}

// logChanges are the hooks that write what happens to log.
func logChanges(log *zap.Logger) hooks {
	return hooks{
		changed: func(c certs.Change) {
			switch {
			case c.ClientCA && c.Err != nil:
				log.Error("the client CA was not reloaded: the old one stays", append(certFields(events.ClientCAReloadFailed, c.Info), zap.Error(c.Err))...)
			case c.ClientCA:
				log.Info("the client CA was reloaded: no session that began under the old one is resumed", certFields(events.ClientCAReloaded, c.Info)...)
			case c.Err != nil:
				log.Error("a certificate was not reloaded: the old one stays", append(certFields(events.CertificateReloadFailed, c.Info), zap.Error(c.Err))...)
			default:
				log.Info("a certificate was reloaded", certFields(events.CertificateReloaded, c.Info)...)
				if len(c.Info.Names) == 0 {
					namelessWarning(c.Info).log(log)
				}
			}
		},
		acme: func(e acme.Event) {
			domain := zap.String("domain", e.Domain)
			switch e.Kind {
			case acme.Obtained:
				log.Info("the CA has issued a certificate", append(certFields(events.CertificateObtained, certs.InfoOf(e.Leaf, fromACME, time.Now())), domain)...)
			case acme.Adopted:
				log.Info("another process has obtained a certificate", append(certFields(events.CertificateObtained, certs.InfoOf(e.Leaf, fromACME, time.Now())), domain)...)
			case acme.Failed:
				fields := []zap.Field{zap.String("event", events.CertificateNotObtained), domain, zap.Error(e.Err)}
				if !e.Next.IsZero() {
					fields = append(fields, zap.Time("next-try", e.Next))
				}
				log.Warn("a certificate could not be obtained", fields...)
			case acme.Damaged:
				log.Warn("a certificate in -acme-cache cannot be used: another one is obtained", zap.String("event", events.CertificateDamaged), domain, zap.Error(e.Err))
			case acme.Agreed:
				log.Info("an account with the CA was made, and its terms agreed to", zap.String("event", events.ACMEAccount), zap.String("terms", e.Terms))
			}
		},
		steps: slog.New(zapSteps{log}),
	}
}

// zapSteps writes the steps of ACME as debug lines, whatever their level: what went wrong is told by
// an event of its own.
type zapSteps struct{ log *zap.Logger }

func (z zapSteps) Enabled(context.Context, slog.Level) bool {
	return z.log.Core().Enabled(zapcore.DebugLevel)
}

func (z zapSteps) Handle(_ context.Context, r slog.Record) error {
	fields := []zap.Field{zap.String("event", events.ACMEStep)}
	r.Attrs(func(a slog.Attr) bool {
		fields = append(fields, zap.String(a.Key, a.Value.Resolve().String()))
		return true
	})
	z.log.Debug(r.Message, fields...)
	return nil
}

func (z zapSteps) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		z.log = z.log.With(zap.String(a.Key, a.Value.Resolve().String()))
	}
	return z
}

func (z zapSteps) WithGroup(string) slog.Handler { return z }

// How often certificates are looked at for their end, and how often one is warned of.
const (
	expiryEvery = time.Hour
	expiryAgain = 24 * time.Hour
)

// expiryWatch warns of certificates that are about to end. End it with close.
type expiryWatch struct {
	log    *zap.Logger
	list   func() []watched
	warned map[string]time.Time // by fingerprint: when last

	closing sync.Once
	stop    chan struct{}
	done    chan struct{}
}

// watchExpiry looks at once, and then every hour.
func watchExpiry(log *zap.Logger, list func() []watched) *expiryWatch {
	w := &expiryWatch{log: log, list: list, warned: map[string]time.Time{}, stop: make(chan struct{}), done: make(chan struct{})}
	w.look(time.Now())
	go func() {
		defer close(w.done)
		t := time.NewTicker(expiryEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				w.look(time.Now()) // not the ticker's: a clock that was set counts
			case <-w.stop:
				return
			}
		}
	}()
	return w
}

func (w *expiryWatch) close() {
	w.closing.Do(func() { close(w.stop) })
	<-w.done
}

func (w *expiryWatch) look(now time.Time) {
	seen := map[string]time.Time{}
	for _, c := range w.list() {
		left, soon := c.Expires(now)
		if !soon {
			continue
		}
		last, was := w.warned[c.Fingerprint]
		if was && now.Sub(last) < expiryAgain {
			seen[c.Fingerprint] = last
			continue
		}
		seen[c.Fingerprint] = now
		fields := append(certFields(events.CertificateExpires, c.Info), zap.Duration("left", left.Round(time.Minute)))
		switch {
		case left < 0 && c.clientCA:
			w.log.Error("a certificate of the client CA is expired: clients that it has signed for are refused", fields...)
		case left < 0:
			w.log.Error("a certificate is expired: clients refuse it", fields...)
		case c.clientCA:
			w.log.Warn("a certificate of the client CA expires soon: renew it", fields...)
		default:
			w.log.Warn("a certificate expires soon: renew it", fields...)
		}
	}
	w.warned = seen
}
