package admin

import (
	"errors"
	"net"
	"time"
)

// patient is a listener whose Accept does not give up. net/http ends its server at the first error
// that is not marked temporary, and ENOBUFS, ENOMEM, EPERM, EPROTO and ENETDOWN are not: under the
// very pressure that the page is wanted for, it would be gone.
type patient struct{ net.Listener }

// Accept waits 5 ms, doubling to 1 s, after an error, and returns only a connection or the end.
func (p patient) Accept() (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		c, err := p.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return c, err
		}
		time.Sleep(wait)
	}
}
