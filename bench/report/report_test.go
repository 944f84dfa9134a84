package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/latency"
	"weir/bench/load"
)

var update = flag.Bool("update", false, "write the golden files anew")

var outcome = bench.Outcome{
	Good: load.Result{
		Phases: []latency.Summary{
			{Name: "before", ForSecs: 3, OK: 1500, Goodput: 500, P50: 87100, P99: 250 * time.Microsecond, P999: time.Millisecond, Max: 1250 * time.Microsecond},
			{Name: "during", ForSecs: 5, OK: 2490, Errors: 10, Failed: map[string]int64{"timeout": 7, "cut": 3}, Goodput: 498,
				P50: 120 * time.Microsecond, P99: 12400 * time.Microsecond, P999: 1200 * time.Millisecond, Max: 12400 * time.Millisecond},
			{Name: "after", ForSecs: 3, Errors: 1500, Failed: map[string]int64{"timeout": 1500}},
		},
		Sent: 5500, Cuts: 10, ConnectFailures: 1, Lag: latency.Range{Count: 1, P99: 90 * time.Microsecond, Max: time.Millisecond}, CPU: 310 * time.Millisecond,
	},
	Newcomers: &load.Result{
		Target: "https://127.0.0.1:8443/",
		Phases: []latency.Summary{
			{Name: "before", ForSecs: 3, OK: 150, Goodput: 50, P50: 1871000, P99: 2500 * time.Microsecond, P999: 3 * time.Millisecond, Max: 3 * time.Millisecond},
			{Name: "during", ForSecs: 5, OK: 230, Errors: 20, Failed: map[string]int64{"connect": 7, "handshake": 13}, Goodput: 46,
				P50: 3 * time.Millisecond, P99: 900 * time.Millisecond, P999: time.Second, Max: time.Second},
			{Name: "after"},
		},
		Sent: 400, ConnectFailures: 7, CPU: 90 * time.Millisecond,
		TLS: &load.Handshakes{OK: 380, Resumed: 2, Failed: 13, Took: latency.Range{Count: 380, P50: time.Millisecond, P99: 100 * time.Millisecond, Max: 500 * time.Millisecond},
			Phases: []latency.Summary{
				{Name: "before", ForSecs: 3, OK: 150, Goodput: 50, P50: time.Millisecond, P99: time.Millisecond, P999: time.Millisecond, Max: time.Millisecond},
				{Name: "during", ForSecs: 5, OK: 230, Errors: 13, Failed: map[string]int64{"handshake": 10, "cut": 3}, Goodput: 46,
					P50: 2 * time.Millisecond, P99: 200 * time.Millisecond, P999: 500 * time.Millisecond, Max: 500 * time.Millisecond},
				{Name: "after"},
			}},
	},
	Attacks: []bench.Struck{
		{Phase: "during", Result: attack.Result{Name: "slowloris", Target: "http://127.0.0.1:8080/", UnitName: "drips", Took: 5 * time.Second, CPU: 200 * time.Millisecond,
			Live: attack.Live{Attempts: 2000, Established: 1990, Refused: 5, TimedOut: 3, Local: 2, Resets: 1000, Closes: 900, Answered: 900, Open: 90, Units: 9000, Bytes: 9000},
			Age:  latency.Range{Count: 1900, Min: time.Second, P50: 2 * time.Second, P99: 3 * time.Second, Max: 4 * time.Second}, Shortened: "open-file limit"}},
		{Phase: "during", Result: attack.Result{Name: "connection-flood", Target: "http://127.0.0.1:8080/", UnitName: "connections", Took: 5 * time.Second, CPU: time.Second,
			Live: attack.Live{Attempts: 100, Established: 100, Open: 100}, Connect: latency.Range{Count: 100, Min: 100, P50: 20000, P99: 30000, Max: 40000}}},
		{Phase: "during", Result: attack.Result{Name: "tls-handshake", Target: "https://127.0.0.1:8443/", UnitName: "handshakes", Took: 5 * time.Second, CPU: 4 * time.Second,
			Live:      attack.Live{Attempts: 9000, Established: 9000, Closes: 100, Answered: 100, Units: 8900, TLS: attack.TLS{Handshakes: 8900, Alerts: 100}},
			Handshake: latency.Range{Count: 8900, Min: time.Millisecond, P50: 2 * time.Millisecond, P99: 3 * time.Millisecond, Max: 4 * time.Millisecond}}},
		{Phase: "during", Result: attack.Result{Name: "proxy-spoof", Target: "https://127.0.0.1:8443/", UnitName: "headers", Took: 5 * time.Second, CPU: time.Second,
			Live: attack.Live{Attempts: 90, Established: 90, Resets: 80, Units: 90, Bytes: 9000, Bad: 4, Odd: 6}}},
	},
	Server: []bench.Stretch{
		{Name: "before", Sheds: map[string]int64{}, CPU: 30 * time.Millisecond, Wall: 3 * time.Second, RSSBytes: 10 << 20},
		{Name: "during", Sheds: map[string]int64{"source_conns": 1900, "min_rate": 3}, CPU: time.Second, Wall: 5 * time.Second, RSSBytes: 12 << 20},
		{Name: "after", CPU: 30 * time.Millisecond, Wall: 3 * time.Second, RSSBytes: 10 << 20},
	},
	Costs:   []bench.Cost{{Phase: "during", Refused: 1903, CountedBy: "server", ServerCPU: 40 * time.Microsecond, AttackerCPU: 600 * time.Microsecond}},
	Remarks: []string{"read metrics: no answer"},
}

func TestTables(t *testing.T) {
	var got bytes.Buffer
	Siege(&got, outcome)
	file := filepath.Join("testdata", "siege.txt")
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, got.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s\n(-update writes it anew)", got.Bytes(), want)
	}
}

// What the record keeps is all that the tables need.
func TestTablesFromTheRecord(t *testing.T) {
	b, err := NewRecord(nil, 0, outcome, nil).JSON()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	var first, again bytes.Buffer
	Siege(&first, outcome)
	Siege(&again, r.Result.(bench.Outcome))
	if !bytes.Equal(first.Bytes(), again.Bytes()) {
		t.Errorf("got\n%s\nwant\n%s", again.Bytes(), first.Bytes())
	}
}

func TestNothingReadFromTheServerMeansNoTablesOfIt(t *testing.T) {
	var got bytes.Buffer
	Siege(&got, bench.Outcome{Good: outcome.Good})
	for _, word := range []string{"shed", "server", "refused"} {
		if bytes.Contains(got.Bytes(), []byte(word)) {
			t.Errorf("%q in\n%s", word, got.Bytes())
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "-", 7: "7ns", 1500: "1.50us", 87100: "87.1us", 999 * time.Microsecond: "999us",
		12400 * time.Microsecond: "12.4ms", 3 * time.Second: "3.00s", 10 * time.Minute: "600s"} {
		if got := Duration(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func TestRecordHoldsTheRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.json")
	if err := NewRecord([]string{"siege", "-seed", "7"}, 7, outcome, errors.New("why")).Write(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Record
		Result bench.Outcome `json:"result"`
	}
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back.Seed != 7 || len(back.Command) != 3 || back.Failure != "why" || back.Machine.Kernel == "" || back.Machine.Cores < 1 || back.Go == "" {
		t.Errorf("%+v", back.Record)
	}
	if got := back.Result.Attacks[0]; got != outcome.Attacks[0] {
		t.Errorf("the attack reads back as %+v", got)
	}
	if err := (Record{}).Write(filepath.Join(file, "below")); err == nil {
		t.Error("a file below a file was written")
	}
}
