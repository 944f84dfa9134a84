package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/latency"
	"weir/bench/load"
	"weir/bench/watch"
)

// Siege writes a siege as tables.
func Siege(w io.Writer, o bench.Outcome) {
	o = siegeTamed(o)
	fmt.Fprintln(w, "good client"+on(o.Good))
	client(w, o.Good)
	if o.Newcomers != nil {
		fmt.Fprintln(w, "\nnewcomers"+on(*o.Newcomers)+", a connection for each request")
		client(w, *o.Newcomers)
	}
	all := stages(o)
	several := len(attacked(all)) > 1
	for _, stage := range attacked(all) {
		if several {
			fmt.Fprintf(w, "\n%s, from %.1fs for %.1fs\n", bench.When(stage.Name), stage.From, stage.For)
		}
		for i, a := range stage.Attacks {
			if !several || i > 0 {
				fmt.Fprintln(w)
			}
			strike(w, a)
		}
	}
	sheds(w, o.Server)
	server(w, o.Server)
	costs(w, o.Costs)
	for _, r := range o.Remarks {
		fmt.Fprintln(w, "note:", r)
	}
}

// costs writes one cost as a sentence, and several as a table.
func costs(w io.Writer, all []bench.Cost) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w)
	if len(all) == 1 {
		c := all[0]
		fmt.Fprintf(w, "shed %s: %d (counted by the %s)", bench.When(c.Phase), c.Refused, c.CountedBy)
		if c.ServerCPU > 0 {
			fmt.Fprintf(w, "; server CPU above quiet %s for each", Duration(c.ServerCPU))
		}
		fmt.Fprintf(w, "; attacker CPU %s for each\n", Duration(c.AttackerCPU))
		return
	}
	fmt.Fprintln(w, "cost of shedding, CPU for each; the server's above the first quiet phase")
	t := table(w)
	fmt.Fprintln(t, "phase\tshed\tcounted by\tserver\tattackers\t")
	for _, c := range all {
		fmt.Fprintf(t, "%s\t%d\tthe %s\t%s\t%s\t\n", c.Phase, c.Refused, c.CountedBy, Duration(c.ServerCPU), Duration(c.AttackerCPU))
	}
	t.Flush()
}

// Load writes a good client's run, or newcomers', as tables.
func Load(w io.Writer, r load.Result) { client(w, loadTamed(r)) }

func client(w io.Writer, r load.Result) {
	rows(w, "goodput/s", r.Phases)
	sums(w, r)
	if h := r.TLS; h != nil {
		handshakes(w, r.Target, *h)
	}
}

// on names the target of a good client, where the record has it.
func on(r load.Result) string {
	if r.Target == "" {
		return ""
	}
	return " on " + r.Target
}

// handshakes writes a good client's TLS handshakes, by phase where there were any during the run.
func handshakes(w io.Writer, to string, h load.Handshakes) {
	fmt.Fprintf(w, "TLS on %s: %d handshakes ok (%d resumed), %d failed; they took p50 %s, p99 %s, max %s\n",
		to, h.OK, h.Resumed, h.Failed, Duration(h.Took.P50), Duration(h.Took.P99), Duration(h.Took.Max))
	if slices.ContainsFunc(h.Phases, func(s latency.Summary) bool { return s.OK+s.Errors > 0 }) {
		rows(w, "handshakes/s", h.Phases)
	}
}

// Attack writes what an attack came to.
func Attack(w io.Writer, a attack.Result) { strike(w, attackTamed(a)) }

func strike(w io.Writer, a attack.Result) {
	fmt.Fprintf(w, "%s on %s, %s, attacker CPU %s\n", a.Name, a.Target, Duration(a.Took), Duration(a.CPU))
	fmt.Fprintf(w, "  connections  %d begun, %d established, %d connect refused, %d unanswered, %d failed on this side\n",
		a.Attempts, a.Established, a.Refused, a.TimedOut, a.Local)
	fmt.Fprintf(w, "  ended        %d reset and %d closed by the server (%d of them answered), %d open at the end\n",
		a.Resets, a.Closes, a.Answered, a.Open)
	if a.UnitName != "connections" && a.UnitName != "handshakes" {
		fmt.Fprintf(w, "  sent         %d %s, %d bytes; %d good replies, %d bad\n", a.Units, a.UnitName, a.Bytes, a.Replies, a.Bad)
	}
	if a.Odd > 0 {
		fmt.Fprintf(w, "  odd          %d connections on which something came that answers nothing of what was sent\n", a.Odd)
	}
	if a.TLS != (attack.TLS{}) || strings.HasPrefix(a.Name, "tls-") {
		fmt.Fprintf(w, "  TLS          %d handshakes complete, %d hellos answered and left at that, %d refused with an alert\n",
			a.Handshakes, a.ServerHellos, a.Alerts)
	}
	spread(w, "connect", a.Connect)
	spread(w, "handshake", a.Handshake)
	spread(w, "age at end", a.Age)
	if a.Shortened != "" {
		fmt.Fprintf(w, "  cut short    %s\n", a.Shortened)
	}
}

