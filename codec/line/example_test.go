package line_test

import (
	"fmt"

	"weir/codec"
	"weir/codec/line"
)

// Lines end in LF or CRLF; the last one here has not arrived whole.
func ExampleDecoder() {
	received := []byte("PING\r\nQUIT\nPI")
	d := line.Decoder{Max: 512}
	for {
		u := d.Decode(received)
		if u.Kind != codec.Frame {
			fmt.Println("partial", d.Partial())
			break
		}
		fmt.Printf("%s\n", u.Data)
		received = received[u.N:]
	}
	// Output:
	// PING
	// QUIT
	// partial true
}

// What a peer sent cannot become two lines when it is sent on.
func ExampleAppend() {
	out, ok := line.Append(nil, []byte("hello\r\nQUIT"))
	fmt.Println(len(out), ok)
	// Output: 0 false
}
