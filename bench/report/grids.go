package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/latency"
	"weir/bench/load"
	"weir/bench/pacer"
)

// tables says in words what the text tables say: the fallback of every drawing.
func tables(o bench.Outcome) []grid {
	all := stages(o)
	var out []grid
	if len(o.Attacks) > 0 {
		out = append(out, stageGrid(all))
	}
	out = append(out, phaseGrid("Good client"+on(o.Good), "goodput/s", o.Good.Phases))
	lanes := []struct {
		who string
		r   *load.Result
	}{{"Good client", &o.Good}, {"Newcomers", o.Newcomers}}
	if o.Newcomers != nil {
		out = append(out, phaseGrid("Newcomers"+on(*o.Newcomers)+", a connection for each request", "goodput/s", o.Newcomers.Phases))
	}
	clients := grid{Title: "Clients", Head: []string{"", "sent", "connections cut", "connects failed", "own lag p99", "own lag max", "CPU"}}
	for _, l := range lanes {
		if r := l.r; r != nil {
			clients.Rows = append(clients.Rows, []string{l.who, count(r.Sent), count(r.Cuts), count(r.ConnectFailures), Duration(r.Lag.P99), Duration(r.Lag.Max), Duration(r.CPU)})
		}
	}
	out = append(out, clients)
	for _, l := range lanes {
		if l.r == nil || l.r.TLS == nil {
			continue
		}
		h := l.r.TLS
		out = append(out, grid{Title: l.who + ": TLS handshakes", Head: []string{"", "complete", "resumed", "failed", "p50", "p99", "max"},
			Rows: [][]string{{"all", count(h.OK), count(h.Resumed), count(h.Failed), Duration(h.Took.P50), Duration(h.Took.P99), Duration(h.Took.Max)}}})
		if slices.ContainsFunc(h.Phases, func(s latency.Summary) bool { return s.OK+s.Errors > 0 }) {
			out = append(out, phaseGrid(l.who+": TLS handshakes by phase", "handshakes/s", h.Phases))
		}
	}
	if len(o.Attacks) > 0 {
		out = append(out, attackGrid(all))
	}
	if len(o.Costs) > 0 {
		out = append(out, costGrid(o.Costs))
	}
	return append(out, serverGrids(o.Server)...)
}

