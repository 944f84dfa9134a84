package http1

import (
	"slices"
	"testing"

	"weir/codec"
)

func decode(t *testing.T, in string) *Request {
	t.Helper()
	d := NewDecoder(NewRequest(Limits{}))
	if u := d.Decode([]byte(in)); u.Kind != codec.Frame {
		t.Fatalf("%q: %+v", in, u)
	}
	return d.Request()
}

func TestLookupIgnoresCaseAndFindsRepetitions(t *testing.T) {
	r := decode(t, get+"X-A: 1\r\nx-b: 2\r\nx-A: 3\r\nempty:\r\n\r\n")
	if v, ok := r.Get("x-a"); !ok || string(v) != "1" {
		t.Errorf("x-a: %q %v", v, ok)
	}
	if v, ok := r.Get("empty"); !ok || len(v) != 0 {
		t.Errorf("empty: %q %v", v, ok)
	}
	if _, ok := r.Get("x-"); ok {
		t.Error("found the beginning of a name")
	}
	var all []int
	for i := r.Next("x-a", 0); i >= 0; i = r.Next("x-a", i+1) {
		all = append(all, i)
	}
	if !slices.Equal(all, []int{1, 3}) || r.NumFields() != 5 {
		t.Errorf("x-a at %v of %d", all, r.NumFields())
	}
}

func TestFieldBeyondTheLastPanics(t *testing.T) {
	r := decode(t, get+"\r\n")
	defer func() {
		if recover() == nil {
			t.Error("a field of an earlier request was returned")
		}
	}()
	r.Field(1)
}

// A later request must not show what an earlier one said.
func TestRequestStartsAnew(t *testing.T) {
	r := NewRequest(Limits{})
	d := NewDecoder(r)
	first := []byte("HEAD http://a/p?q HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	u := d.Decode(first)
	d.Decode(first[u.N:])
	if u = d.Decode([]byte("GET / HTTP/1.0\r\n\r\n")); u.Kind != codec.Frame {
		t.Fatal(u)
	}
	if r.Head || r.Chunked || r.KeepAlive || r.Upgrade || r.ExpectContinue || r.Minor != 0 || r.ContentLength != 0 ||
		r.NumFields() != 0 || r.Host() != nil || r.Query() != nil || string(r.Path()) != "/" {
		t.Errorf("%+v", r)
	}
}

func TestViewsCannotGrowIntoEachOther(t *testing.T) {
	r := decode(t, get+"a: b\r\n\r\n")
	name, value := r.Field(1)
	if cap(name) != 1 || cap(value) != 1 || cap(r.Target()) != 1 {
		t.Error(cap(name), cap(value), cap(r.Target()))
	}
}

// TestAgain: a head that is offered later is shown as it was, wherever it is and whoever has used the
// Request since.
func TestAgain(t *testing.T) {
	r := NewRequest(Limits{})
	d := NewDecoder(r)
	head := []byte("POST /mine?q HTTP/1.1\r\nHost: mine\r\nX: y\r\nContent-Length: 3\r\n\r\n")
	if d.Decode(head).Kind != codec.Frame {
		t.Fatal("no frame")
	}
	want := describe(r)
	moved := append([]byte(nil), head...)
	for why, f := range map[string]func(){
		"nothing happened": func() {},
		"others came":      func() { disturb(r) },
		"it moved": func() {
			clear(head)
			head = moved
		},
		"others came to where it was": func() {
			was := append([]byte(nil), head...)
			copy(head, "POST /evil HTTP/1.1\r\nHost: evil\r\nContent-Length: 33\r\n\r\n        ")
			NewDecoder(r).Decode(head)
			copy(head, was)
		},
	} {
		f()
		if d.Again(head); describe(r) != want || string(r.head) != string(moved) {
			t.Errorf("%s: %s", why, describe(r))
		}
	}
	if n := testing.AllocsPerRun(100, func() { disturbing(r, head); d.Again(moved) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if u := d.Decode([]byte("abc")); u.Kind != codec.Part || string(u.Data) != "abc" {
		t.Errorf("the body: %+v", u)
	}
}

// disturbing has a decoder that is not kept fill the Request.
func disturbing(r *Request, head []byte) {
	d := Decoder{req: r}
	d.Decode(head)
}
