package watch

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"weir/bench/printable"
	"weir/bench/target"
)

const (
	// scrapeTimeout bounds one reading: under attack the page may not come at all.
	scrapeTimeout = 2 * time.Second
	// maxPageBytes bounds what is read of one page.
	maxPageBytes = 8 << 20
	// maxLabelBytes bounds the value of a label, which stands in a record once a second.
	maxLabelBytes = 80
)

// Counter reads one labelled counter from a page in the Prometheus text format.
type Counter struct {
	url    string
	name   string
	label  string
	client *http.Client
}

// NewCounter returns a reader of the counter called name, told apart by label, on the page at t. It dials the
// resolved address of t only: no proxy, no redirect, no second look-up.
func NewCounter(t target.Target, name, label string) *Counter {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		if err := target.CheckLoopback(t.Addr.Addr()); err != nil {
			return nil, err
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", t.Addr.String())
	}
	return &Counter{url: t.String(), name: name, label: label, client: &http.Client{
		Timeout: scrapeTimeout,
		// A connection for each reading: a kept one could be shed, or shield the reading from what others see.
		Transport:     &http.Transport{DialContext: dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Read returns the counter's value for each value of its label, summed over other labels. Values of the label are made
// fit for a terminal and cut to 80 bytes: the server is under attack, or an attacker's. A page without the counter gives an empty map.
func (c *Counter) Read(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics at %s: status %s", c.url, res.Status)
	}
	return parse(io.LimitReader(res.Body, maxPageBytes), c.name, c.label)
}

// parse reads one counter from a page.
func parse(page io.Reader, name, label string) (map[string]float64, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(page)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	out := make(map[string]float64)
	for _, m := range families[name].GetMetric() {
		value := m.GetCounter().GetValue() + m.GetUntyped().GetValue() + m.GetGauge().GetValue()
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				out[printable.Cut(printable.Text(l.GetValue()), maxLabelBytes)] += value
			}
		}
	}
	return out, nil
}

// Grown returns by how much each value of after exceeds that of before, at most what an int64 holds; those that did not
// grow are left out.
func Grown(before, after map[string]float64) map[string]int64 {
	out := make(map[string]int64)
	for k, v := range after {
		d := v - before[k]
		switch {
		case d >= math.MaxInt64: // what converting it gives is the machine's to say
			out[k] = math.MaxInt64
		case d >= 1:
			out[k] = int64(d)
		}
	}
	return out
}

// Sum returns a + b, at most what an int64 holds: a server may count as it likes. Neither may be negative.
func Sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
