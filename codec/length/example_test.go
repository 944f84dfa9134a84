package length_test

import (
	"fmt"

	"weir/codec"
	"weir/codec/length"
)

// Two frames arrive in one read, and the beginning of a third.
func ExampleDecoder() {
	var received []byte
	received = length.Append(received, []byte("hello"))
	received = length.Append(received, []byte("world"))
	received = length.AppendHeader(received, 100)

	d := length.Decoder{Max: 1 << 20}
	for {
		u := d.Decode(received)
		if u.Kind != codec.Frame {
			fmt.Println("lacks", d.Lacks())
			break
		}
		fmt.Printf("%s\n", u.Data)
		received = received[u.N:]
	}
	// Output:
	// hello
	// world
	// lacks 100
}

// A length above the limit is refused from the header alone.
func ExampleDecoder_refusal() {
	d := length.Decoder{Max: 1 << 20}
	u := d.Decode([]byte{0xff, 0xff, 0xff, 0xff})
	fmt.Println(u.Kind == codec.Bad, u.Fault)
	// Output: true the frame's length is above the limit
}
