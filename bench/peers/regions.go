package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// A region of a document is what stands between a line <!-- peers:NAME --> and the next line <!-- /peers -->.
var opening = regexp.MustCompile(`^<!-- peers:([a-z0-9-]+) -->$`)

const closing = "<!-- /peers -->"

// replaceRegions returns the document with each region's text from content. A region for which that is empty stays as it
// is: nothing of it was measured. A marker without its other one is an error.
func replaceRegions(text string, content func(name string) (string, error)) (string, error) {
	var out strings.Builder
	inside, kept := "", "" // the region's name, and its old text
	fresh := ""
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		switch match := opening.FindStringSubmatch(bare); {
		case match != nil && inside != "":
			return "", fmt.Errorf("region peers:%s begins inside peers:%s", match[1], inside)
		case match != nil:
			new, err := content(match[1])
			if err != nil {
				return "", err
			}
			inside, fresh, kept = match[1], new, ""
			out.WriteString(line)
		case bare == closing && inside == "":
			return "", fmt.Errorf("%s ends no region", closing)
		case bare == closing:
			if fresh == "" {
				out.WriteString(kept)
			} else {
				// Blank lines around: without them Markdown takes the table for a part of the comment.
				out.WriteString("\n" + strings.TrimSpace(fresh) + "\n\n")
			}
			out.WriteString(line)
			inside = ""
		case inside != "":
			kept += line
		default:
			out.WriteString(line)
		}
	}
	if inside != "" {
		return "", fmt.Errorf("region peers:%s has no end", inside)
	}
	return out.String(), nil
}

// writeInto replaces the regions of a file.
func (r record) writeInto(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	text, err := replaceRegions(string(b), r.region)
	if err != nil {
		return fmt.Errorf("write tables into %s: %w", path, err)
	}
	if text == string(b) {
		return nil
	}
	return replaceFile(path, []byte(text))
}
