package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"weir/codec"
	"weir/codec/line"
	"weir/engine"
	"weir/engine/service"
	"weir/guard"
)

// shout is a service of the caller's own: it answers each line in capitals.
type shout struct{}

func (shout) Name() string            { return "shout" }
func (shout) ForLoop() service.Opener { return shout{} }
func (shout) Open(service.Conn) service.Session {
	return &session{Decoder: line.Decoder{Max: 1000}}
}

type session struct{ line.Decoder }

func (s *session) Stage() service.Stage {
	if s.Partial() {
		return service.InFrame
	}
	return service.Between
}

func (s *session) Serve(c service.Conn, u codec.Unit) int {
	for i, b := range u.Data { // the bytes are ours until Serve returns
		if 'a' <= b && b <= 'z' {
			u.Data[i] = b - 'a' + 'A'
		}
	}
	c.Write(u.Data)
	c.WriteString("!\n")
	return len(u.Data)
}

func (s *session) Refuse(c service.Conn, why service.Refusal) { c.WriteString(why.String() + "\n") }
func (s *session) Fault(c service.Conn, f codec.Fault)        { c.WriteString(f.Error() + "\n") }
func (s *session) Closed()                                    {}

func Example() {
	e, err := engine.New(engine.Config{
		Loops: 1,
		Guard: guard.DefaultConfig(),
		Listeners: []engine.Listener{{
			Name: "shout", Network: "tcp", Address: "127.0.0.1:0", Service: shout{},
			MaxIn: 1002, // the longest line and its end
			// Limits: none given, so the defaults protect it.
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := e.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer e.Stop(context.Background())

	c, err := net.Dial("tcp", e.Addrs()[0].String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprintln(c, "hello")
	answer, _ := bufio.NewReader(c).ReadString('\n')
	fmt.Print(answer)
	// Output: HELLO!
}
