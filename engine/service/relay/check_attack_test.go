package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"weir/engine/service"
)

// TestChecksThatSeeLessThanClients: a check is a connection, and a server that takes those may still not
// speak TLS. It must neither be put back by each check, nor be told of as down without end.
func TestChecksThatSeeLessThanClients(t *testing.T) {
	for _, secure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var told []Change
			cfg := Config{To: []string{"192.0.2.1:1"}, Tell: func(c Change) { told = append(told, c) }}
			want := "[{192.0.2.1:1 false clients cannot connect: refused} {192.0.2.1:1 true }]"
			if secure {
				cfg.TLS = &tls.Config{}
				want = "[{192.0.2.1:1 false clients cannot connect: refused}]"
			}
			p, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			s := (*p.servers.Load())[0]
			for range 3 {
				s.failed(p, service.EndRefused)
			}
			p.judge(s, 0, nil)
			if p.up(s) == secure || fmt.Sprint(told) != want {
				t.Errorf("TLS %v: up %v, told %v", secure, p.up(s), told)
			}
			p.judge(s, 2, errors.New("no"))
			p.judge(s, 1, nil)
			if p.up(s) != true {
				t.Error("checks do not bring it back")
			}
		})
	}
}
