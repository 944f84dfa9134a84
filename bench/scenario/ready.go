package scenario

import (
	"embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

//go:embed ready/*.toml
var ready embed.FS

// maxBytes bounds a file: 64 phases with all their attacks have less than half of it.
const maxBytes = 128 << 10

// Ready returns the names of the scenarios that come with the program, in order.
func Ready() []string {
	files, err := ready.ReadDir("ready")
	if err != nil {
		return nil // cannot be: it is part of the program
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(f.Name(), ".toml"))
	}
	return out
}

// Open returns the text of the ready scenario of that name or, when there is none, of the file, and what to call it in
// errors. To read a file that is called as a ready scenario is, write it with its folder: ./slow.
func Open(name string) (file, text string, err error) {
	if slices.Contains(Ready(), name) {
		b, err := ready.ReadFile("ready/" + name + ".toml")
		return "scenario " + name, string(b), err
	}
	f, err := os.Open(name)
	if err != nil {
		if !strings.ContainsAny(name, "/.") {
			return "", "", fmt.Errorf("scenario %q: there is no such file, and the ready ones are %s", name, strings.Join(Ready(), ", "))
		}
		return "", "", fmt.Errorf("scenario: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return "", "", fmt.Errorf("scenario: %w", err)
	}
	return name, string(b), nil
}
