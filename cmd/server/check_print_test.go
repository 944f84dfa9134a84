package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"weir/internal/posture"
)

func samplePosture(t *testing.T, args ...string) posture.Report {
	clean(t)
	s := mustResolve(t, args...)
	in := &looked{build: knownBuild, now: postureNow}
	if s.hasTLS() {
		in.certs = []watched{aCert(-80, 10, "a.example"), aCert(-90, -1, "old.example")}
	}
	return in.toJudge(s).Judge()
}

var weakServer = []string{"-listen=http://:80?name=web&source-conns=0", "-listen=https://:443", "-listen=tcp+tls://127.0.0.1:1?to=10.0.0.1:4&to-tls=1&to-insecure=1&name=relayed",
	"-cert=c", "-key=k", "-admin=:9090", "-proxy-from=::/0", "-log-level=error", "-max-buffered=0", "-idle-timeout=0"}

func TestCheckIsPrinted(t *testing.T) {
	for name, args := range map[string][]string{"check-default.txt": nil, "check-weak.txt": weakServer} {
		var out bytes.Buffer
		samplePosture(t, args...).Print(&out)
		golden(t, name, out.Bytes())
		lines := strings.Split(out.String(), "\n")
		for _, line := range lines[1:] { // the first one has the warnings
			if len(line) > 101 {
				t.Errorf("wider than 100: %s", line)
			}
		}
	}
}

func TestCheckIsPrintedAsJSON(t *testing.T) {
	var out bytes.Buffer
	samplePosture(t, weakServer...).PrintJSON(&out)
	golden(t, "check-weak.json", out.Bytes())

	var r posture.Report
	d := json.NewDecoder(bytes.NewReader(out.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != len(posture.Rows) || !r.Fails || len(r.Listeners) != 3 || r.Listeners[2].Outside || !r.Listeners[1].TLS {
		t.Errorf("reads back as %+v", r)
	}
	page, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for key, e := range v {
				if !strings.Contains(string(page), "`"+key+"`") {
					t.Errorf("%s does not name the field %s", operations, key)
				}
				walk(e)
			}
		}
	}
	walk(all)
}
