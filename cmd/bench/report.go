package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"weir/bench/report"
)

// report shows a record again: as tables, and as a page when one is wanted.
func (c *command) report(_ context.Context, args []string) error {
	f := c.flags("report")
	html := f.String("html", "", "draw the record of a siege or load as one self-contained page, and write it to this file")
	const synopsis = "report FILE.json [-html FILE.html]\n\nWithout -html it prints the tables."
	if err := c.flagged(f, synopsis, args); err != nil {
		return err
	}
	file := f.Arg(0)
	if file == "" {
		return usage(errors.New("report: name the file that -json wrote"))
	}
	if err := c.parse(f, synopsis, f.Args()[1:]); err != nil { // flags may stand on both sides of it
		return err
	}
	r, err := report.Read(file)
	if err != nil {
		return err
	}
	if *html != "" {
		return draw(*html, r)
	}
	c.tables(r.Result)
	return nil
}

// draw writes the page of a record to a file, whole or not at all.
func draw(file string, r report.Record) error {
	var page bytes.Buffer
	if err := report.HTML(&page, r); err != nil {
		return err
	}
	if err := report.Put(file, page.Bytes()); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// drawn writes the page of what a run came to, made from the record's JSON and nothing else, as report makes it.
func (c *command) drawn(file string, r report.Record) error {
	if file == "" {
		return nil
	}
	b, err := r.JSON()
	if err != nil {
		return err
	}
	if r, err = report.Parse(b); err != nil {
		return err
	}
	return draw(file, r)
}
