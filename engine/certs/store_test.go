package certs

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"
)

func TestOwnCertificatesMustBeWhole(t *testing.T) {
	good := newAuthority(t, "ca").issue(t, "P-256", time.Hour, "a.example").tls()
	for _, c := range []struct {
		own  tls.Certificate
		want string
		why  string
	}{
		{tls.Certificate{}, "lacks its certificate or its key", "nothing"},
		{tls.Certificate{PrivateKey: good.PrivateKey, Leaf: good.Leaf}, "lacks its certificate or its key", "no certificate"},
		{tls.Certificate{Certificate: good.Certificate}, "lacks its certificate or its key", "no key"},
		{tls.Certificate{Certificate: [][]byte{nil}, PrivateKey: good.PrivateKey}, "malformed certificate", "an empty certificate"},
	} {
		_, err := Open(Config{Own: []tls.Certificate{good, c.own}, Every: -1})
		if err == nil || !strings.HasPrefix(err.Error(), "certificate 2 in memory: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.why, err)
		}
	}
}
