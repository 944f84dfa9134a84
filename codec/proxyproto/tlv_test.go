package proxyproto

import (
	"fmt"
	"testing"
)

func TestTLVs(t *testing.T) {
	nested := AppendTLV([]byte("\x01\x00\x00\x00\x00"), TypeSSLVersion, []byte("TLSv1.3"))
	var tlvs TLVs
	tlvs = AppendTLV(tlvs, TypeNoOp, []byte("padding"))
	tlvs = AppendTLV(tlvs, TypeALPN, []byte("h2"))
	tlvs = AppendTLV(tlvs, TypeSSL, nested)
	tlvs = AppendTLV(tlvs, 0xe0, nil)
	tlvs = AppendTLV(tlvs, TypeALPN, []byte("again"))

	got := ""
	for typ, value := range tlvs.All() {
		got += fmt.Sprintf("%x %q, ", uint8(typ), value)
		if cap(value) != len(value) {
			t.Errorf("%x: a view that can grow", typ)
		}
	}
	if want := fmt.Sprintf(`1 "h2", 20 %q, e0 "", 1 "again", `, nested); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for range tlvs.All() {
		break // must not go on
	}

	if value, ok := tlvs.Find(TypeALPN); !ok || string(value) != "h2" {
		t.Errorf("%q %v", value, ok)
	}
	if value, ok := tlvs.Find(0xe0); !ok || len(value) != 0 {
		t.Errorf("%q %v", value, ok)
	}
	if value, ok := tlvs.Find(TypeNetNS); ok || value != nil {
		t.Errorf("%q %v", value, ok)
	}
	ssl, _ := tlvs.Find(TypeSSL)
	if value, ok := TLVs(ssl[5:]).Find(TypeSSLVersion); !ok || string(value) != "TLSv1.3" {
		t.Errorf("%q %v", value, ok)
	}
}

func TestMalformedTLVsEndTheWalk(t *testing.T) {
	for _, in := range []string{"\x01\x00\x01a\x02\x00", "\x01\x00\x01a\x02", "\x01\x00\x01a\x02\x00\x02b"} {
		n := 0
		for typ, value := range TLVs(in).All() {
			if n++; typ != TypeALPN || string(value) != "a" {
				t.Errorf("%q: %x %q", in, typ, value)
			}
		}
		if _, ok := TLVs(in).Find(TypeAuthority); n != 1 || ok {
			t.Errorf("%q: %d, found %v", in, n, ok)
		}
	}
}
