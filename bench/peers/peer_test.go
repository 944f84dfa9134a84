package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestServersAcceptTheirConfigurations asks each installed server to check what it would be started with.
func TestServersAcceptTheirConfigurations(t *testing.T) {
	certs := t.TempDir()
	if err := certificate(certs); err != nil {
		t.Fatal(err)
	}
	check := map[string]func(config, dir string) []string{
		"nginx":      func(config, dir string) []string { return []string{"-t", "-c", config, "-e", "/dev/null", "-p", dir} },
		"nginx-bare": func(config, dir string) []string { return []string{"-t", "-c", config, "-e", "/dev/null", "-p", dir} },
		"haproxy":    func(config, dir string) []string { return []string{"-c", "-f", config} },
		"caddy": func(config, dir string) []string {
			return []string{"validate", "--config", config, "--adapter", "caddyfile"}
		},
	}
	for _, p := range peers {
		if p.config == "" {
			continue
		}
		args := check[p.name]
		if args == nil {
			t.Errorf("%s has a configuration that nothing checks", p.name)
			continue
		}
		for _, m := range p.modes {
			for _, scheme := range p.schemes {
				t.Run(p.name+" "+string(m)+" "+scheme, func(t *testing.T) {
					path, err := p.find("")
					if err != nil {
						t.Skip(err)
					}
					if why := p.does(scheme, m); why != "" {
						t.Skip(why)
					}
					port, err := freePort()
					if err != nil {
						t.Fatal(err)
					}
					// Not TempDir: the path of a unix socket has 107 bytes at most.
					dir, err := os.MkdirTemp("", "peer")
					if err != nil {
						t.Fatal(err)
					}
					defer os.RemoveAll(dir)
					if err := writeLarge(dir); err != nil {
						t.Fatal(err)
					}
					config, err := p.configure(order{Mode: m, Scheme: scheme, Port: port, Dir: dir, Module: streamModule(),
						Cert: filepath.Join(certs, "cert.pem"), Key: filepath.Join(certs, "key.pem"), Pem: filepath.Join(certs, "both.pem")}.limits())
					if err != nil {
						t.Fatal(err)
					}
					cmd := exec.Command(path, args(config, dir)...)
					cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
				})
			}
		}
	}
}

func TestWhatAPeerCannotDoHasAReason(t *testing.T) {
	for _, m := range measures {
		for _, name := range m.peers {
			found := false
			for _, p := range peers {
				if p.name != name {
					continue
				}
				found = true
				o, why := p.choose(m.want)
				if why == "" && (o.Mode == "" || o.Scheme == "") {
					t.Errorf("%s: %s gets order %+v without a reason", m.name, name, o)
				}
			}
			if !found {
				t.Errorf("%s: no peer %q", m.name, name)
			}
		}
	}
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	for _, line := range []string{"-what nothing", "-peers weir,none", "-attacks none", "-rounds 0", "-siege-rounds 101", "-for 1ms", "-idle-conns 0", "more", "-nothing"} {
		var out strings.Builder
		if _, err := parse(strings.Fields(line), &out); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}

func TestWhatWrkPrints(t *testing.T) {
	w, err := parseWrk("Running 4s test\n  2 threads\n  367022 requests in 4.10s, 45.50MB read\nRequests/sec:  89517.56\n")
	if err != nil || w.units != 367022 || w.took.Milliseconds() != 4100 {
		t.Errorf("%+v, %v", w, err)
	}
	for why, out := range map[string]string{"nothing": "", "refused": "  10 requests in 1.00s, 1KB read\n  Non-2xx or 3xx responses: 3\n"} {
		if _, err := parseWrk(out); err == nil {
			t.Errorf("%s: no error", why)
		}
	}
}
