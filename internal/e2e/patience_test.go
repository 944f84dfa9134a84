package e2e

import (
	"strings"
	"testing"
	"time"

	"weir/internal/lab"
)

// patience is how long a test waits for what must come to pass, be the machine as busy as it may.
const patience = time.Minute

// tries is how often something is measured before the measurement counts against the server: others use the machine too.
const tries = 4

// scrape reads the metrics, again until each loop has told its own: of one that does not come to it in time
// the last known numbers are shown.
func scrape(t testing.TB, s *lab.Server) (m lab.Metrics) {
	t.Helper()
	lab.Eventually(t, patience, "each loop tells its numbers", func() bool {
		m = s.Scrape(t)
		for series, v := range m {
			if strings.HasPrefix(series, "weir_loop_stale{") && v != 0 {
				return false
			}
		}
		return true
	})
	return m
}

// counted waits until a series of the metrics is what it should be.
func counted(t testing.TB, s *lab.Server, series string, want float64) {
	t.Helper()
	var got float64
	for end := time.Now().Add(patience / 2); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got = scrape(t, s)[series]; got == want {
			return
		}
	}
	t.Errorf("%s is %v, want %v", series, got, want)
}

// staysBelow fails the test when each of several new servers is found to need more memory than the limit. A collector
// that is late is weighed too.
func staysBelow(t *testing.T, limit int, weigh func(*testing.T) int) {
	t.Helper()
	var more int
	for range tries {
		if more = weigh(t); more <= limit || t.Failed() {
			return
		}
	}
	t.Errorf("%.1f MB more", float64(more)/1e6)
}
