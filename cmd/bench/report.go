package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/load"
	"weir/bench/report"
)

// report shows a record again: as tables, and as a page when one is wanted.
func (c *command) report(_ context.Context, args []string) error {
	file := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		file, args = args[0], args[1:]
	}
	f := c.flags("report")
	html := f.String("html", "", "draw the record of a siege or load as one self-contained page, and write it to this file")
	if err := c.parse(f, "report FILE.json [-html FILE.html]\n\nWithout -html it prints the tables.", args); err != nil {
		return err
	}
	if file == "" {
		return usage(errors.New("report: the file that -json wrote comes first"))
	}
	r, err := report.Read(file)
	if err != nil {
		return err
	}
	if *html != "" {
		return draw(*html, r)
	}
	switch result := r.Result.(type) {
	case bench.Outcome:
		report.Siege(c.stdout, result)
	case load.Result:
		report.Load(c.stdout, result)
	case attack.Result:
		report.Attack(c.stdout, result)
	}
	return nil
}

// draw writes the page of a record to a file, whole or not at all.
func draw(file string, r report.Record) error {
	var page bytes.Buffer
	if err := report.HTML(&page, r); err != nil {
		return err
	}
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
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