func spread(w io.Writer, name string, r latency.Range) {
	if r.Count > 0 {
		fmt.Fprintf(w, "  %-12s min %s, p50 %s, p99 %s, max %s\n", name, Duration(r.Min), Duration(r.P50), Duration(r.P99), Duration(r.Max))
	}
}

// rows writes one line for each phase that had a length.
func rows(w io.Writer, what string, all []latency.Summary) {
	t := table(w)
	fmt.Fprintln(t, "phase\t"+what+"\tp50\tp99\tp99.9\tmax\terrors\t")
	for _, s := range all {
		if s.ForSecs > 0 {
			fmt.Fprintf(t, "%s\t%.1f\t%s\t%s\t%s\t%s\t%d\t  %s\n", s.Name, s.Goodput, Duration(s.P50), Duration(s.P99),
				Duration(s.P999), Duration(s.Max), s.Errors, failures(s))
		}
	}
	t.Flush()
}

func failures(s latency.Summary) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s.Failed)) {
		out = append(out, fmt.Sprintf("%s %d", k, s.Failed[k]))
	}
	return strings.Join(out, ", ")
}

// sums writes what the client did in all.
func sums(w io.Writer, r load.Result) {
	fmt.Fprintf(w, "client: %d requests sent, %d connections cut, %d connects failed", r.Sent, r.Cuts, r.ConnectFailures)
	if r.ConnectError != "" {
		fmt.Fprintf(w, " (%s)", r.ConnectError)
	}
	fmt.Fprint(w, "; ")
	if r.Setup.Closed {
		fmt.Fprint(w, "closed loop: a stall hardly shows; ")
	} else {
		fmt.Fprintf(w, "own lag p99 %s, max %s; ", Duration(r.Lag.P99), Duration(r.Lag.Max))
	}
	fmt.Fprintf(w, "CPU %s", Duration(r.CPU))
	if r.Sent > 0 {
		fmt.Fprintf(w, ", %s a request", Duration(r.CPU/time.Duration(r.Sent)))
	}
	fmt.Fprintln(w)
}

// wide is how many phases or attacks stand beside each other as columns. More are written below each other.
const wide = 6

// sheds writes what the server shed by reason, a column for each phase or, of many, a line.
func sheds(w io.Writer, all []bench.Stretch) {
	reasons := map[string]bool{}
	read := false
	for _, s := range all {
		read = read || s.Sheds != nil
		for k := range s.Sheds {
			reasons[k] = true
		}
	}
	if !read {
		return
	}
	fmt.Fprintln(w, "\nshed by the server")
	if len(reasons) == 0 {
		fmt.Fprintln(w, "  nothing")
		return
	}
	t := table(w)
	defer t.Flush()
	if len(all) > wide {
		fmt.Fprintln(t, "phase\tall\t")
		for _, s := range all {
			sum, by := shedBy(s)
			fmt.Fprintf(t, "%s\t%s\t  %s\n", s.Name, sum, by)
		}
		return
	}
	fmt.Fprint(t, "reason\t")
	for _, s := range all {
		fmt.Fprintf(t, "%s\t", s.Name)
	}
	fmt.Fprintln(t)
	for _, k := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(t, "%s\t", k)
		for _, s := range all {
			if s.Sheds == nil {
				fmt.Fprint(t, "?\t")
			} else {
				fmt.Fprintf(t, "%d\t", s.Sheds[k])
			}
		}
		fmt.Fprintln(t)
	}
}

// shedBy returns how much was shed in all, ? when that was not read, and for which reasons, the most frequent first.
func shedBy(s bench.Stretch) (sum, by string) {
	if s.Sheds == nil {
		return "?", ""
	}
	var all int64
	var parts []string
	for _, k := range frequent(s.Sheds, len(s.Sheds)) {
		all = watch.Sum(all, s.Sheds[k])
		parts = append(parts, fmt.Sprintf("%s %d", k, s.Sheds[k]))
	}
	return fmt.Sprint(all), strings.Join(parts, ", ")
}

func server(w io.Writer, all []bench.Stretch) {
	known := slices.ContainsFunc(all, func(s bench.Stretch) bool { return s.RSSBytes > 0 })
	if !known {
		return
	}
	fmt.Fprintln(w, "\nserver")
	t := table(w)
	fmt.Fprintln(t, "phase\tCPU\tcores\tRSS\t")
	for _, s := range all {
		if s.Wall > 0 {
			fmt.Fprintf(t, "%s\t%s\t%.3f\t%.1f MiB\t\n", s.Name, Duration(s.CPU), s.CPU.Seconds()/s.Wall.Seconds(), float64(s.RSSBytes)/(1<<20))
		}
	}
	t.Flush()
}

func table(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// Duration writes d with three digits that count: 87.1us, 1.25ms, 12.4s. 0 is a dash: nothing was measured.
func Duration(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", d)
	case d < time.Millisecond:
		return digits(float64(d)/1e3) + "us"
	case d < time.Second:
		return digits(float64(d)/1e6) + "ms"
	}
	return digits(d.Seconds()) + "s"
}

func digits(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
