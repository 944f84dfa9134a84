package main

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"weir/engine/service/relay"
	"weir/internal/events"
)

// TestServersDoNotForgeTheLog has a certificate's name, which is the server's to choose, in what is told.
func TestServersDoNotForgeTheLog(t *testing.T) {
	core, seen := observer.New(zap.DebugLevel)
	tellUpstream(zap.New(core), "l", relay.Change{Server: "a:1", Why: "certificate is valid for \x1b[2J\r\nb"})
	all := seen.All()
	if len(all) != 1 {
		t.Fatalf("%d lines", len(all))
	}
	got := all[0].ContextMap()
	if got["why"] != `certificate is valid for \x1b[2J\r\nb` || got["event"] != events.UpstreamDown || got["server"] != "a:1" {
		t.Errorf("got %v", got)
	}
}

// TestServersThatAreNotFoundAreNamed has names of to=sni among them, which the metrics call all the same.
func TestServersThatAreNotFoundAreNamed(t *testing.T) {
	clean(t)
	s := mustResolve(t, "-listen", "tls-passthrough://127.0.0.1:8443?to=sni&names=b.invalid,localhost,*.c.invalid&name=l&sni-port=443",
		"-listen", "tls-passthrough://127.0.0.1:8444?to=sni&names=localhost&sni-private=1&name=m&sni-port=443", "-listen", "tcp://127.0.0.1:8445?to=d.invalid:1&name=n")
	core, seen := observer.New(zap.DebugLevel)
	all, err := openPools(s, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer all.close()
	var got []string
	for _, line := range seen.All() {
		m := line.ContextMap()
		got = append(got, fmt.Sprintf("%v %v: %v", m["listener"], m["server"], m["why"]))
	}
	const again = "; it is looked up again every second"
	const leftOut = ": its name is not found, or only at addresses that to=sni leaves out" + again
	want := []string{"l b.invalid:443" + leftOut, "l localhost:443" + leftOut, "n d.invalid:1: its name is not found" + again}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
