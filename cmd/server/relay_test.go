package main

import (
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
