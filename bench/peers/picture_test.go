package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestPictureIsOneWholeFile(t *testing.T) {
	svg, err := example().picture()
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"weir: 100 % answered", "nginx: 0 % answered", "prefers-color-scheme: dark", `class="shade"`} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("no %q in it", want)
		}
	}
	for _, never := range []string{"<script", "href", "url(", "@import"} {
		if strings.Contains(string(svg), never) {
			t.Errorf("%q is in it: it is to need nothing else", never)
		}
	}
	if _, err := (record{}).picture(); err == nil {
		t.Error("a picture of nothing is no error")
	}
}
