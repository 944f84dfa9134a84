package http1_test

import (
	"fmt"

	"weir/codec"
	"weir/codec/http1"
)

// A request and its body arrive; the loop's Request is good until the next Decode.
func ExampleDecoder() {
	request := http1.NewRequest(http1.Limits{MaxBody: 1 << 20})
	d := http1.NewDecoder(request)
	received := []byte("POST /notes?lang=en HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello")
	for {
		u := d.Decode(received)
		switch u.Kind {
		case codec.Frame:
			agent, found := request.Get("user-agent")
			fmt.Printf("%s %s %s\n", request.Method(), request.Path(), request.Query())
			fmt.Printf("%q %v, %d bytes follow\n", agent, found, request.ContentLength)
		case codec.Part:
			fmt.Printf("part %s\n", u.Data)
		case codec.End:
			fmt.Println("end")
		default:
			return
		}
		received = received[u.N:]
	}
	// Output:
	// POST /notes lang=en
	// "" false, 5 bytes follow
	// part hello
	// end
}

// A request that two servers could read in two ways is refused with the answer for it.
func ExampleStatus() {
	d := http1.NewDecoder(http1.NewRequest(http1.Limits{}))
	u := d.Decode([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"))
	fmt.Println(u.Fault.Label(), http1.Status(u.Fault))
	fmt.Printf("%q\n", http1.AppendError(nil, http1.ErrorReply{Status: http1.Status(u.Fault)}))
	// Output:
	// length-conflict 400
	// "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 16\r\nConnection: close\r\n\r\n400 Bad Request\n"
}

// A field is added between the start of the head and the empty line.
func ExampleAppendField() {
	out := http1.AppendStart(nil, http1.Head{Status: 302})
	out, ok := http1.AppendField(out, "Location", "/elsewhere")
	out = append(out, "\r\n"...)
	fmt.Printf("%q %v\n", out, ok)
	_, ok = http1.AppendField(nil, "Location", "/\r\nSet-Cookie: stolen=1")
	fmt.Println(ok)
	// Output:
	// "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /elsewhere\r\n\r\n" true
	// false
}
