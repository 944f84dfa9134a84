package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weir/bench/latency"
	"weir/bench/report"
)

// record is all that a run found and all that is needed to do it again.
type record struct {
	Command  []string          `json:"command"` // the arguments
	Time     time.Time         `json:"time"`    // when it ended
	Commit   string            `json:"commit,omitempty"`
	Go       string            `json:"go"`
	Machine  report.Machine    `json:"machine"`
	Setup    setup             `json:"setup"`
	Versions map[string]string `json:"versions"`         // of peers that have one
	Absent   map[string]string `json:"absent,omitempty"` // peers that were left out, and why
	Samples  []sample          `json:"samples"`
}

// setup is how hard and how long.
type setup struct {
	What        []string      `json:"what"`
	Peers       []string      `json:"peers"`
	Attacks     []string      `json:"attacks"`
	Rounds      int           `json:"rounds"`
	SiegeRounds int           `json:"siege_rounds"`
	For         time.Duration `json:"for_ns"` // of one measurement of cost
	Conns       int           `json:"idle_conns"`
	Before      time.Duration `json:"before_ns"`
	During      time.Duration `json:"during_ns"` // of floods; slow attacks have slowExtra more
	After       time.Duration `json:"after_ns"`
	Driver      string        `json:"driver"` // of the closed loop: wrk or bench
}

// sample is one measurement of one peer in one round.
type sample struct {
	What   string             `json:"what"`           // the measurement
	Case   string             `json:"case,omitempty"` // the attack of a siege
	Peer   string             `json:"peer"`
	Round  int                `json:"round"`
	Server []string           `json:"server,omitempty"` // command lines
	Client []string           `json:"client,omitempty"`
	Values map[string]float64 `json:"values,omitempty"` // by the names of columns; nil when there is none
	Why    string             `json:"why,omitempty"`    // there is none
	Course *course            `json:"course,omitempty"` // of a siege that is drawn
}

// course is a siege over time.
type course struct {
	Good      []latency.Summary `json:"good"`
	Newcomers []latency.Summary `json:"newcomers"`
	From      float64           `json:"attack_from_seconds"`
	To        float64           `json:"attack_to_seconds"`
}

func newRecord(args []string, s setup) record {
	r := report.NewRecord(args, 0, nil, nil)
	return record{Command: args, Time: r.Time, Commit: r.Commit, Go: r.Go, Machine: r.Machine, Setup: s,
		Versions: make(map[string]string), Absent: make(map[string]string)}
}

// merge takes over from old what was not measured this time.
func (r *record) merge(old record) {
	var kept []sample
	for _, s := range old.Samples {
		if !slices.ContainsFunc(r.Samples, func(n sample) bool { return n.What == s.What && n.Case == s.Case && n.Peer == s.Peer }) {
			kept = append(kept, s)
		}
	}
	r.Samples = append(kept, r.Samples...)
	for name, v := range old.Versions {
		if r.Versions == nil {
			r.Versions = make(map[string]string)
		}
		if r.Versions[name] == "" {
			r.Versions[name] = v
		}
	}
}

// of returns the samples of a measurement and a case by peer.
func (r record) of(what, which string) map[string][]sample {
	out := make(map[string][]sample)
	for _, s := range r.Samples {
		if s.What == what && s.Case == which {
			out[s.Peer] = append(out[s.Peer], s)
		}
	}
	return out
}

// spread returns what the rounds of one peer came to in one column, and why there is nothing when there is none.
func of(samples []sample, column string) (spread, string) {
	var values []float64
	why := "not measured"
	for _, s := range samples {
		if v, ok := s.Values[column]; ok {
			values = append(values, v)
		} else if s.Why != "" {
			why = s.Why
		}
	}
	return spreadOf(values), why
}

func readRecord(path string) (record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return record{}, fmt.Errorf("read record: %w", err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return record{}, fmt.Errorf("read record %s: %w", path, err)
	}
	return r, nil
}

// readRecords reads records into one, see merge: later ones count.
func readRecords(paths []string) (record, error) {
	var all record
	for _, path := range paths {
		r, err := readRecord(path)
		if err != nil {
			return record{}, err
		}
		r.merge(all)
		all = r
	}
	return all, nil
}

func (r record) write(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return replaceFile(path, append(b, '\n'))
}

// replaceFile writes a file as a whole or not at all.
func replaceFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
