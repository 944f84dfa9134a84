package guard_test

import (
	"fmt"
	"net/netip"
	"time"

	"weir/guard"
	"weir/guard/mono"
)

// A server of one's own asks the guard at each step. Time is whatever the caller says it is.
func Example_library() {
	g, err := guard.New(guard.Config{MaxConns: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := g.Policy("lines", guard.Limits{
		SourceConns:     2,
		SourceFrameRate: 1, SourceFrameBurst: 3,
		IdleTimeout: 10 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	loop := g.Loop(1000)

	now := mono.Time(time.Hour)
	loop.Turn(now)
	peer := netip.MustParseAddr("192.0.2.1")
	var last guard.ID
	for range 3 {
		id, reason := loop.Admit(p, peer)
		fmt.Println("admit:", reason)
		if reason == guard.OK {
			last = id
		}
	}
	for range 4 {
		loop.Read(last, 20)
		fmt.Println("frame:", loop.Frame(last).Label())
	}
	loop.Phase(last, guard.Idle)

	loop.Turn(now.Add(15 * time.Second))
	loop.Expire(100, func(id guard.ID, r guard.Reason) {
		fmt.Println("expired:", r)
		loop.Gone(id)
	})
	fmt.Println("open:", g.Open())
	// Output:
	// admit: admitted
	// admit: admitted
	// admit: too many connections from one source
	// frame: ok
	// frame: ok
	// frame: ok
	// frame: source-frames
	// expired: nothing was sent for too long
	// open: 1
}

// A caller that may be asked to wait reads no further until then.
func ExampleLoop_Read() {
	g, _ := guard.New(guard.Config{MaxConns: 10})
	p, _ := g.Policy("uploads", guard.Limits{ConnByteRate: 1000, ConnByteBurst: 4000})
	loop := g.Loop(10)
	loop.Turn(mono.Time(time.Hour))
	id, _ := loop.Admit(p, netip.MustParseAddr("2001:db8::1"))
	v := loop.Read(id, 5000)
	fmt.Println(v.Reason.Label(), v.Wait.Round(time.Millisecond))
	// Output: conn-bytes 1s
}
