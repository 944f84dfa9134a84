package e2e

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"weir/internal/lab"
)

// TestMosquittoWithoutABroker has mosquitto's client be told why it is not served, in each version of the protocol.
func TestMosquittoWithoutABroker(t *testing.T) {
	pub := lab.Need(t, "mosquitto_pub")
	ports := lab.FreePorts(t, 2)
	s := lab.Start(t, nil, "-listen", "mqtt://"+ports[0]+"?to="+ports[1])
	_, port, _ := net.SplitHostPort(ports[0])
	for version, want := range map[string]string{"mqttv31": "broker unavailable", "mqttv311": "broker unavailable", "mqttv5": "Server unavailable"} {
		cmd := exec.Command(pub, "-h", "127.0.0.1", "-p", port, "-V", version, "-t", "t", "-m", "m")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(strings.ToLower(string(out)), strings.ToLower(want)) {
			t.Errorf("%s: %v, %s", version, err, out)
		}
	}
	lab.Eventually(t, patience, "all are counted", func() bool {
		m := scrape(t, s)
		return m.Shed("upstream-connect")+m.Shed("no-upstream") == 3
	})
	s.Alive(t)
}
