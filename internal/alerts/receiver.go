package alerts

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/internal/events"
)

// slackScheme in front of a URL asks for the form that Slack, Mattermost and others take.
const slackScheme = "slack+"

// The headers of a signed alert.
const (
	headerTime      = "Weir-Timestamp" // Unix time in seconds
	headerSignature = "Weir-Signature" // sha256=HEX of HMAC-SHA-256 over the time, a dot and the body
)

const (
	queueLen    = 64 // alerts that wait for a receiver
	tries       = 5
	firstWait   = time.Second // before the second try; twice as long before each further one
	maxWait     = time.Minute
	maxResponse = 4 << 10 // bytes of an answer that are read, so that the connection can be used again
	minSecret   = 16      // bytes
)

// receiver is one -alert-url with its queue.
type receiver struct {
	url   string // a secret
	slack bool
	name  string // what may be told of it

	queue               chan Alert
	ok, failed, dropped atomic.Uint64
}

// CheckURL says what is wrong with a receiver's URL.
func CheckURL(text string) error {
	_, err := newReceiver(text)
	return err
}

// newReceiver reads a URL. Its error does not repeat it.
func newReceiver(text string) (*receiver, error) {
	bare, slack := strings.CutPrefix(text, slackScheme)
	u, err := url.Parse(bare)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Fragment != "" {
		return nil, errors.New("must be https://HOST/..., or slack+https://HOST/... for Slack's form; http:// too, where nobody listens in")
	}
	name := u.Scheme + "://" + events.Clean(u.Host, 100)
	if slack {
		name = slackScheme + name
	}
	return &receiver{url: bare, slack: slack, name: name, queue: make(chan Alert, queueLen)}, nil
}

// sender sends alerts. Any goroutine.
type sender struct {
	client *http.Client
	secret []byte
	agent  string
	log    *zap.Logger
	stop   chan struct{} // closed: what is queued is tried once more
	ctx    context.Context
}

// newClient follows no redirects: an alert goes where the operator has said, or nowhere.
func newClient(timeout time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost, t.MaxConnsPerHost, t.MaxResponseHeaderBytes = 1, 2, 64<<10
	t.ForceAttemptHTTP2 = false
	return &http.Client{Transport: t, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// offer queues an alert, or drops it.
func (r *receiver) offer(a Alert) {
	select {
	case r.queue <- a:
	default:
		r.dropped.Add(1)
	}
}

// run delivers what is queued, until stop, and then what is there still.
func (r *receiver) run(s *sender) {
	for {
		select {
		case a := <-r.queue:
			r.deliver(s, a)
		case <-s.stop:
			for {
				select {
				case a := <-r.queue:
					r.deliver(s, a)
				default:
					return
				}
			}
		}
	}
}

// deliver tries until it has been taken, is refused for good, or has been tried often enough.
func (r *receiver) deliver(s *sender, a Alert) {
	body, err := r.body(a)
	for try := 1; err == nil; try++ {
		var again time.Duration
		if again, err = r.post(s, body); err == nil {
			r.ok.Add(1)
			return
		}
		if again < 0 || try == tries || s.stopping() {
			err = fmt.Errorf("%w (try %d)", err, try)
			break
		}
		err = nil
		s.wait(max(again, backoff(try)))
	}
	r.failed.Add(1)
	s.log.Warn("an alert could not be delivered", zap.String("event", events.AlertFailed), zap.String("receiver", r.name),
		zap.String("rule", a.Rule), zap.String("id", a.ID), zap.String("why", err.Error()))
}

func (s *sender) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// wait waits, not beyond stop.
func (s *sender) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.stop:
	}
}

// backoff is how long to wait after a try: 1 s, 2 s, 4 s ..., half of it at random, so that many
// servers do not come back at once.
func backoff(try int) time.Duration {
	d := firstWait << (try - 1)
	return d/2 + rand.N(d/2)
}

// body is an alert in the receiver's form.
func (r *receiver) body(a Alert) ([]byte, error) {
	if !r.slack {
		return json.Marshal(a)
	}
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;") // or text could mention everybody
	return json.Marshal(map[string]string{"text": escape.Replace(a.Host + ": " + a.Text)})
}

// post sends a body once. When it was not taken, again is how long to wait at least before another try,
// negative when another one would not help. The error does not repeat the URL nor what the receiver
// has said.
func (r *receiver) post(s *sender, body []byte) (again time.Duration, err error) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return -1, errors.New("its URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.agent)
	if len(s.secret) > 0 {
		at := strconv.FormatInt(time.Now().Unix(), 10)
		req.Header.Set(headerTime, at)
		req.Header.Set(headerSignature, "sha256="+sign(s.secret, at, body))
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, unquoted(err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxResponse)
	_ = resp.Body.Close()
	code := resp.StatusCode
	switch err = fmt.Errorf("it answers %d %s", code, http.StatusText(code)); {
	case code >= 200 && code < 300:
		return 0, nil
	case code >= 300 && code < 400:
		return -1, fmt.Errorf("%w, and redirects are not followed", err)
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return time.Duration(min(max(seconds, 0), int(maxWait/time.Second))) * time.Second, err
	}
	return -1, err
}

// unquoted is an error of net/http without the URL, and without what the receiver has said, which may be
// the URL again.
func unquoted(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		err = with.Err
	}
	var (
		network net.Error // timeouts too
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	if errors.As(err, &network) || errors.As(err, &cert) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
		return err
	}
	return errors.New("it, or a proxy on the way, does not answer as HTTP has it")
}

// sign is the signature of a body at a time, in hex.
func sign(secret []byte, at string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write(append(append([]byte(at), '.'), body...))
	return hex.EncodeToString(mac.Sum(nil))
}
