package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/lab"
)

// TestRedisCommandsBehind has redis's own clients talk to it through resp://, where each command is looked at.
func TestRedisCommandsBehind(t *testing.T) {
	lab.Need(t, "redis-cli")
	lab.Need(t, "redis-benchmark")
	ports := lab.FreePorts(t, 3)
	front, limited, back := ports[0], ports[1], ports[2]
	startRedis(t, back)
	s := lab.Start(t, nil, "-listen", "resp://"+front+"?to="+back+"&max-frame=2MiB", "-listen", "resp://"+limited+"?to="+back+"&source-frame-rate=20&source-frame-burst=20", "-profile", "bench")
	_, port, _ := net.SplitHostPort(front)
	value := strings.Repeat("v", 1<<20)
	for _, c := range []struct{ args, stdin, want string }{
		{"set key hello", "", "OK"}, {"get key", "", "hello"}, {"-x set large", value, "OK"}, {"strlen large", "", fmt.Sprint(len(value))},
		{"get large", "", value}, {"-3 get key", "", "hello"},
	} {
		cmd := exec.Command("redis-cli", append([]string{"-p", port}, strings.Fields(c.args)...)...)
		cmd.Stdin = strings.NewReader(c.stdin)
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != c.want {
			t.Fatalf("redis-cli %s: %v, %.100s", c.args, err, out)
		}
	}
	if out := run(t, "redis-benchmark", "-p", port, "-n", "5000", "-c", "50", "-P", "16", "-t", "ping,set,get,lrange_100,mset", "-q"); strings.Contains(strings.ToLower(out), "error") {
		t.Fatalf("redis-benchmark: %s", out)
	}

	for why, c := range map[string]struct{ send, want string }{
		"a wrong command":    {"*1\r\n$4\r\nPINGxx", "-ERR the command is not well-formed RESP\r\n"},
		"HTTP":               {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "-ERR the command is not well-formed RESP\r\n"},
		"one that is large":  {"*2\r\n$3\r\nGET\r\n$9999999\r\n", "-ERR the frame's length is above the limit\r\n"},
		"too many arguments": {"*1048577\r\n", "-ERR the frame's length is above the limit\r\n"},
	} {
		if got := say(t, front, c.send); got != c.want {
			t.Errorf("%s: %q", why, got)
		}
	}
	// What was passed on before is not answered with words about what came behind it.
	if got := say(t, front, "PING\r\n*-1\r\n"); strings.Contains(got, "-ERR") {
		t.Errorf("a good command was answered %q", got)
	}
	// 20 commands at once, and then no more.
	got := say(t, limited, strings.Repeat("PING\r\n", 100))
	if n := strings.Count(got, "+PONG\r\n"); n > 25 {
		t.Errorf("%d of 100 commands got through a limit of 20", n)
	}
	m := scrape(t, s)
	if m.Shed("malformed") < 5 || m.Shed("source-frames") < 1 {
		t.Errorf("%v malformed, %v too many", m.Shed("malformed"), m.Shed("source-frames"))
	}
	s.Alive(t)
}

// say sends text on a connection of its own and returns what comes back until its end.
func say(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, text)
	b, _ := io.ReadAll(c)
	return string(b)
}

// TestMosquittoBehind has mosquitto's own clients talk to it through mqtt://, in all versions of the protocol.
func TestMosquittoBehind(t *testing.T) {
	mosquitto := lab.Need(t, "mosquitto")
	lab.Need(t, "mosquitto_pub")
	lab.Need(t, "mosquitto_sub")
	ports := lab.FreePorts(t, 2)
	front, back := ports[0], ports[1]
	_, backPort, _ := net.SplitHostPort(back)
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(conf, []byte("listener "+backPort+" 127.0.0.1\nallow_anonymous true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	broker := exec.Command(mosquitto, "-c", conf)
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Process.Kill(); broker.Wait() })
	lab.Eventually(t, patience, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", back)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	s := lab.Start(t, nil, "-listen", "mqtt://"+front+"?to="+back+"&max-frame=2MiB")
	_, port, _ := net.SplitHostPort(front)
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		for _, qos := range []string{"0", "1", "2"} {
			message := strings.Repeat(version+" ", 20_000) // several reads
			topic := "t/" + version + "/" + qos
			pub := exec.Command("mosquitto_pub", "-h", "127.0.0.1", "-p", port, "-V", version, "-q", qos, "-t", topic, "-r", "-s")
			pub.Stdin = strings.NewReader(message)
			if text, err := pub.CombinedOutput(); err != nil {
				t.Errorf("%s, QoS %s: mosquitto_pub: %v, %s", version, qos, err, text)
			}
			// The message is retained, so that who comes later gets it.
			got, err := exec.Command("mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-V", version, "-q", qos, "-t", topic, "-C", "1", "-W", "60").Output()
			if err != nil || string(got) != message+"\n" {
				t.Errorf("%s, QoS %s: mosquitto_sub: %v, %d bytes", version, qos, err, len(got))
			}
		}
	}
	for why, text := range map[string]string{
		"something before CONNECT": "\xc0\x00", "HTTP": "GET / HTTP/1.1\r\n\r\n",
		"a large CONNECT": "\x10\xff\xff\x7f\x00\x04MQTT\x04\x02\x00\x3c",
	} {
		if got := say(t, front, text); got != "" {
			t.Errorf("%s: %q", why, got)
		}
	}
	if m := scrape(t, s); m.Shed("malformed") != 3 {
		t.Errorf("%v malformed", m.Shed("malformed"))
	}
	s.Alive(t)
}
