package engine

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain fails when a test leaves descriptors or goroutines behind.
func TestMain(m *testing.M) {
	fds, routines := openFDs(), runtime.NumGoroutine()
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	for end := time.Now().Add(15 * time.Second); code == 0; time.Sleep(20 * time.Millisecond) {
		// Go's own poller opens an epoll descriptor and an eventfd with the first socket.
		if openFDs() <= fds+2 && runtime.NumGoroutine() <= routines {
			break
		}
		if time.Now().After(end) {
			fmt.Printf("left behind: descriptors %d -> %d, goroutines %d -> %d\n", fds, openFDs(), routines, runtime.NumGoroutine())
			code = 1
		}
	}
	os.Exit(code)
}

func openFDs() int {
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(e)
}
