package alerts

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// What a receiver says must not reach the log: it may repeat the URL, which is a secret.
func TestReceiverThatIsNoneIsNotQuoted(t *testing.T) {
	for name, say := range map[string]string{
		"an echo":                 "%s",
		"no status":               "HTTP/1.1 %[1]s\r\n\r\n",
		"a bad field":             "HTTP/1.1 200 OK\r\n%[1]s\r\n\r\n",
		"a bad length":            "HTTP/1.1 200 OK\r\nContent-Length: %[1]s\r\n\r\n",
		"a bad transfer encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: %[1]s\r\n\r\n",
		"a bad redirect":          "HTTP/1.1 302 Found\r\nLocation: http://%%zz%[1]s\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				line, _ := bufio.NewReader(c).ReadString('\n')
				fmt.Fprintf(c, say, line)
			}()
			all, err := Test(Config{URLs: []string{"http://" + l.Addr().String() + "/T0-secret"}})
			if err != nil || all[0].Err == nil {
				t.Fatal(all, err)
			}
			if text := all[0].Err.Error(); strings.Contains(text, "secret") {
				t.Errorf("it says %s", text)
			}
		})
	}
}