// stageGrid says which phase was when, and what happened in it.
func stageGrid(all []stage) grid {
	g := grid{Title: "Phases", Head: []string{"phase", "number", "from", "for", "attacks"}}
	for _, s := range all {
		g.Rows = append(g.Rows, []string{s.Name, fmt.Sprint(s.Number), fmt.Sprintf("%.1f s", s.From), fmt.Sprintf("%.1f s", s.For), orNone(s.names())})
	}
	return g
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func costGrid(all []bench.Cost) grid {
	g := grid{Title: "Cost of shedding", Head: []string{"phase", "units shed", "counted by", "server CPU above quiet, each", "attacker CPU, each"}}
	for _, c := range all {
		g.Rows = append(g.Rows, []string{c.Phase, count(c.Refused), "the " + c.CountedBy, Duration(c.ServerCPU), Duration(c.AttackerCPU)})
	}
	return g
}

func phaseGrid(title, what string, all []latency.Summary) grid {
	g := grid{Title: title, Head: []string{"phase", what, "p50", "p99", "p99.9", "max", "errors", "which"}}
	for _, s := range all {
		if s.ForSecs > 0 {
			g.Rows = append(g.Rows, []string{s.Name, fmt.Sprintf("%.1f", s.Goodput), Duration(s.P50), Duration(s.P99), Duration(s.P999), Duration(s.Max), count(s.Errors), failures(s)})
		}
	}
	return g.full()
}

// full returns the table without its last column when nothing is in it.
func (g grid) full() grid {
	last := len(g.Head) - 1
	for _, r := range g.Rows {
		if r[last] != "" {
			return g
		}
	}
	g.Head = g.Head[:last]
	for i := range g.Rows {
		g.Rows[i] = g.Rows[i][:last]
	}
	return g
}

// turned returns the table with its rows as columns when it has more than [wide] columns.
func (g grid) turned(corner string) grid {
	if len(g.Head) <= wide+1 {
		return g
	}
	t := grid{Title: g.Title, Head: []string{corner}}
	for _, r := range g.Rows {
		t.Head = append(t.Head, r[0])
	}
	for i, name := range g.Head {
		if i == 0 {
			continue
		}
		row := []string{name}
		for _, r := range g.Rows {
			row = append(row, r[i])
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// strikes returns all attacks, and what to call each: by its phase, too, when several have attacks and
// it is not called like its attack.
func strikes(all []stage) (results []attack.Result, names []string) {
	several := len(attacked(all)) > 1
	for _, s := range all {
		for _, a := range s.Attacks {
			name := a.Name
			if several && s.Name != name {
				name = s.Name + ": " + name
			}
			results, names = append(results, a), append(names, name)
		}
	}
	return results, names
}

// attackGrid has a column for each attack. Lines that are 0 for all of them are left out.
func attackGrid(stages []stage) grid {
	all, names := strikes(stages)
	g := grid{Title: "Attacks", Head: append([]string{""}, names...)}
	add := func(name string, of func(attack.Result) string) {
		row, any := []string{name}, false
		for _, a := range all {
			v := of(a)
			row, any = append(row, v), any || v != "0" && v != "-" && v != ""
		}
		if any {
			g.Rows = append(g.Rows, row)
		}
	}
	number := func(name string, of func(attack.Result) int64) {
		add(name, func(a attack.Result) string { return count(of(a)) })
	}
	add("target", func(a attack.Result) string { return a.Target })
	add("took", func(a attack.Result) string { return Duration(a.Took) })
	add("attacker CPU", func(a attack.Result) string { return Duration(a.CPU) })
	number("connections begun", func(a attack.Result) int64 { return a.Attempts })
	number("established", func(a attack.Result) int64 { return a.Established })
	number("connect refused", func(a attack.Result) int64 { return a.Refused })
	number("unanswered", func(a attack.Result) int64 { return a.TimedOut })
	number("failed on this side", func(a attack.Result) int64 { return a.Local })
	number("reset by the server", func(a attack.Result) int64 { return a.Resets })
	number("closed by the server", func(a attack.Result) int64 { return a.Closes })
	number("of these, answered", func(a attack.Result) int64 { return a.Answered })
	number("open at the end", func(a attack.Result) int64 { return a.Open })
	add("units sent", func(a attack.Result) string {
		return strings.TrimPrefix(count(a.Units)+" "+a.UnitName, "0 "+a.UnitName)
	})
	number("bytes sent", func(a attack.Result) int64 { return a.Bytes })
	number("good replies", func(a attack.Result) int64 { return a.Replies })
	number("bad replies", func(a attack.Result) int64 { return a.Bad })
	number("odd replies", func(a attack.Result) int64 { return a.Odd })
	number("TLS handshakes complete", func(a attack.Result) int64 { return a.Handshakes })
	number("hellos answered and left at that", func(a attack.Result) int64 { return a.ServerHellos })
	number("refused with an alert", func(a attack.Result) int64 { return a.Alerts })
	add("connect p99", func(a attack.Result) string { return Duration(a.Connect.P99) })
	add("handshake p99", func(a attack.Result) string { return Duration(a.Handshake.P99) })
	add("age when ended, p50", func(a attack.Result) string { return Duration(a.Age.P50) })
	add("age when ended, max", func(a attack.Result) string { return Duration(a.Age.Max) })
	add("cut short", func(a attack.Result) string { return a.Shortened })
	return g.turned("attack")
}

// serverGrids are what the server shed and what it used, by phase.
func serverGrids(all []bench.Stretch) []grid {
	head := []string{"reason"}
	reasons := map[string]bool{}
	read, used := false, false
	for _, s := range all {
		head = append(head, s.Name)
		read, used = read || s.Sheds != nil, used || s.RSSBytes > 0
		for k := range s.Sheds {
			reasons[k] = true
		}
	}
	var out []grid
	if read {
		g := grid{Title: "Shed by the server", Head: head}
		for _, k := range slices.Sorted(maps.Keys(reasons)) {
			row := []string{k}
			for _, s := range all {
				if s.Sheds == nil {
					row = append(row, "?")
				} else {
					row = append(row, count(s.Sheds[k]))
				}
			}
			g.Rows = append(g.Rows, row)
		}
		if len(g.Rows) == 0 {
			g.Rows = [][]string{append([]string{"nothing"}, slices.Repeat([]string{"0"}, len(all))...)}
		}
		out = append(out, g.turned("phase"))
	}
	if used {
		g := grid{Title: "Server", Head: []string{"phase", "CPU", "cores", "resident"}}
		for _, s := range all {
			if s.Wall > 0 {
				g.Rows = append(g.Rows, []string{s.Name, Duration(s.CPU), fmt.Sprintf("%.3f", s.CPU.Seconds()/s.Wall.Seconds()), mebibytes(float64(s.RSSBytes))})
			}
		}
		out = append(out, g)
	}
	return out
}

// redo is what one needs beside the command to do the run again.
func redo(r Record, o bench.Outcome) []grid {
	m := r.Machine
	g := grid{Title: "Machine and build", Head: []string{"", ""}}
	add := func(name, value string) {
		if value != "" && value != "0" {
			g.Rows = append(g.Rows, []string{name, value})
		}
	}
	add("processor", m.CPU)
	add("cores", fmt.Sprint(m.Cores))
	add("memory", mebibytes(float64(m.MemoryBytes)))
	add("kernel", m.Kernel+" "+m.Arch)
	add("open files at most", count(int64(min(m.OpenFiles, 1<<62))))
	for _, k := range slices.Sorted(maps.Keys(m.Settings)) {
		add(k, m.Settings[k])
	}
	add("bench commit", r.Commit)
	add("bench Go", r.Go)
	add("bench GOMAXPROCS", fmt.Sprint(m.MaxProcs))
	add("seed", fmt.Sprint(r.Seed))
	add("ended", r.Time.UTC().Format(time.RFC3339))
	for _, p := range o.Programs[:min(len(o.Programs), maxLines)] {
		add("server command", short(Shell(p.Command), 10*maxTextBytes))
		add("server commit", p.Commit)
		add("server Go", p.Go)
	}
	lanes := grid{Title: "Clients as set up", Head: []string{"", "rate/s", "gaps", "connections", "timeout", "payload", "sources"}}
	row := func(who string, s load.Setup) {
		if s.Rate == 0 {
			return
		}
		gaps := s.Arrivals.String()
		if s.Arrivals.Shape == pacer.Random {
			gaps += fmt.Sprintf(", seed %d", s.Seed)
		}
		lanes.Rows = append(lanes.Rows, []string{who, fmt.Sprint(s.Rate), gaps, fmt.Sprint(s.Conns), Duration(s.Timeout), fmt.Sprintf("%d bytes", s.Size), fmt.Sprintf("%d from %s", s.Sources, s.First)})
	}
	row("good client", o.Good.Setup)
	if o.Newcomers != nil {
		row("newcomers", o.Newcomers.Setup)
	}
	out := []grid{g}
	if len(lanes.Rows) > 0 {
		out = append(out, lanes)
	}
	if len(o.Attacks) > 0 {
		out = append(out, optionGrid(stages(o)))
	}
	return out
}

// optionGrid has a column for each attack, with its options as it ran.
func optionGrid(stages []stage) grid {
	all, names := strikes(stages)
	g := grid{Title: "Attacks as set up", Head: append([]string{"option"}, names...)}
	for _, p := range attack.Table() {
		row := []string{p.Name}
		for _, a := range all {
			value := ""
			if k, err := attack.ByName(a.Name); err != nil || k.Takes(p.Name) { // a record may be of a later bench
				value = p.Get(a.Options)
			}
			row = append(row, value)
		}
		if strings.Join(row[1:], "") != "" {
			g.Rows = append(g.Rows, row)
		}
	}
	return g.turned("attack")
}

// data is every number that is drawn.
func data(o bench.Outcome) []grid {
	slices := func(title string, all []latency.Summary) grid {
		g := grid{Title: title, Head: []string{"from", "goodput/s", "p50", "p99", "max", "errors", "which"}}
		for _, s := range all {
			g.Rows = append(g.Rows, []string{fmt.Sprintf("%.1f s", s.FromSecs), fmt.Sprintf("%.1f", s.Goodput), Duration(s.P50), Duration(s.P99), Duration(s.Max), count(s.Errors), failures(s)})
		}
		return g.full()
	}
	out := []grid{slices("Good client over time", o.Good.Timeline)}
	if o.Newcomers != nil {
		out = append(out, slices("Newcomers over time", o.Newcomers.Timeline))
	}
	if len(o.Samples) > 0 {
		out = append(out, sampleGrid(o.Samples))
	}
	return out
}

func sampleGrid(all []bench.Sample) grid {
	g := grid{Title: "Server and attackers over time, since the first sample", Head: []string{"at", "shed", "by reason", "CPU", "resident", "connections begun", "refused or ended"}}
	named := drawn(all)
	for _, s := range all {
		shed, cpu, resident := "?", "?", "?"
		if s.Shed != nil {
			shed = count(*s.Shed)
		}
		if s.CPU != nil {
			cpu, resident = Duration(*s.CPU), mebibytes(float64(s.RSSBytes))
		}
		var by []string
		sheds := only(s.Sheds, named)
		for _, k := range slices.Sorted(maps.Keys(sheds)) {
			by = append(by, fmt.Sprintf("%s %d", k, sheds[k]))
		}
		g.Rows = append(g.Rows, []string{fmt.Sprintf("%.2f s", s.AtSecs), shed, strings.Join(by, ", "), cpu, resident, count(s.Attempts), count(s.Refused)})
	}
	return g
}
