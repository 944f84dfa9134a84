package resp_test

import (
	"fmt"

	"weir/codec"
	"weir/codec/resp"
)

func ExampleDecoder() {
	in := []byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\nPING\r\n")
	var d resp.Decoder
	for {
		u := d.Decode(in)
		in = in[u.N:]
		switch u.Kind {
		case codec.Frame:
			fmt.Printf("%s %q\n", d.Name(), u.Data)
		case codec.Part:
			fmt.Printf("  %q\n", u.Data)
		case codec.End:
			fmt.Println("  end")
		default:
			return
		}
	}
	// Output:
	// SET "*3\r\n$3\r\nSET\r\n"
	//   "$1\r\nk\r\n$5\r\nvalue\r\n"
	//   end
	// PING "PING\r\n"
}
